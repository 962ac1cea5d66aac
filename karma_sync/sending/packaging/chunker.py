"""Cutting: a growing file becomes full chunks that never change, and an end that does."""

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

Put = Callable[[bytes], tuple[str, int]]

# A session may have thousands of tool results; before all were seen, so much of them waits at most.
_MOST_ENDS_BYTES = 8 * limits.INLINE_BYTES


@dataclass(frozen=True)
class CutFile:
    """One file after cutting: all chunks by (hash, size), the end, and where to go on.

    `left` are the bytes of its source that were there, and are left for the next step. `known` is
    its entry in the manifest before, if nothing changed.
    """

    name: str
    chunks: tuple[tuple[str, int], ...]
    tail: bytes
    state: PackedFile
    cuts: Mapping[str, int]
    left: int = 0
    known: ItemFile | None = None

    def sealed(self, put: Put) -> "CutFile":
        """The same file with its end made a chunk too."""
        return replace(self, chunks=(*self.chunks, put(self.tail)), tail=b"", known=None)

    def entry(self) -> ItemFile:
        """How the manifest names it."""
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
    """Content in, full chunks out through `put`; `tail` is what is not a full chunk yet."""

    def __init__(self, put: Put, sealed: Sequence[tuple[str, int]]) -> None:
        self._put = put
        self.chunks = list(sealed)
        self.tail = bytearray()
        self.filled = False

    def add(self, content: bytes) -> bool:
        """Take more content in; whether a chunk became full."""
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
        """Make a chunk of what is not a full one."""
        self.chunks.append(self._put(bytes(self.tail)))
        self.tail.clear()


def cut_file(
    source: SourceFile, before: PackedFile | None, entry: ItemFile | None, put: Put, red: Redactor
) -> CutFile:
    """Redact and cut a file, going on where `before` and its manifest `entry` left off.

    At most a step of it, if what comes out holds at least what `entry` does.

    Raises:
        OSError: it vanished, or cannot be read.
        RedactionFailed: then nothing of it may leave.
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
    """Redact and cut what was packaged before, where the source is gone.

    Raises:
        RedactionFailed: then nothing of it may leave.
        LineTooLong: nor then.
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
    """The files of one item as they are cut, by name; their ends are never many megabytes.

    `left` are the bytes of their sources that are left for the next step.
    """

    def __init__(self, put: Put) -> None:
        self._put = put
        self._ends = 0
        self.left = 0
        self.files: dict[str, CutFile] = {}

    def add(self, file: CutFile) -> None:
        """Take one more file in."""
        self.files[file.name] = file
        self.left += file.left
        self._ends += len(file.tail)
        if self._ends > _MOST_ENDS_BYTES:
            self._seal(list(self.files.values()))

    def finish(self) -> list[CutFile]:
        """All files by name, with ends that fit into the inline part."""
        self._seal([self.files[name] for name in sorted(self.files)])
        return list(self.files.values())

    def _seal(self, files: list[CutFile]) -> None:
        self.files = {file.name: file for file in within_inline_limit(files, self._put)}
        self._ends = sum(len(file.tail) for file in files)


def within_inline_limit(files: list[CutFile], put: Put) -> list[CutFile]:
    """Seal the largest ends if all of them together do not fit into the inline part.

    So many that it is only half full: the next line is not to seal another one. The end that
    grows with every line comes last, because each would make a new chunk of it.
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
    """One pass over a file of records, from the first line whose redaction is not sealed."""

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
        """Take about as many new bytes as `most`, in whole lines."""
        # no further than it was found to reach: that much was looked at before it may leave
        stop = file.stat.size
        at, skip = self._line, self._skip
        for raw in blocks(self._source, at, self._seen):
            self._take(at, raw, skip)  # counted when it was first seen
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
        # a last line without its end may still change: it is packaged, but not sealed for good
        torn = self._redactor.lines(last)
        self._cutter.add(torn.data[skip:])
        cuts = dict(self._cuts)
        _count(cuts, torn.cuts)
        chunks, tail = tuple(self._cutter.chunks), bytes(self._cutter.tail)
        return CutFile(file.name, chunks, tail, state, cuts, left)

    def _seal_long_end(self, at: int) -> None:
        """What came in bulk is sealed up to its last whole line, at raw byte `at`."""
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
    """Where a boundary in redacted lines lies: start of its raw line, bytes into the redacted one.

    Redaction keeps the number of lines, so the n-th line of one is the n-th of the other.
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
