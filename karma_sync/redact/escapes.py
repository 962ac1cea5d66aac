r"""Undoes the backslash escapes of a text, and maps the result back to the source.

Secrets hide behind escapes: a JSON string writes a newline as `\n` and may write `A` as `\u0041`,
and tool output often is JSON inside JSON, escaped twice. `Unescaped` undoes one layer. Whatever is
not a JSON escape stays as it is, so that any text can be unescaped.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
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
        self._source = source
        pieces, self.places = list[bytes](), list[int]()
        at, size = 0, 0
        for place in places:
            over = _escape_over(source, place)
            stop = over[0] if over else place
            if stop > at:
                pieces.append(unescape(source[at:stop]))
                size += len(pieces[-1])
                at = stop
            self.places.append(size)
        self.data = b"".join([*pieces, unescape(source[at:])])

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the source that became data[start:end]; it splits no escape."""
        data_starts, data_ends, source_starts, source_ends = self._escapes
        first, last = bisect_right(data_starts, start) - 1, bisect_right(data_starts, end - 1) - 1
        if first < 0:
            begin = start
        elif start < data_ends[first]:
            begin = source_starts[first]
        else:
            begin = source_ends[first] + start - data_ends[first]
        if last < 0:
            return begin, end
        return begin, source_ends[last] + max(0, end - data_ends[last])

    @cached_property
    def _escapes(self) -> tuple[list[int], list[int], list[int], list[int]]:
        found = [match.span() for match in _ESCAPE.finditer(self._source)]
        starts, ends = [start for start, _ in found], [end for _, end in found]
        sizes = [
            1 if end - start == _SHORT else len(unescape(self._source[start:end]))
            for start, end in found
        ]
        lost = list(
            accumulate((e - s - size for s, e, size in zip(starts, ends, sizes, strict=True)))
        )
        data_ends = [end - less for end, less in zip(ends, lost, strict=True)]
        data_starts = [end - size for end, size in zip(data_ends, sizes, strict=True)]
        return data_starts, data_ends, starts, ends


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
