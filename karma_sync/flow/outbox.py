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
from karma_sync.paths import (
    TEMPORARY,
    Staged,
    private_dir,
    put_in_place,
    stage_private,
    write_private,
)

# So many chunks are made durable together: one by one, the disk's journal is waited for each time.
_TOGETHER = 64


class Outbox:
    """One channel of mine on disk; `written` collects names that Syncthing must be told of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[str] = []
        self._fresh: list[str] = []
        self._staged: dict[str, Staged] = {}

    def sweep(self) -> None:
        """Remove what a crash left half-written; nobody may be writing at that time."""
        for part in (ITEMS, CHUNKS):
            for path in (self.path / part).rglob(f"{TEMPORARY}*"):
                path.unlink(missing_ok=True)

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
        """Write a chunk; one that is there stays, for its name is its content.

        It is in its place, durably, before `put_item` writes the item it belongs to.
        """
        name = chunk_name(sha256)
        path = self.path / name
        if name in self._staged or path.exists():
            return
        private_dir(path.parent)
        # peers pull the newest first: a file is as new as the activity it carries
        self._staged[name] = stage_private(path, frame, mtime_ns)
        if len(self._staged) >= _TOGETHER:
            self._settle()

    def put_item(self, item: str, raw: bytes, mtime_ns: int) -> None:
        """Replace an item's file at once; the chunks written before it belong to it now."""
        self._settle()
        write_private(self.path / item_name(item), raw, mtime_ns)
        self.written.append(item_name(item))
        self._fresh.clear()

    def _settle(self) -> None:
        """Put the chunks that were written into their places, durably."""
        staged, self._staged = self._staged, {}
        self._fresh += staged
        self.written += staged
        put_in_place(list(staged.values()))

    def undo(self) -> None:
        """Take back the chunks of an item that could not be finished."""
        for staged in self._staged.values():
            staged.discard()
        self._staged.clear()
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
