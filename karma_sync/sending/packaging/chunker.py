"""Cuts redacted files into chunks: full chunks that never change, and an end that grows.

A transcript only grows, so an appended line changes only the end of its file; the full chunks
before it stay as they are. The ends of an item's files travel in its inline part (docs/format.md).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from karma_sync.agents.growing_file import (
    blocks,
    continues,
    last_line,
    open_source,
    position,
    whole_lines,
)
from karma_sync.domain import limits
from karma_sync.domain.session.manifest import ItemFile, Piece
from karma_sync.domain.session.source_files import TRANSCRIPT, PackedFile, Position, SourceFile
from karma_sync.errors import KarmaError
from karma_sync.redact.redactor import Redactor

# Takes the content of a chunk, returns its hash and its size in bytes.
Put = Callable[[bytes], tuple[str, int]]

# A session may have thousands of tool results: this limits the memory for the ends of its files
# until all files are cut.
_MOST_ENDS_BYTES = 8 * limits.INLINE_BYTES


@dataclass(frozen=True)
class CutFile:
    """One file after cutting: its chunks as (hash, size), its end, and the state to resume from.

    `cuts` counts the redactions by rule. `left` counts the bytes of the source that are left for
    the next step. `known` is the file's entry in the previous manifest if nothing changed.
    """

    name: str
    chunks: tuple[tuple[str, int], ...]
    tail: bytes
    state: PackedFile
    cuts: Mapping[str, int]
    left: int = 0
    known: ItemFile | None = None

    def sealed(self, put: Put) -> "CutFile":
        """The same file, with its end as one more chunk."""
        return replace(self, chunks=(*self.chunks, put(self.tail)), tail=b"", known=None)

    def entry(self) -> ItemFile:
        """The file's entry in the manifest."""
        if self.known:
            return self.known
        tail = Piece(sha256=hashlib.sha256(self.tail).hexdigest(), size=len(self.tail))
        hashes = [bytes.fromhex(sha) for sha, _ in self.chunks] + [bytes.fromhex(tail.sha256)]
        return ItemFile(
            path=self.name,
            size=sum(size for _, size in self.chunks) + tail.size,
            root=hashlib.sha256(b"".join(hashes)).hexdigest(),
            chunks=self.chunks,
            tail=tail,
        )


class _Cutter:
    """Passes full chunks of the added content to `put`; `tail` is the rest, less than a chunk.

    `filled` is true once a chunk became full.
    """

    def __init__(self, put: Put, sealed: Sequence[tuple[str, int]]) -> None:
        self._put = put
        self.chunks = list(sealed)
        self.tail = bytearray()
        self.filled = False

    def add(self, content: bytes) -> bool:
        """Add content; returns whether a chunk became full."""
        self.tail += content
        full = len(self.tail) >= limits.CHUNK_BYTES
        while len(self.tail) >= limits.CHUNK_BYTES:
            with memoryview(self.tail) as view:
                chunk = bytes(view[: limits.CHUNK_BYTES])
            self.chunks.append(self._put(chunk))
            del self.tail[: limits.CHUNK_BYTES]
        self.filled = self.filled or full
        return full

    def seal(self) -> None:
        """Make a chunk of `tail`, although it is not full."""
        self.chunks.append(self._put(bytes(self.tail)))
        self.tail.clear()


def cut_file(
    source: SourceFile, before: PackedFile | None, entry: ItemFile | None, put: Put, red: Redactor
) -> CutFile:
    """Redact and cut a file, from where the state `before` and the manifest `entry` end.

    Cuts one step of a large file, `limits.STEP_BYTES`. Where the file must be cut afresh and the
    outbox has an entry for it, all of it is cut at once: a receiver must not lose what it has.

    Raises:
        OSError: the file vanished, or cannot be read.
        RedactionFailed: redaction failed, and nothing of the file may leave.
    """
    with open_source(source) as opened:
        if not source.is_lines:
            return _cut_text(source, opened, put, red)
        if before is None or entry is None or not continues(opened, before.position):
            before = None
        sealed = entry.chunks[: before.sealed] if before and entry else ()
        steps = before is not None or entry is None
        most = limits.STEP_BYTES if steps else source.stat.size + 1
        return _LineCut(opened, before, _Cutter(put, sealed), red).run(source, most)


def cut_again(name: str, pieces: Iterable[bytes], put: Put, red: Redactor) -> CutFile:
    """Redact and cut once more the packaged content of a file whose source is gone.

    Raises:
        RedactionFailed, LineTooLong: nothing of the file may leave.
    """
    cutter = _Cutter(put, ())
    cuts: dict[str, int] = {}
    redact, blocks_of = red.lines, whole_lines(pieces)
    if not name.endswith(".jsonl"):
        redact, blocks_of = red.text, iter([b"".join(pieces)])
    for block in blocks_of:
        redacted = redact(block)
        cutter.add(redacted.data)
        _count(cuts, redacted.cuts)
    gone = Position(size=0, mtime_ns=0, inode=0, offset=0, fingerprint="")
    state = PackedFile(position=gone, sealed=len(cutter.chunks), cuts=cuts)
    return CutFile(name, tuple(cutter.chunks), bytes(cutter.tail), state, cuts)


