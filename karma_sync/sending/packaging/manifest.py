"""Makes and signs the manifest of an item; every text in it is redacted first."""

from collections.abc import Mapping
from dataclasses import dataclass

from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import FORMAT, ItemFile, Manifest, SessionFacts, Tokens
from karma_sync.domain.session.profile import ItemKind
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import KarmaError
from karma_sync.redact.redactor import Redactor
from karma_sync.signing import PayloadType, SigningKey


@dataclass(frozen=True)
class RevisionContent:
    """The packaged content of one revision: its files, and the number of redactions by rule.

    `version` is that of `Outgoing`. `running` is whether the agent has the session open; None if
    the agent never recorded it. `records` counts the lines of the transcript that leave.
    """

    item: str
    revision: int
    version: str
    files: tuple[ItemFile, ...]
    running: bool | None
    records: int
    redactions: Mapping[str, int]
    kind: ItemKind = ItemKind.SESSION


def describe(
    channel: Channel,
    session: SourceSession,
    facts: Facts,
    content: RevisionContent,
    redactor: Redactor,
) -> Manifest:
    """The manifest of one revision.

    Raises:
        RedactionFailed: a text of the manifest cannot be redacted.
        KarmaError: the session has more files than an item may have.
    """
    if len(content.files) > limits.FILES_PER_ITEM:
        raise KarmaError(
            f"it has {len(content.files)} files; at most {limits.FILES_PER_ITEM} can be sent"
        )

    def text(value: str) -> str:
        return redactor.string(value)[0][: limits.TITLE_CHARS]

    return Manifest(
        format=FORMAT,
        team=channel.team.id,
        project=channel.project,
        member=channel.owner.tag,
        item=content.item,
        kind=content.kind,
        revision=content.revision,
        session=SessionFacts(
            agent=session.agent,
            agent_name=text(facts.agent),
            running=content.running,
            session_id=session.session_id,
            title=text(facts.title),
            branches=tuple(text(b) for b in facts.branches),
            models=tuple(text(m) for m in facts.models),
            first_activity=facts.first,
            last_activity=facts.last,
            records=content.records,
            prompts=facts.prompts,
            tokens=Tokens(**facts.tokens),
        ),
        files=content.files,
        redactions=dict(content.redactions),
        redactor=content.version,
    )


def signed(manifest: Manifest, key: SigningKey) -> bytes:
    """The manifest in a signed envelope (docs/format.md).

    Raises:
        KarmaError: the envelope is larger than receivers accept.
    """
    envelope = key.sign(PayloadType.MANIFEST, manifest.model_dump_json().encode())
    if len(envelope) > limits.MANIFEST_BYTES:
        raise KarmaError(
            f"the manifest of its {manifest.size / 10**9:.1f} GB in {len(manifest.files)} files"
            f" has {len(envelope)} bytes; at most {limits.MANIFEST_BYTES} can be sent"
        )
    return envelope
