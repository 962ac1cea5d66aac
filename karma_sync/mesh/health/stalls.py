"""Notices folders that Syncthing has given up filling without a word, and reports why if it can.

Since 2.0.4 Syncthing forgets the error of a temporary file that it cannot create: the folder is
idle and needs something, but has no error, and is not tried again (docs/syncthing.md, "Faults").
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.files import TEMPORARY
from karma_sync.paths import Paths
from karma_sync.runtime.timing import RETRY_S
from karma_sync.syncthing.wire import FolderStatus, Needed

_PATIENCE_S = 3.0  # an idle folder that needs something may be about to fetch it
_LONGEST_S = 60.0
_NAMES = 50  # needed files whose holders are asked for, at most


class StallPort(Protocol):
    """The calls to Syncthing that finding a stall makes."""

    def needed(self, folder: str, most: int = 1000) -> list[Needed]: ...
    def holders(self, folder: str, name: str) -> frozenset[str]: ...


@dataclass(frozen=True)
class Stall:
    """The fault of a folder, "" if it has none; `pull`: have Syncthing fetch again now."""

    why: str = ""
    pull: bool = False


@dataclass(frozen=True)
class _Suspect:
    """A folder that may have stalled: when to look again, the pause after that, what was said."""

    due: float
    pause_s: float
    why: str = ""


class Stalls:
    """Watches receiving folders that are idle and need something; used by one thread."""

    def __init__(
        self, syncthing: StallPort, paths: Paths, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._syncthing = syncthing
        self._paths = paths
        self._monotonic = monotonic
        self._suspects: dict[str, _Suspect] = {}

    @property
    def folders(self) -> set[str]:
        """The IDs of the folders that may have stalled."""
        return set(self._suspects)

    @property
    def wait(self) -> float | None:
        """Seconds until one of them is to be looked at again; None if there are none."""
        due = min((each.due for each in self._suspects.values()), default=None)
        return None if due is None else max(0.0, due - self._monotonic())

    def keep(self, folders: set[str]) -> None:
        """Forget all folders but these."""
        self._suspects = {name: s for name, s in self._suspects.items() if name in folders}

    def forget(self, folder: str) -> None:
        """A folder fails for a reason that is known: it is not one that stands still."""
        self._suspects.pop(folder, None)

    def find(self, folder: Folder, status: FolderStatus) -> Stall:
        """Whether a folder has stalled, by a status in which Syncthing names no error.

        Raises:
            SyncthingError: Syncthing does not answer, or has no such folder any more.
        """
        receives = folder.type is not FolderType.SEND_ONLY
        if not (receives and status.state == "idle" and status.need_items):
            self._suspects.pop(folder.id, None)
            return Stall()
        now = self._monotonic()
        suspect = self._suspects.setdefault(
            folder.id, _Suspect(now + _PATIENCE_S, pause_s=_PATIENCE_S)
        )
        if now < suspect.due:
            return Stall(suspect.why)
        if not suspect.why and not self._is_held(folder.id):
            del self._suspects[folder.id]  # nobody who has it is connected
            return Stall()
        refusal = _refusal(self._paths.folder(folder.id))
        if refusal:
            self._suspects[folder.id] = _Suspect(now + RETRY_S, _PATIENCE_S, refusal)
            return Stall(refusal)
        return self._pull(folder.id, suspect, status, now)

    def _pull(self, folder: str, suspect: _Suspect, status: FolderStatus, now: float) -> Stall:
        """Have it fetched; if that was in vain before, it is a fault and tried less often."""
        pause_s = min(2 * suspect.pause_s, _LONGEST_S)
        why = ""
        if suspect.pause_s > _PATIENCE_S:
            why = f"Syncthing does not fetch {status.need_items} items that a connected device has"
        self._suspects[folder] = _Suspect(now + suspect.pause_s, pause_s, why)
        return Stall(why, pull=True)

    def _is_held(self, folder: str) -> bool:
        """Whether a connected device has something that the folder needs."""
        needed = self._syncthing.needed(folder, _NAMES)
        return any(self._syncthing.holders(folder, f.name) for f in needed if not f.deleted)


def _refusal(folder: Path) -> str:
    """The reason why a folder, or a directory in it, cannot be written; "" if all can."""
    for directory, below, _ in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        try:
            with tempfile.TemporaryFile(dir=directory, prefix=TEMPORARY, suffix=".part") as probe:
                probe.write(b"?")
        except OSError as error:
            return f"{directory} cannot be written: {error.strerror}"
    return ""
