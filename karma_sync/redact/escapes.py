r"""Undoes the backslash escapes of a text, and maps the result back to the source.

Secrets hide behind escapes: a JSON string writes a newline as `\n` and may write `A` as `\u0041`,
and tool output often is JSON inside JSON, escaped twice. `Unescaped` undoes one layer. Whatever is
not a JSON escape stays as it is, so that any text can be unescaped.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

LEVELS = 3  # a record's string, JSON text in it, and JSON text in that
_decoded = msgspec.json.Decoder(str).decode
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\"\\/bfnrt])"
)
# What stands for the character after a backslash, by that character.
_MEANT = {
    ord(sign): byte
    for sign, byte in zip('"/bfnrt', (b'"', b"/", b"\b", b"\f", b"\n", b"\r", b"\t"), strict=True)
}
_U = ord("u")
_DIGITS = re.compile(rb"u([0-9a-fA-F]{4})")
_LONGEST = 12  # bytes of an escape: two halves of a character, \ud83d\ude00
_SHORT = 2  # bytes of an escape that is no \\u
_BACKSLASH = 0x5C
_MARK = 0x80  # bytes from here on are parts of a UTF-8 sequence; 0x80-0xBF continue one


def unescape(source: bytes) -> bytes:
    """`source` with one layer of JSON string escapes undone; surrogates become three bytes each."""
    if b"\\" not in source:
        return source
    if b"\n" not in source and b"\\ud" not in source and b"\\uD" not in source:
        try:
            return _decoded(b'"%b"' % source).encode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # not all of it is JSON
    return b"".join(_undone(source.split(b"\\")))


def _undone(parts: list[bytes]) -> Iterator[bytes]:
    """Yield the unescaped text, given its parts between backslashes."""
    after = iter(parts)
    yield next(after)
    for part in after:
        if not part:  # the backslash escapes the next one, or ends the text
            yield b"\\"
            yield next(after, b"")
            continue
        sign = part[0]
        if sign in _MEANT:
            yield _MEANT[sign]
            yield part[1:]
        elif sign == _U and (digits := _DIGITS.match(part)):
            yield chr(int(digits[1], 16)).encode("utf-8", "surrogatepass")
            yield part[digits.end() :]
        else:
            yield b"\\"
            yield part


class Unescaped:
    """A text with one layer of escapes undone, as `data`, and the positions in its source.

    `places` are where the given places of the source, which are in order, stand in the data.
    """

    def __init__(self, source: bytes, places: Sequence[int] = ()) -> None:
        pieces, self.places = list[bytes](), list[int]()
        self._sources, self._starts = (
            list[bytes](),
            [0],
        )  # of the pieces, and where they are in data
        self._source_starts = [0]
        at, size = 0, 0
        escape = _next_backslash(source, at)
        for place in places:
            if place <= escape:  # nothing is escaped since the last piece
                self.places.append(size + place - at)
                continue
            over = _escape_over(source, place)
            stop = over[0] if over else place
            if stop > at:
                self._sources.append(source[at:stop])
                pieces.append(unescape(self._sources[-1]))
                size += len(pieces[-1])
                at = stop
                escape = _next_backslash(source, at)
                self._starts.append(size)
                self._source_starts.append(at)
            self.places.append(size)
        self._sources.append(source[at:])
        self.data = b"".join([*pieces, unescape(self._sources[-1])])
        self._escapes: dict[int, _Escapes] = {}

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the source that became data[start:end]; it splits no escape."""
        first, before = self._escapes_at(start)
        last, after = self._escapes_at(end - 1)
        return (
            self._source_starts[first] + before.start(start - self._starts[first]),
            self._source_starts[last] + after.end(end - self._starts[last]),
        )

    def _escapes_at(self, place: int) -> tuple[int, "_Escapes"]:
        """The piece in which this place of the data lies, and its escapes."""
        at = max(0, bisect_right(self._starts, place) - 1)
        if at not in self._escapes:
            self._escapes[at] = _Escapes(self._sources[at])
        return at, self._escapes[at]


class _Escapes:
    """The escapes in a text, and where what they stand for is once they are undone."""

    def __init__(self, source: bytes) -> None:
        found = [match.span() for match in _ESCAPE.finditer(source)]
        self._starts, self._ends = [start for start, _ in found], [end for _, end in found]
        sizes = [
            1 if end - start == _SHORT else len(unescape(source[start:end])) for start, end in found
        ]
        lost = list(
            accumulate(
                (e - s - size for s, e, size in zip(self._starts, self._ends, sizes, strict=True))
            )
        )
        self._data_ends = [end - less for end, less in zip(self._ends, lost, strict=True)]
        self._data_starts = [end - n for end, n in zip(self._data_ends, sizes, strict=True)]

    def start(self, place: int) -> int:
        """Where in the source stands what begins at this place once it is undone."""
        at = bisect_right(self._data_starts, place) - 1
        if at < 0:
            return place
        if place < self._data_ends[at]:
            return self._starts[at]
        return self._ends[at] + place - self._data_ends[at]

    def end(self, place: int) -> int:
        """Where in the source ends what ends at this place."""
        at = bisect_right(self._data_starts, place - 1) - 1
        return place if at < 0 else self._ends[at] + max(0, place - self._data_ends[at])


def _next_backslash(source: bytes, at: int) -> int:
    """Where the first backslash from `at` on is; the end of the text if there is none."""
    place = source.find(b"\\", at)
    return len(source) if place < 0 else place


def snapped(source: bytes, start: int, end: int) -> tuple[int, int]:
    """source[start:end] widened so that it splits no escape."""
    before, after = _escape_over(source, start), _escape_over(source, end)
    return before[0] if before else start, after[1] if after else end


def _escape_over(source: bytes, place: int) -> tuple[int, int] | None:
    """Start and end of the escape that a cut at `place` would split."""
    if b"\\" not in source[max(0, place - _LONGEST + 1) : place]:
        return None
    # from here on backslashes pair up as they do from the beginning
    at = max(0, place - _LONGEST + 1)
    while at and source[at - 1] == _BACKSLASH:
        at -= 1
    for match in _ESCAPE.finditer(source, at, place + _LONGEST):
        if match.start() >= place:
            return None
        if match.end() > place:
            return match.span()
    return None


def whole_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """data[start:end] widened so that it splits no UTF-8 character."""
    while 0 < start < len(data) and data[start] & 0xC0 == _MARK and data[start - 1] >= _MARK:
        start -= 1
    while 0 < end < len(data) and data[end] & 0xC0 == _MARK and data[end - 1] >= _MARK:
        end += 1
    return start, end
