"""Lists a channel's folder for the receiver: its item files, retractions, and missing chunks.

It reads names, sizes and times only. Any member can write into the folder, so the receiver
verifies every file before it believes it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from karma_sync.channel.layout import (
    CHUNK_FILE,
    CHUNKS,
    IGNORES,
    ITEM_NAME,
    ITEMS,
    RETRACTED,
    RETRACTION_NAME,
    chunk_name,
    item_name,
    remove_unfinished,
    retraction_name,
)
from karma_sync.files import private_dir, write_private


class Inbox:
    """One channel's folder on disk, a peer's or my own.

    A file's signature is a text that changes when the file does: its time, size and inode.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Create the folder with its allow-list, before Syncthing gets it.

        Its directories come from the owner. If some were here, Syncthing would send an index of
        them at once, which a peer that does not know yet that the folder is here takes for an
        error, and ends the connection (docs/syncthing.md, "Connections").
        """
        private_dir(self.path)
        ignores = self.path / ".stignore"
        if not ignores.exists() or ignores.read_text(encoding="utf-8") != IGNORES:
            write_private(ignores, IGNORES.encode())

    def items(self) -> dict[str, str]:
        """The signature of every item file here, by item id, the newest first."""
        directory = self.path / ITEMS
        found = []
        for entry in os.scandir(directory) if directory.is_dir() else ():
            match = ITEM_NAME.fullmatch(entry.name)
            if match:
                stat = entry.stat(follow_symlinks=False)
                found.append((-stat.st_mtime_ns, match[1], _signature(stat)))
        return {item: signature for _, item, signature in sorted(found)}

    def signature(self, item: str) -> str | None:
        """The signature of one item file; None if the file does not exist."""
        try:
            return _signature((self.path / item_name(item)).lstat())
        except OSError:
            return None

    def retractions(self) -> dict[str, str]:
        """The signature of every retraction here, by item id."""
        directory = self.path / RETRACTED
        found = {}
        for entry in os.scandir(directory) if directory.is_dir() else ():
            match = RETRACTION_NAME.fullmatch(f"{RETRACTED}/{entry.name}")
            if match:
                found[match[1]] = _signature(entry.stat(follow_symlinks=False))
        return found

    def retraction(self, item: str) -> str | None:
        """The signature of one retraction; None if the file does not exist."""
        try:
            return _signature((self.path / retraction_name(item)).lstat())
        except OSError:
            return None

    def drop_unfinished(self, item: str, hashes: Iterable[str]) -> None:
        """Delete the temporary files of an item that Syncthing began to pull and never finishes."""
        remove_unfinished(self.path, [item_name(item), *map(chunk_name, hashes)])

    def missing(self, hashes: Iterable[str]) -> set[str]:
        """The hashes among `hashes` that have no chunk file here yet."""
        return {sha for sha in hashes if not (self.path / chunk_name(sha)).exists()}

    def chunks(self) -> dict[str, list[Path]]:
        """The paths of all chunks here, by hash, also of those that Syncthing is still pulling."""
        found: dict[str, list[Path]] = {}
        for path in (self.path / CHUNKS).glob("??/*.*"):
            match = CHUNK_FILE.fullmatch(path.name)
            if match:
                found.setdefault(match[2], []).append(path)
        return found


def _signature(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns}.{stat.st_size}.{stat.st_ino}"
