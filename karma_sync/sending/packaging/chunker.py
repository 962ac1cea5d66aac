"""Cuts files as they leave into chunks: full chunks that never change, and an end that grows.

A transcript only grows, so an appended line changes only the end of its file; the full chunks
before it stay as they are. The ends of an item's files travel in its inline part (docs/format.md).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from karma_sync.agents.growing_file import (
    blocks,
    continues,
    last_line,
    open_source,
    position,
    whole_lines,
)
from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.domain import limits
from karma_sync.domain.session.manifest import ItemFile, Piece
from karma_sync.domain.session.profile import TRANSCRIPT, TRANSCRIPTS, kind_of
from karma_sync.domain.session.source_files import PackedFile, Position, SourceFile, is_lines
from karma_sync.errors import KarmaError
from karma_sync.sending.packaging.outgoing import OutgoingFile, OutgoingPart

# Takes the content of a chunk, returns its hash and its size in bytes.
Put = Callable[[bytes], tuple[str, int]]

# A session may have thousands of tool results: this limits the memory for the ends of its files
# until all files are cut.
_MOST_ENDS_BYTES = 8 * limits.INLINE_BYTES


@dataclass(frozen=True)
class CutFile:
    """One file after cutting: its chunks as (hash, size), its end, and the state to resume from.

    `cuts` counts the redactions by rule, `records` the lines that leave, `withheld` the records
    that stay here. `left` counts the bytes of the source that are left for the next step. `known`
    is the file's entry in the previous manifest if nothing changed.
    """

    name: str
    chunks: tuple[tuple[str, int], ...]
    tail: bytes
    state: PackedFile
    cuts: Mapping[str, int]
    records: int
    withheld: WithheldRecords
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


# Gives the content of a file as it leaves, read on after a state.
Leave = Callable[[str, PackedFile | None], OutgoingFile]


def cut_file(
    source: SourceFile, before: PackedFile | None, entry: ItemFile | None, put: Put, leave: Leave
) -> CutFile:
    """Cut a file as it leaves, from where the state `before` and the manifest `entry` end.

    Cuts one step of a large file, `limits.STEP_BYTES`. Where the file must be cut afresh and the
    outbox has an entry for it, all of it is cut at once: a receiver must not lose what it has.

    Raises:
        OSError: the file vanished, or cannot be read.
        RedactionFailed: redaction failed, and nothing of the file may leave.
    """
    with open_source(source) as opened:
        if not source.is_lines:
            return _cut_text(source, opened, put, leave(source.name, None))
        if before is None or entry is None or not continues(opened, before.position):
            before = None
        sealed = entry.chunks[: before.sealed] if before and entry else ()
        steps = before is not None or entry is None
        most = limits.STEP_BYTES if steps else source.stat.size + 1
        leaving = leave(source.name, before)
        return _LineCut(opened, before, _Cutter(put, sealed), leaving).run(source, most)


def cut_again(name: str, pieces: Iterable[bytes], put: Put, leave: Leave) -> CutFile:
    """Cut once more, as it leaves now, the packaged content of a file whose source is gone.

    Raises:
        RedactionFailed, LineTooLong: nothing of the file may leave.
    """
    cutter, leaving, total = _Cutter(put, ()), leave(name, None), _Total()
    for block in whole_lines(pieces) if is_lines(name) else [b"".join(pieces)]:
        part = leaving.part(block)
        cutter.add(part.data)
        total.add(part)
    gone = Position(size=0, mtime_ns=0, inode=0, offset=0, fingerprint="")
    state = total.state(leaving, position=gone, sealed=len(cutter.chunks))
    return total.cut_file(name, cutter, state)


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

    def postpone(self, count: int) -> None:
        """Leave bytes of a source for the next step."""
        self.left += max(0, count)

    def transcripts(self) -> list[PackedFile]:
        """The states of the transcripts among them: how far each was read."""
        return [file.state for name, file in self.files.items() if kind_of(name) in TRANSCRIPTS]

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


def withheld_of(state: PackedFile) -> WithheldRecords:
    """The records of a file that stay here, as far as it was read; a copy of its own."""
    return WithheldRecords(dict(state.withheld), set(state.unknown))


class _Total:
    """Adds up the parts of a file."""

    def __init__(self, before: PackedFile | None = None) -> None:
        self.cuts = dict(before.cuts) if before else {}
        self.records = before.records if before else 0
        self.withheld = withheld_of(before) if before else WithheldRecords()

    def add(self, part: OutgoingPart) -> None:
        for rule, count in part.cuts.items():
            self.cuts[rule] = self.cuts.get(rule, 0) + count
        self.records += part.records
        self.withheld.add(part.withheld)

    def state(self, leaving: OutgoingFile, **where: Any) -> PackedFile:
        """The state to resume from, at a place in the file."""
        return PackedFile(
            **where,
            cuts=dict(self.cuts),
            records=self.records,
            withheld=dict(self.withheld.types),
            unknown=tuple(sorted(self.withheld.unknown)),
            answers=leaving.answers,
            outputs=leaving.outputs,
        )

    def cut_file(self, name: str, cutter: _Cutter, state: PackedFile, left: int = 0) -> CutFile:
        """The file as it is cut."""
        chunks, tail = tuple(cutter.chunks), bytes(cutter.tail)
        return CutFile(name, chunks, tail, state, self.cuts, self.records, self.withheld, left)


class _LineCut:
    """One pass over a file of records, from the first line that is not wholly in a chunk."""

    def __init__(
        self,
        source: BinaryIO,
        before: PackedFile | None,
        cutter: _Cutter,
        leaving: OutgoingFile,
    ) -> None:
        self._source = source
        self._cutter = cutter
        self._leaving = leaving
        self._seen = before.position.offset if before else 0
        self._line = before.line if before else 0
        self._skip = before.skip if before else 0
        self._total = _Total(before)

    def run(self, file: SourceFile, most: int) -> CutFile:
        """Cut about `most` new bytes, in whole lines."""
        # not beyond the size at which the file was found: only that content was checked to leave
        stop = file.stat.size
        at, skip = self._line, self._skip
        for raw in blocks(self._source, at, self._seen):
            self._take(at, raw, skip)  # it was counted when it was new
            at, skip = at + len(raw), 0
        for raw in blocks(self._source, self._seen, stop):
            self._total.add(self._take(at, raw, skip))
            at, skip = at + len(raw), 0
            if at - self._seen >= most:
                break
        self._seal_long_end(at)
        left = stop - at if at - self._seen >= most else 0
        last = b"" if left else last_line(self._source, at, stop)
        state = self._total.state(
            self._leaving,
            position=position(self._source, replace(file.stat, size=stop - left), at),
            sealed=len(self._cutter.chunks),
            line=self._line,
            skip=self._skip,
            waits=at < stop and not last and not left,
        )
        # a last line without a line end may still change: it is packaged, but not made part of
        # the state to resume from
        torn = self._leaving.part(last)
        self._cutter.add(torn.data[skip:])
        self._total.add(torn)
        return self._total.cut_file(file.name, self._cutter, state, left)

    def _seal_long_end(self, at: int) -> None:
        """Make a chunk of a long end that came in bulk; `at` is the raw offset after it."""
        if self._cutter.filled and len(self._cutter.tail) > limits.END_BYTES:
            self._cutter.seal()
            self._line, self._skip = at, 0

    def _take(self, at: int, raw: bytes, skip: int) -> OutgoingPart:
        part = self._leaving.part(raw)
        if self._cutter.add(part.data[skip:]):
            boundary = len(part.data) - len(self._cutter.tail)
            line, self._skip = _origin(raw, part, boundary)
            self._line = at + line
        return part


def _origin(raw: bytes, part: OutgoingPart, boundary: int) -> tuple[int, int]:
    """Map an offset in a part to (offset of the raw line, bytes into the line as it leaves).

    Redaction keeps the number of lines that were chosen, so line n of the one is line n of the
    other.
    """
    start = part.data.rfind(b"\n", 0, boundary) + 1
    skip = boundary - start
    number = part.data.count(b"\n", 0, boundary)
    if part.starts is not None:
        return (part.starts[number] if number < len(part.starts) else len(raw)), skip
    if part.data == raw:
        return start, skip
    raw_start = 0
    for _ in range(number):
        raw_start = raw.index(b"\n", raw_start) + 1
    return raw_start, skip


def _cut_text(source: SourceFile, opened: BinaryIO, put: Put, leaving: OutgoingFile) -> CutFile:
    if source.stat.size > limits.TEXT_FILE_BYTES:
        raise KarmaError(f"{source.path} is larger than {limits.TEXT_FILE_BYTES} bytes")
    raw = opened.read(source.stat.size)
    cutter, total = _Cutter(put, ()), _Total()
    part = leaving.part(raw)
    cutter.add(part.data)
    total.add(part)
    where = position(opened, source.stat, len(raw))
    state = total.state(leaving, position=where, sealed=len(cutter.chunks))
    return total.cut_file(source.name, cutter, state)
