"""Cuts the file of an observations item into chunks that end where ids say so, and edits it.

Every chunk ends with a whole record, unless a record is longer than a chunk. So an edit in the
middle changes the chunk in which it lies, and those up to the next place where an id ends one.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from karma_sync.domain import limits
from karma_sync.domain.session.observation import lines_of
from karma_sync.sending.packaging.chunker import Put

_LEAST_CHUNK = 64 * 1024
_ENDS = 128  # after the least size, one id in this many ends a chunk
_FIRST_ID = re.compile(rb'\{"id":"([^"\\]+)"')

Line = tuple[bytes, int]
"""A line of the file, and the version of its record."""


@dataclass(frozen=True)
class FileParts:
    """A file in parts of whole lines: the id with which each begins, and where.

    `starts` has (id, number of the first chunk) in the order of the file; a part whose number is
    that of no chunk is the file's end.
    """

    chunks: Sequence[tuple[str, int]]
    starts: Sequence[tuple[str, int]]

    def chunks_of(self, part: int) -> Sequence[tuple[str, int]]:
        """The chunks of a part."""
        ends = self.starts[part + 1][1] if part + 1 < len(self.starts) else len(self.chunks)
        return self.chunks[self.starts[part][1] : ends]

    def with_ids(self, ids: Iterable[str]) -> list[int]:
        """The parts in which these ids lie, or would lie, in order."""
        firsts = [first for first, _ in self.starts]
        return sorted({max(0, bisect_right(firsts, each) - 1) for each in ids})


def parts_of(chunks: Sequence[tuple[str, int]], pieces: Iterable[bytes]) -> FileParts | None:
    """The parts of a file with these chunks; `pieces` are their contents, and the file's end.

    None if a part does not begin with a record as this packager writes it.
    """
    starts: list[tuple[str, int]] = []
    is_start = True
    for number, piece in enumerate(pieces):
        if is_start and piece:
            first = _FIRST_ID.match(piece)
            if first is None:
                return None
            starts.append((first[1].decode(), number))
        is_start = piece.endswith(b"\n") if piece else is_start
    return FileParts(chunks, starts) if starts else None


def heads_of(block: bytes) -> Iterator[tuple[str, Line]]:
    """The ids of the records in a block, with their lines and versions."""
    for line in lines_of(block):
        head = _HEAD.decode(line)
        yield head.id, (line, head.version)


class Cutter:
    """Cuts lines into chunks as they come; `rest` is what has filled none yet."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self.chunks: list[tuple[str, int]] = []
        self.starts: list[tuple[str, int]] = []
        self.rest = bytearray()

    def add(self, each: str, line: bytes) -> None:
        """Add the record of an id; ids come in their order."""
        if len(self.rest) + len(line) >= limits.CHUNK_BYTES and self.rest:
            self._seal()
        if not self.rest:
            self.starts.append((each, len(self.chunks)))
        self.rest += line + b"\n"
        while len(self.rest) > limits.CHUNK_BYTES:
            self.chunks.append(self._put(bytes(self.rest[: limits.CHUNK_BYTES])))
            del self.rest[: limits.CHUNK_BYTES]
        if len(self.rest) >= _LEAST_CHUNK and _ends_chunk(each):
            self._seal()

    def keep(self, first: str, chunks: Sequence[tuple[str, int]], tail: bytes) -> None:
        """Take over a part that stays as it is; then `tail` rests. Nothing may rest before."""
        self.starts.append((first, len(self.chunks)))
        self.chunks += chunks
        self.rest += tail

    @property
    def parts(self) -> FileParts:
        """The chunks made so far, and the first id of each part."""
        return FileParts(tuple(self.chunks), tuple(self.starts))

    def _seal(self) -> None:
        self.chunks.append(self._put(bytes(self.rest)))
        self.rest.clear()


def edited(
    parts: FileParts,
    tail: bytes,
    changed: Mapping[str, bytes],
    content: Callable[[int], bytes],
    put: Put,
) -> Cutter:
    """The file with these lines in place of those with their ids, or added; cut as if it were new.

    `content` gives the content of a part, `tail` is the file's end.
    """
    cutter = Cutter(put)
    concerned = set(parts.with_ids(changed))
    # a part may have ended because the line that came next did not fit
    concerned |= {n - 1 for n in concerned if n and parts.starts[n][0] in changed}
    waiting = sorted(changed)
    for number, (first, _) in enumerate(parts.starts):
        if number not in concerned and not cutter.rest:
            cutter.keep(first, parts.chunks_of(number), tail if _is_last(parts, number) else b"")
            continue
        lines = {each: line for each, (line, _) in heads_of(content(number))}
        if number in concerned:
            ends = parts.starts[number + 1][0] if not _is_last(parts, number) else None
            while waiting and (ends is None or waiting[0] < ends):
                lines[waiting[0]] = changed[waiting[0]]
                waiting.pop(0)
        for each in sorted(lines):
            cutter.add(each, lines[each])
    return cutter


def _is_last(parts: FileParts, number: int) -> bool:
    return number + 1 == len(parts.starts)


def _ends_chunk(each: str) -> bool:
    return hashlib.blake2b(each.encode(), digest_size=2).digest()[0] % _ENDS == 0


class _Head(msgspec.Struct):
    id: str
    version: int


_HEAD = msgspec.json.Decoder(_Head)
