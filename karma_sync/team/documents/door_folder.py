"""Reads and writes the files of a door: the folder through which one device asks to join a team.

The other side can put anything into it, so names are fixed, sizes bounded, and links not followed.
"""

import os
from pathlib import Path

from karma_sync.domain import limits
from karma_sync.files import write_private
from karma_sync.team.documents.folder import clear, content, prepare

OFFER, REQUEST, ANSWER = "offer.json", "request.json", "answer.json"
# The newcomer's first file: a folder that never held a file may stand still when it is shared again
# (docs/syncthing.md).
KNOCK = "knock.json"
_NAMES = (OFFER, REQUEST, ANSWER, KNOCK)
IGNORES = "".join(f"!/{name}\n" for name in _NAMES) + "*\n"


class DoorFolder:
    """One door's directory; it need not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the directory with its allow-list."""
        prepare(self._path, IGNORES)

    def read(self, name: str) -> bytes | None:
        """A file's bytes, at most one above the limit; None if it is not there."""
        return content(self._path / name, limits.DOOR_PAPER_BYTES)

    def write(self, name: str, raw: bytes) -> str | None:
        """Write my own file unless it holds these bytes; returns its name if it was written."""
        if self.read(name) == raw:
            return None
        self.prepare()
        clear(self._path / name, keep_directory=False)
        write_private(self._path / name, raw)
        return name

    @property
    def is_full(self) -> bool:
        """Whether somebody put more into it than it may hold."""
        count = size = 0
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if entry.name.startswith(".st"):
                        continue  # Syncthing's own
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if count > limits.DOOR_FILES or size > limits.DOOR_BYTES:
                        return True
        except OSError:
            return False
        return False
