"""Puts back documents of other members that somebody deleted or forged, for members who join later.

Every member that has the newest accepted envelope may put back exactly its bytes. It waits for a
random time first, so that not all members write at once, and writes each file at most once a
minute.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from karma_sync.domain.team.team import Team
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.folder import MetadataFolder
from karma_sync.team.documents.stored import ROSTER

_WAIT_S = (1.0, 10.0)
_EVERY_S = 60.0


@dataclass(frozen=True)
class HeldDocument:
    """The newest accepted envelope of a writer."""

    kind: str
    writer: str
    envelope: bytes


class PutBack:
    """Puts other members' files back; `Signer` and `Receipts` write mine back at once."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context
        self._due: dict[tuple[str, str], float] = {}  # of what this run found missing
        self._due_before: dict[tuple[str, str], float] = {}  # of what the run before did
        self._written: dict[tuple[str, str], float] = {}
        self._random = random.SystemRandom()

    def begin_run(self) -> None:
        """Begin to look at all teams. A file that is not found missing again is not due any more.

        The team may have ended, the writer may have left, or nothing may be written there now.
        """
        self._due_before, self._due = self._due, {}

    @property
    def wait(self) -> float | None:
        """Seconds until the next file is due; None if the last run found none missing."""
        if not self._due:
            return None
        return max(0.05, min(self._due.values()) - self._context.monotonic())

    def put_back(
        self, folder_id: str, folder: MetadataFolder, held: Iterable[HeldDocument]
    ) -> list[str]:
        """Write the files that are missing or changed, and due; returns their names."""
        if not (self._context.paths.folder(folder_id) / ".stfolder").exists():
            return []
        written = []
        for document in held:
            name = folder.name(document.kind, document.writer)
            if document.writer == self._context.me.key:
                continue
            if folder.holds(document.kind, document.writer, document.envelope):
                continue
            if self._is_due((folder_id, name)):
                folder.put(document.kind, document.writer, document.envelope)
                written.append(name)
        return written

    def _is_due(self, key: tuple[str, str]) -> bool:
        now = self._context.monotonic()
        earliest = self._written.get(key, now - _EVERY_S) + _EVERY_S
        due = max(earliest, now + self._random.uniform(*_WAIT_S))
        due = self._due_before.get(key, due)
        if now < due:
            self._due[key] = due
            return False
        self._written[key] = now
        return True


def counts(team: Team, kind: str, writer: str) -> bool:
    """Whether a document still counts: not a former leader's roster, nor a former member's."""
    return writer == team.publisher if kind == ROSTER else team.anybody(writer) is not None
