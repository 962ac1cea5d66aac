"""Writes my outboxes: every file complete under a name Syncthing ignores, fsynced, renamed."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from karma_sync.channel.layout import (
    CHUNKS,
    FORMAT_BYTES,
    FORMAT_FILE,
    IGNORES,
    ITEM_NAME,
    ITEMS,
    RETRACTED,
    RETRACTION_NAME,
    chunk_name,
    item_name,
    retraction_name,
)
from karma_sync.channel.staging import Batch, Item, discard, place, stage
from karma_sync.errors import NotWritable
from karma_sync.files import Staged, private_dir, stage_private, write_private

# So many chunks wait at most to be made durable together; one by one, each would wait for the
# disk's journal.
_MOST = 32
_STEP_NS = 1_000


class Outbox:
    """One channel of mine on disk; `written` collects names that Syncthing must be told of.

    With `together`, items wait until `flush` makes all of them durable at once: whoever reads,
    lists or removes something here flushes first. All of that raises NotWritable where the
    folder, or the disk below it, does not let us write; then nothing that waited gets to its place.

    `beside` are my other outboxes: a chunk that one of them has is linked, where that can be.
    """

    def __init__(
        self,
        path: Path,
        *,
        together: bool = False,
        beside: Callable[[], Iterable["Outbox"]] = tuple,
    ) -> None:
        self.path = path
        self.written: list[str] = []
        self._together = together
        self._beside = beside
        self._chunks: dict[str, Future[Staged]] = {}
        self._helper = ThreadPoolExecutor(1, "chunks")
        self._items: dict[str, Item] = {}
        self._behind: Batch | None = None
        self._fresh: list[str] = []  # the chunks of the item that is being written

    def prepare(self) -> None:
        """Make the folder with its allow-list and a first file, before it is shared.

        A folder that was shared while empty can stall for ever: docs/syncthing.md, "Sharing
        again".
        """
        private_dir(self.path)
        for part in (ITEMS, CHUNKS, RETRACTED):
            private_dir(self.path / part)
        for name, content in ((".stignore", IGNORES.encode()), (FORMAT_FILE, FORMAT_BYTES)):
            path = self.path / name
            if not path.exists() or path.read_bytes() != content:
                write_private(path, content)

    def put_chunk(self, sha256: str, content: bytes, mtime_ns: int) -> None:
        """Compress and write a chunk; one that is there stays, for its name is its content.

        It is in its place, durably, before the item it belongs to is.
        """
        name = chunk_name(sha256)
        path = self.path / name
        if self._staged(name) or path.exists():
            return
        with self._writing():
            private_dir(path.parent)
            # on another core meanwhile: zstd and the disk need nothing of Python's
            twins = [(box._staged(name), box.path / name) for box in self._beside()]
            self._chunks[name] = self._helper.submit(stage, path, content, mtime_ns, twins)
            self._fresh.append(name)
        if len(self._chunks) >= _MOST:
            self._begin({})

    def put_item(self, item: str, raw: bytes, mtime_ns: int, then: Callable[[], None]) -> None:
        """Replace an item's file at once; calls `then` when that is done, in `flush` at the latest.

        The chunks written before it belong to it now. A retraction of it is over.
        """
        name = item_name(item)
        if self._waits(name):
            self.flush()
        mtime_ns = max(mtime_ns, self._later_than(item))
        staged = self._helper.submit(stage_private, self.path / name, raw, mtime_ns)
        self._items[name] = staged, then
        self._fresh.clear()
        if not self._together:
            self.flush()

    def flush(self) -> None:
        """Put everything into its place, durably: first the chunks, then the items.

        Raises:
            NotWritable: the items that are not in their places stay as they were before.
        """
        self.flush_behind()
        self._finish()

    def flush_behind(self) -> None:
        """Begin to `flush`, and end what the last call began; `written` tells only what is done.

        Raises:
            NotWritable: as `flush` does, of what the last call began.
        """
        items, self._items = self._items, {}
        self._begin(items)

    def retract(self, item: str, envelope: bytes) -> None:
        """Put a retraction in the place of an item's file.

        Raises:
            NotWritable: the item's file is still there.
        """
        self.flush()
        with self._writing():
            private_dir(self.path / RETRACTED)
            write_private(self.path / retraction_name(item), envelope)
        self.written.append(retraction_name(item))
        self._remove(item_name(item))

    def _begin(self, items: dict[str, Item]) -> None:
        """Have the helper put all chunks into their places, then these items."""
        try:
            self._finish()
        except BaseException:
            discard(staged for staged, _ in items.values())
            raise
        chunks, self._chunks = self._chunks, {}
        if chunks or items:
            staged = [staged for staged, _ in items.values()]
            done = self._helper.submit(place, list(chunks.values()), staged)
            self._behind = Batch(chunks, items, done)

    def _finish(self) -> None:
        """Wait until what was begun is in its place."""
        batch, self._behind = self._behind, None
        if batch is None:
            return
        with self._writing():
            try:
                batch.done.result()
            except BaseException:
                self._discard_all()  # an item that waits may name a chunk that is not there
                raise
        self.written += [*batch.chunks, *batch.items]
        for name, (_, then) in batch.items.items():
            self._remove(retraction_name(Path(name).stem))
            then()

    def _discard_all(self) -> None:
        chunks, self._chunks = self._chunks, {}
        items, self._items = self._items, {}
        discard([*chunks.values(), *(staged for staged, _ in items.values())])

    def _staged(self, chunk: str) -> Future[Staged] | None:
        """A chunk that is not in its place yet."""
        found = self._chunks.get(chunk)
        return self._behind.chunks.get(chunk) if found is None and self._behind else found

    def _waits(self, item: str) -> bool:
        return item in self._items or (self._behind is not None and item in self._behind.items)

    def _later_than(self, item: str) -> int:
        """A modification time that the item does not have yet.

        Syncthing takes a file of the same size and time for the same file, and a session that is
        packaged anew under the next revision often has the size it had.
        """
        try:
            return (self.path / item_name(item)).lstat().st_mtime_ns + _STEP_NS
        except FileNotFoundError:
            return 0

    def undo(self) -> None:
        """Take back the chunks of an item that could not be finished."""
        fresh, self._fresh = self._fresh, []
        if self._behind:
            wait([self._behind.done])
        with self._writing():
            for name in fresh:
                made = self._chunks.pop(name, None)
                if made is None:
                    (self.path / name).unlink(missing_ok=True)
                else:
                    discard([made])

    def read_chunk(self, sha256: str) -> bytes:
        """A chunk's frame.

        Raises:
            FileNotFoundError: there is none.
        """
        self.flush()
        return (self.path / chunk_name(sha256)).read_bytes()

    def read_item(self, item: str) -> bytes | None:
        """An item's file as it lies there; None if there is none."""
        if self._waits(item_name(item)):
            self.flush()
        try:
            return (self.path / item_name(item)).read_bytes()
        except FileNotFoundError:
            return None

    def has_item(self, item: str) -> bool:
        """Whether an item's file is there."""
        self.flush()
        return (self.path / item_name(item)).exists()

    def items(self) -> list[str]:
        """The ids of all items whose file is there."""
        self.flush()
        found = map(ITEM_NAME.fullmatch, sorted(p.name for p in (self.path / ITEMS).iterdir()))
        return [match[1] for match in found if match]

    def retracted(self) -> list[str]:
        """The ids of all items whose retraction is there."""
        found = (f"{RETRACTED}/{p.name}" for p in sorted((self.path / RETRACTED).iterdir()))
        return [match[1] for match in map(RETRACTION_NAME.fullmatch, found) if match]

    def read_retraction(self, item: str) -> bytes | None:
        """A retraction's envelope; None if there is none."""
        try:
            return (self.path / retraction_name(item)).read_bytes()
        except FileNotFoundError:
            return None

    def chunks(self) -> set[str]:
        """The hashes of all chunks that lie here, named by an item or not."""
        self.flush()
        found = (self.path / CHUNKS).glob("??/*.zst")
        return {path.stem for path in found}

    def remove_chunk(self, sha256: str) -> None:
        """Delete a chunk that no manifest names any more."""
        self.flush()
        self._remove(chunk_name(sha256))

    def take_written(self) -> list[str]:
        """The names written since the last call."""
        names, self.written = self.written, []
        return names

    def _remove(self, name: str) -> None:
        with self._writing():
            try:
                (self.path / name).unlink()
            except FileNotFoundError:
                return
        self.written.append(name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or error
            raise NotWritable(f"{self.path} cannot be written: {why}") from error