class CutFiles:
    """Collects the cut files of one item by name; keeps all their ends small in memory.

    `left` counts the bytes of their sources that are left for the next step.
    """

    def __init__(self, put: Put) -> None:
        self._put = put
        self._ends = 0
        self.left = 0
        self.files: dict[str, CutFile] = {}

    def add(self, file: CutFile) -> None:
        """Add one file."""
        self.files[file.name] = file
        self.left += file.left
        self._ends += len(file.tail)
        if self._ends > _MOST_ENDS_BYTES:
            self._seal(list(self.files.values()))

    def finish(self) -> list[CutFile]:
        """All files sorted by name, with ends that fit into the inline part."""
        self._seal([self.files[name] for name in sorted(self.files)])
        return list(self.files.values())

    def _seal(self, files: list[CutFile]) -> None:
        self.files = {file.name: file for file in within_inline_limit(files, self._put)}
        self._ends = sum(len(file.tail) for file in files)


def within_inline_limit(files: list[CutFile], put: Put) -> list[CutFile]:
    """Make chunks of the largest ends if all ends together do not fit into the inline part.

    Continues until the inline part is half full, so that the next line does not seal another end.
    The transcript's end comes last: it grows with every line, and each time it is sealed makes a
    new chunk.
    """
    total = sum(len(f.tail) for f in files)
    if total <= limits.INLINE_BYTES:
        return files
    by_size = sorted(range(len(files)), key=lambda i: -len(files[i].tail))
    for index in sorted(by_size, key=lambda i: files[i].name == TRANSCRIPT):
        if total <= limits.INLINE_BYTES // 2:
            break
        total -= len(files[index].tail)
        files[index] = files[index].sealed(put)
    return files


class _LineCut:
    """One pass over a file of records, from the first line that is not wholly in a chunk."""

    def __init__(
        self, source: BinaryIO, before: PackedFile | None, cutter: _Cutter, red: Redactor
    ) -> None:
        self._source = source
        self._cutter = cutter
        self._redactor = red
        self._seen = before.position.offset if before else 0
        self._line = before.line if before else 0
        self._skip = before.skip if before else 0
        self._cuts = dict(before.cuts) if before else {}

    def run(self, file: SourceFile, most: int) -> CutFile:
        """Cut about `most` new bytes, in whole lines."""
        # not beyond the size at which the file was found: only that content was checked to leave
        stop = file.stat.size
        at, skip = self._line, self._skip
        for raw in blocks(self._source, at, self._seen):
            self._take(at, raw, skip)  # its redactions were counted when it was new
            at, skip = at + len(raw), 0
        for raw in blocks(self._source, self._seen, stop):
            _count(self._cuts, self._take(at, raw, skip))
            at, skip = at + len(raw), 0
            if at - self._seen >= most:
                break
        self._seal_long_end(at)
        left = stop - at if at - self._seen >= most else 0
        last = b"" if left else last_line(self._source, at, stop)
        state = PackedFile(
            position=position(self._source, replace(file.stat, size=stop - left), at),
            sealed=len(self._cutter.chunks),
            line=self._line,
            skip=self._skip,
            cuts=dict(self._cuts),
            waits=at < stop and not last and not left,
        )
        # a last line without a line end may still change: it is packaged, but not made part of
        # the state to resume from
        torn = self._redactor.lines(last)
        self._cutter.add(torn.data[skip:])
        cuts = dict(self._cuts)
        _count(cuts, torn.cuts)
        chunks, tail = tuple(self._cutter.chunks), bytes(self._cutter.tail)
        return CutFile(file.name, chunks, tail, state, cuts, left)

    def _seal_long_end(self, at: int) -> None:
        """Make a chunk of a long end that came in bulk; `at` is the raw offset after it."""
        if self._cutter.filled and len(self._cutter.tail) > limits.END_BYTES:
            self._cutter.seal()
            self._line, self._skip = at, 0

    def _take(self, at: int, raw: bytes, skip: int) -> Mapping[str, int]:
        redacted = self._redactor.lines(raw)
        if self._cutter.add(redacted.data[skip:]):
            boundary = len(redacted.data) - len(self._cutter.tail)
            line, self._skip = _origin(raw, redacted.data, boundary)
            self._line = at + line
        return redacted.cuts


def _origin(raw: bytes, redacted: bytes, boundary: int) -> tuple[int, int]:
    """Map an offset in redacted lines to (offset of the raw line, bytes into the redacted line).

    Redaction keeps the number of lines, so line n of the one is line n of the other.
    """
    start = redacted.rfind(b"\n", 0, boundary) + 1
    skip = boundary - start
    if redacted == raw:
        return start, skip
    raw_start = 0
    for _ in range(redacted.count(b"\n", 0, boundary)):
        raw_start = raw.index(b"\n", raw_start) + 1
    return raw_start, skip


def _cut_text(source: SourceFile, opened: BinaryIO, put: Put, red: Redactor) -> CutFile:
    if source.stat.size > limits.TEXT_FILE_BYTES:
        raise KarmaError(f"{source.path} is larger than {limits.TEXT_FILE_BYTES} bytes")
    raw = opened.read(source.stat.size)
    redacted = red.text(raw)
    cutter = _Cutter(put, ())
    cutter.add(redacted.data)
    state = PackedFile(
        position=position(opened, source.stat, len(raw)),
        sealed=len(cutter.chunks),
        cuts=dict(redacted.cuts),
    )
    tail = bytes(cutter.tail)
    return CutFile(source.name, tuple(cutter.chunks), tail, state, redacted.cuts)


def _count(into: dict[str, int], more: Mapping[str, int]) -> None:
    for rule, count in more.items():
        into[rule] = into.get(rule, 0) + count
