"""Describes an item: the manifest that is signed, every text in it redacted first."""

from collections.abc import Mapping
from dataclasses import dataclass

from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import (
    FORMAT,
    ItemFile,
    ItemKind,
    Manifest,
    SessionFacts,
    Tokens,
)
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import KarmaError
from karma_sync.redact.redactor import Redactor
from karma_sync.signing import PayloadType, SigningKey


@dataclass(frozen=True)
class RevisionContent:
    """What packaging made of a session: its files, and how many cuts there were by rule.

    `running` is whether the agent has it open; None if it never said so.
    """

    item: str
    revision: int
    files: tuple[ItemFile, ...]
    running: bool | None
    redactions: Mapping[str, int]


def describe(
    channel: Channel,
    session: SourceSession,
    facts: Facts,
    content: RevisionContent,
    redactor: Redactor,
) -> Manifest:
    """The manifest of one revision.

    Raises:
        RedactionFailed: a text of it cannot be redacted.
        KarmaError: the session has more files than an item may have.
    """
    if len(content.files) > limits.FILES_PER_ITEM:
        raise KarmaError(
            f"it has {len(content.files)} files, and {limits.FILES_PER_ITEM} at most can be sent"
        )

    def text(value: str) -> str:
        return redactor.string(value)[0][: limits.TITLE_CHARS]

    return Manifest(
        format=FORMAT,
        team=channel.team.id,
        project=channel.project,
        member=channel.owner.tag,
        item=content.item,
        kind=ItemKind.SESSION,
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
            records=facts.records,
            prompts=facts.prompts,
            tokens=Tokens(**facts.tokens),
        ),
        files=content.files,
        redactions=dict(content.redactions),
        redactor=redactor.version,
    )


def signed(manifest: Manifest, key: SigningKey) -> bytes:
    """The manifest's envelope.

    Raises:
        KarmaError: it is larger than any receiver takes.
    """
    envelope = key.sign(PayloadType.MANIFEST, manifest.model_dump_json().encode())
    if len(envelope) > limits.MANIFEST_BYTES:
        raise KarmaError(
            f"what describes its {manifest.size / 10**9:.1f} GB in {len(manifest.files)} files is"
            f" {len(envelope)} bytes long, and {limits.MANIFEST_BYTES} at most can be sent"
        )
    return envelope
