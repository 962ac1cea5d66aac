"""Writes my outboxes so that no peer ever sees a part of a file, or an item without its chunks.

Every file is first written completely under a name that Syncthing ignores, synced to disk, and
then renamed; chunks come before the items that name them.
"""

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

# The most chunks that wait to be made durable together; one by one, each would wait for the
# disk's journal.
_MOST = 32
_STEP_NS = 1_000  # between the file times of two revisions of an item


class Outbox:
    """One of my channels on disk; `written` collects the names that Syncthing must rescan.

    With `batched`, items wait until `flush` makes all of them durable at once; every method that
    reads, lists or removes files flushes first. All of them raise NotWritable if the folder or its
    disk cannot be written; nothing that waited gets into its place then.

    `siblings` gives my other outboxes: a chunk that one of them has is linked where that is
    possible, so that it needs space once (ADR 16).
    """

    def __init__(
        self,
        path: Path,
        *,
        batched: bool = False,
        siblings: Callable[[], Iterable["Outbox"]] = tuple,
    ) -> None:
        self.path = path
        self.written: list[str] = []
        self._batched = batched
        self._siblings = siblings
        self._chunks: dict[str, Future[Staged]] = {}
        self._helper = ThreadPoolExecutor(1, "chunks")
        self._items: dict[str, Item] = {}
        self._placing: Batch | None = None
        self._fresh: list[str] = []  # the chunks put since the last item

    def prepare(self) -> None:
        """Create the folder with its allow-list and a first file, before it is shared.

        A folder that is shared while empty can stall for ever (docs/syncthing.md, "Sharing
        again"). Files that peers put in the place of a directory during a recovery are deleted.
        """
        private_dir(self.path)
        for part in (ITEMS, CHUNKS, RETRACTED):
            place = self.path / part
            if place.is_symlink() or place.is_file():
                place.unlink()
            private_dir(place)
        for name, content in ((".stignore", IGNORES.encode()), (FORMAT_FILE, FORMAT_BYTES)):
            path = self.path / name
            if not path.exists() or path.read_bytes() != content:
                write_private(path, content)

    def put_chunk(self, sha256: str, content: bytes, mtime_ns: int) -> None:
        """Compress and write a chunk, unless it exists: its name is the hash of its content.

        It is durably in its place before the item that names it. `mtime_ns` is its file time in
        Unix nanoseconds.
        """
        name = chunk_name(sha256)
        path = self.path / name
        if self._staged(name) or path.exists():
            return
        with self._writing():
            private_dir(path.parent)
            # on another core: neither zstd nor the disk needs Python's lock
            twins = [(box._staged(name), box.path / name) for box in self._siblings()]
            self._chunks[name] = self._helper.submit(stage, path, content, mtime_ns, twins)
            self._fresh.append(name)
        if len(self._chunks) >= _MOST:
            self._start_placing({})

    def put_item(self, item: str, raw: bytes, mtime_ns: int, on_placed: Callable[[], None]) -> None:
        """Replace an item's file; `on_placed` is called when that is done, in `flush` at latest.

        The chunks put since the last item belong to this one. It ends a retraction of the item.
        """
        name = item_name(item)
        if self._is_waiting(name):
            self.flush()
        mtime_ns = max(mtime_ns, self._newer_mtime(item))
        staged = self._helper.submit(stage_private, self.path / name, raw, mtime_ns)
        self._items[name] = staged, on_placed
        self._fresh.clear()
        if not self._batched:
            self.flush()

    def flush(self) -> None:
        """Put everything that waits into its place, durably: first the chunks, then the items.

        Raises:
            NotWritable: items that are not in their places stay as they were before.
        """
        self.flush_in_background()
        self._finish_placing()

    def flush_in_background(self) -> None:
        """Begin to `flush` in another thread, after waiting for the flush that the last call began.

        `written` gets only the files that are in their places.

        Raises:
            NotWritable: as in `flush`, for the files that the last call began to place.
        """
        items, self._items = self._items, {}
        self._start_placing(items)

    def drop_waiting(self) -> None:
        """Delete what waits for its place: nothing more is sent.

        Raises:
            NotWritable: as in `flush`, for the files that were being placed.
        """
        try:
            self._finish_placing()
        finally:
            self._discard_all()

    def retract(self, item: str, envelope: bytes) -> None:
        """Replace an item's file with a retraction.

        Raises:
            NotWritable: the item's file is still there.
        """
        self.flush()
        with self._writing():
            private_dir(self.path / RETRACTED)
            write_private(self.path / retraction_name(item), envelope)
        self.written.append(retraction_name(item))
        self._remove(item_name(item))

    def _start_placing(self, items: dict[str, Item]) -> None:
        """Have the helper thread put all chunks into their places, and then these items."""
        try:
            self._finish_placing()
        except BaseException:
            discard(staged for staged, _ in items.values())
            raise
        chunks, self._chunks = self._chunks, {}
        if chunks or items:
            staged = [staged for staged, _ in items.values()]
            done = self._helper.submit(place, list(chunks.values()), staged)
            self._placing = Batch(chunks, items, done)

    def _finish_placing(self) -> None:
        """Wait for the batch that is being placed, and report its files as written."""
        batch, self._placing = self._placing, None
        if batch is None:
            return
        with self._writing():
            try:
                batch.done.result()
            except BaseException:
                self._discard_all()  # a waiting item may name a chunk that was not placed
                raise
        self.written += [*batch.chunks, *batch.items]
        for name, (_, on_placed) in batch.items.items():
            self._remove(retraction_name(Path(name).stem))
            on_placed()

    def _discard_all(self) -> None:
        chunks, self._chunks = self._chunks, {}
        items, self._items = self._items, {}
        discard([*chunks.values(), *(staged for staged, _ in items.values())])

    def _staged(self, chunk: str) -> Future[Staged] | None:
        """The staged file of a chunk that is not in its place yet; None if it is not staged."""
        found = self._chunks.get(chunk)
        return self._placing.chunks.get(chunk) if found is None and self._placing else found

    def _is_waiting(self, item: str) -> bool:
        return item in self._items or (self._placing is not None and item in self._placing.items)

    def _newer_mtime(self, item: str) -> int:
        """A file time later than the time of the item's present file; 0 if it has none.

        Syncthing takes a file of the same size and time for the same file, and the next revision
        of a session often has the same size.
        """
        try:
            return (self.path / item_name(item)).lstat().st_mtime_ns + _STEP_NS
        except FileNotFoundError:
            return 0

    def undo(self) -> None:
        """Remove the chunks put since the last item: the item they are for was not finished."""
        fresh, self._fresh = self._fresh, []
        if self._placing:
            wait([self._placing.done])
        with self._writing():
            for name in fresh:
                made = self._chunks.pop(name, None)
                if made is None:
                    (self.path / name).unlink(missing_ok=True)
                else:
                    discard([made])

    def read_chunk(self, sha256: str) -> bytes:
        """The zstd frame of a chunk.

        Raises:
            FileNotFoundError: the outbox has no such chunk.
        """
        self.flush()
        return (self.path / chunk_name(sha256)).read_bytes()

    def read_item(self, item: str) -> bytes | None:
        """The bytes of an item's file; None if it does not exist."""
        if self._is_waiting(item_name(item)):
            self.flush()
        try:
            return (self.path / item_name(item)).read_bytes()
        except FileNotFoundError:
            return None

    def has_item(self, item: str) -> bool:
        """Whether an item's file exists."""
        self.flush()
        return (self.path / item_name(item)).exists()

    def items(self) -> list[str]:
        """The ids of all items that have a file here, sorted."""
        self.flush()
        found = map(ITEM_NAME.fullmatch, sorted(p.name for p in (self.path / ITEMS).iterdir()))
        return [match[1] for match in found if match]

    def retracted(self) -> list[str]:
        """The ids of all items that have a retraction here, sorted."""
        found = (f"{RETRACTED}/{p.name}" for p in sorted((self.path / RETRACTED).iterdir()))
        return [match[1] for match in map(RETRACTION_NAME.fullmatch, found) if match]

    def read_retraction(self, item: str) -> bytes | None:
        """The signed envelope of a retraction; None if it does not exist."""
        try:
            return (self.path / retraction_name(item)).read_bytes()
        except FileNotFoundError:
            return None

    def chunks(self) -> set[str]:
        """The hashes of all chunks here, also of chunks that no item names."""
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
