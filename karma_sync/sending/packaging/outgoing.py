"""Passes the files of a session on as they leave: records are chosen first, then redacted.

The packager and all previews use it, so that what is shown is what leaves.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

from karma_sync.agents.claude.choosing import ClaudeRecords
from karma_sync.agents.record_choice import Chosen, RecordChoice, RecordChooser, WithheldRecords
from karma_sync.domain.session.frame import GIVEN, RULE
from karma_sync.domain.session.profile import MAY_BE_GIVEN, TRANSCRIPTS, Profile, kind_of
from karma_sync.domain.session.source_files import PackedFile, is_lines
from karma_sync.errors import RedactionFailed
from karma_sync.redact.redactor import Redactor

_CHOICES: Mapping[str, type[ClaudeRecords]] = {"claude-code": ClaudeRecords}


@dataclass(frozen=True)
class OutgoingPart:
    """A part of a file as it leaves.

    `cuts` counts the redactions by rule, `records` the lines, `withheld` the records that stay
    here. `starts` is that of `Chosen`.
    """

    data: bytes
    cuts: Mapping[str, int]
    records: int = 0
    withheld: WithheldRecords = field(default_factory=WithheldRecords)
    starts: Sequence[int] | None = None


class Outgoing:
    """Chooses and redacts the content of an agent's sessions that leaves under one profile.

    `version` changes whenever the same session might leave in another form: with the redactor, the
    profile, or the tables of records.
    """

    def __init__(self, redactor: Redactor, agent: str, profile: Profile) -> None:
        self._redactor = redactor
        self._agent = agent
        self._choice = _choice(agent.partition("/")[0], profile)
        text = f"{redactor.version} {self._choice.version if self._choice else ''}"
        self.version = hashlib.sha256(text.encode()).hexdigest()[:16]

    def file(
        self, name: str, before: PackedFile | None = None, outputs: Iterable[str] = ()
    ) -> "OutgoingFile":
        """A file of a session, by its name inside the item; reading continues after `before`.

        `outputs` are those that other transcripts of the session name.

        Raises:
            RedactionFailed: this version does not know the records of the agent.
        """
        chooser = None
        if kind_of(name) in TRANSCRIPTS:
            if self._choice is None:
                raise RedactionFailed(f"the records of agent {self._agent} are not known")
            answers = before.answers if before else {}
            known = before.outputs if before else ()
            chooser = self._choice.chooser(answers, {*known, *outputs})
        given = frozenset(outputs)
        choice = self._choice if given and kind_of(name) in MAY_BE_GIVEN else None
        is_given = partial(choice.is_given, outputs=given) if choice else None
        return OutgoingFile(self._redactor, chooser, is_lines(name), is_given)


class OutgoingFile:
    """Passes the parts of one file, in their order."""

    def __init__(
        self,
        redactor: Redactor,
        chooser: RecordChooser | None,
        lines: bool,
        is_given: Callable[[str], bool] | None = None,
    ) -> None:
        self._redactor = redactor
        self._is_given = is_given
        self._chooser = chooser
        self._is_lines = lines

    def part(self, raw: bytes) -> OutgoingPart:
        """A block of whole lines as it leaves; of a text file, all of it.

        Raises:
            RedactionFailed: nothing of `raw` may leave.
        """
        if self._is_given and self._is_given(raw.decode(errors="replace")):
            return OutgoingPart(GIVEN.encode(), {RULE: 1})
        if not self._is_lines:
            redacted = self._redactor.text(raw)
            return OutgoingPart(redacted.data, redacted.cuts)
        chosen = self._chooser.choose(raw) if self._chooser else _all(raw)
        redacted = self._redactor.lines(chosen.data)
        return OutgoingPart(
            redacted.data, redacted.cuts, chosen.records, chosen.withheld, chosen.starts
        )

    @property
    def answers(self) -> dict[str, bool]:
        """The calls of karma-sync's reading commands so far; see `RecordChooser`."""
        return dict(self._chooser.answers) if self._chooser else {}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files and tasks that hold results of those calls; see `RecordChooser`."""
        return tuple(sorted(self._chooser.outputs)) if self._chooser else ()


@lru_cache
def _choice(program: str, profile: Profile) -> RecordChoice | None:
    known = _CHOICES.get(program)
    return known(profile) if known else None


def _all(raw: bytes) -> Chosen:
    count = sum(1 for line in raw.split(b"\n") if line and not line.isspace())
    return Chosen(raw, None, count, WithheldRecords())
