"""Writes my outboxes: every file complete under a name Syncthing ignores, fsynced, renamed."""

from pathlib import Path

from karma_sync.flow.layout import (
    CHUNKS,
    FORMAT_BYTES,
    FORMAT_FILE,
    IGNORES,
    ITEMS,
    chunk_name,
    item_name,
)
from karma_sync.paths import private_dir, write_private


class Outbox:
    """One channel of mine on disk; `written` collects names that Syncthing must be told of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[str] = []
        self._fresh: list[str] = []

    def prepare(self) -> None:
        """Make the folder with its allow-list and a first file, before it is shared.

        A folder that was shared while empty can stall for ever (SYNCTHING.md section 6).
        """
        private_dir(self.path)
        for part in (ITEMS, CHUNKS):
            private_dir(self.path / part)
        for name, content in ((".stignore", IGNORES.encode()), (FORMAT_FILE, FORMAT_BYTES)):
            path = self.path / name
            if not path.exists() or path.read_bytes() != content:
                write_private(path, content)

    def put_chunk(self, sha256: str, frame: bytes, mtime_ns: int) -> None:
        """Write a chunk; one that is there stays, for its name is its content."""
        path = self.path / chunk_name(sha256)
        if not path.exists():
            private_dir(path.parent)
            self._write(chunk_name(sha256), frame, mtime_ns)
            self._fresh.append(chunk_name(sha256))

    def put_item(self, item: str, raw: bytes, mtime_ns: int) -> None:
        """Replace an item's file at once; the chunks written before it belong to it now."""
        self._write(item_name(item), raw, mtime_ns)
        self._fresh.clear()

    def undo(self) -> None:
        """Take back the chunks of an item that could not be finished."""
        for name in self._fresh:
            (self.path / name).unlink(missing_ok=True)
            self.written.remove(name)
        self._fresh.clear()

    def read_chunk(self, sha256: str) -> bytes:
        """A chunk's frame.

        Raises:
            FileNotFoundError: there is none.
        """
        return (self.path / chunk_name(sha256)).read_bytes()

    def read_item(self, item: str) -> bytes | None:
        """An item's file as it lies there; None if there is none."""
        try:
            return (self.path / item_name(item)).read_bytes()
        except FileNotFoundError:
            return None

    def has_item(self, item: str) -> bool:
        """Whether an item's file is there."""
        return (self.path / item_name(item)).exists()

    def remove_chunk(self, sha256: str) -> None:
        """Delete a chunk that no manifest names any more."""
        (self.path / chunk_name(sha256)).unlink(missing_ok=True)
        self.written.append(chunk_name(sha256))

    def take_written(self) -> list[str]:
        """The names written since the last call."""
        names, self.written = self.written, []
        return names

    def _write(self, name: str, content: bytes, mtime_ns: int) -> None:
        # peers pull the newest first: a file is as new as the activity it carries
        write_private(self.path / name, content, mtime_ns)
        self.written.append(name)
