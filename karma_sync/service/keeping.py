"""Puts back documents that somebody deleted or forged, so that a new member is not starved.

Any holder of the newest accepted envelope may put back exactly those bytes. After a time chosen
by chance, so that not all do it at once, and at most once a minute for each file.
"""

import random
import time

from karma_sync.paths import metadata_folder
from karma_sync.service.context import Context
from karma_sync.service.signing import Written
from karma_sync.store import state

_WAIT_S = (1.0, 10.0)
_EVERY_S = 60.0


class Keeper:
    """Watches the files of the others' documents; mine are written back at once elsewhere."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._due: dict[tuple[str, str], float] = {}
        self._done: dict[tuple[str, str], float] = {}
        self._chance = random.SystemRandom()

    @property
    def wait(self) -> float | None:
        """Seconds until the next file is due; None if all is as it should be."""
        if not self._due:
            return None
        return max(0.05, min(self._due.values()) - time.monotonic())

    def put_back(self, team_id: str) -> list[Written]:
        """Write what is missing and due; the files written."""
        folder_id = metadata_folder(team_id)
        if not (self._context.paths.folder(folder_id) / ".stfolder").exists():
            return []
        folder = self._context.metadata(folder_id)
        with self._context.store.reading() as tx:
            others = [d for d in state.documents(tx, team_id) if d.writer != self._context.me.key]
        written = []
        for document in others:
            name = folder.name(document.kind, document.writer)
            if folder.holds(document.kind, document.writer, document.envelope):
                self._due.pop((folder_id, name), None)
            elif self._is_due((folder_id, name)):
                folder.put(document.kind, document.writer, document.envelope)
                written.append(Written(folder_id, name))
        return written

    def _is_due(self, key: tuple[str, str]) -> bool:
        now = time.monotonic()
        earliest = self._done.get(key, now - _EVERY_S) + _EVERY_S
        due = self._due.setdefault(key, max(earliest, now + self._chance.uniform(*_WAIT_S)))
        if now < due:
            return False
        del self._due[key]
        self._done[key] = now
        return True
