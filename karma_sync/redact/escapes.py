r"""Undoes the backslash escapes of a text, and maps the result back to the source.

Secrets hide behind escapes: a JSON string writes a newline as `\n` and may write `A` as `\u0041`,
and tool output often is JSON inside JSON, escaped twice. `Unescaped` undoes one layer. Whatever is
not a JSON escape stays as it is, so that any text can be unescaped.
"""

import re
from bisect import bisect_right
from functools import cached_property

from karma_sync.redact.matching.patterns import compiled

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\"\\/bfnrt])"
)
_UNICODE = re.compile(rb"\\u([0-9a-fA-F]{4})")
_COMMON = ((b'\\"', b'"'), (b"\\n", b"\n"), (b"\\t", b"\t"))
_OTHER = ((b"\\/", b"/"), (b"\\b", b"\b"), (b"\\f", b"\f"), (b"\\r", b"\r"))
_RARE = compiled(r"\\[/bfru]", "escapes")
_NEVER = b"\xff"  # a byte that UTF-8 never has
_MARK = 0x80  # bytes from here on are parts of a UTF-8 sequence; 0x80-0xBF continue one


def unescape(source: bytes) -> bytes:
    """`source` with one layer of JSON string escapes undone; surrogates become three bytes each."""
    if b"\\" not in source:
        return source
    if _NEVER in source:  # not UTF-8: the slower way, with the same result
        return b"\\".join(map(_undo, source.split(b"\\\\")))
    return _undo(source.replace(b"\\\\", _NEVER)).replace(_NEVER, b"\\")


def _undo(part: bytes) -> bytes:
    """Undo the escapes of a part in which no backslash is escaped itself."""
    for escape, byte in _COMMON:
        part = part.replace(escape, byte)
    if _RARE.search(part) is None:  # one search instead of five
        return part
    for escape, byte in _OTHER:
        part = part.replace(escape, byte)
    return _UNICODE.sub(_code_point, part)


def _code_point(match: re.Match[bytes]) -> bytes:
    return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")


class Unescaped:
    """A text with one layer of escapes undone, as `data`, and the positions in its source."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self.data = unescape(source)

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

    def snap(self, start: int, end: int) -> tuple[int, int]:
        """source[start:end] widened so that it splits no escape."""
        _, _, starts, ends = self._escapes
        first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 1) - 1
        if first >= 0 and start < ends[first]:
            start = starts[first]
        if last >= 0:
            end = max(end, ends[last])
        return start, end

    @cached_property
    def _escapes(self) -> tuple[list[int], list[int], list[int], list[int]]:
        data_starts, data_ends, source_starts, source_ends = [], [], [], []
        shift = 0
        for match in _ESCAPE.finditer(self._source):
            size = len(unescape(match[0]))
            data_starts.append(match.start() - shift)
            data_ends.append(match.start() - shift + size)
            source_starts.append(match.start())
            source_ends.append(match.end())
            shift += match.end() - match.start() - size
        return data_starts, data_ends, source_starts, source_ends


def whole_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """data[start:end] widened so that it splits no UTF-8 character."""
    while 0 < start < len(data) and _continues(data[start]) and data[start - 1] >= _MARK:
        start -= 1
    while 0 < end < len(data) and data[end - 1] >= _MARK and _continues(data[end]):
        end += 1
    return start, end


def _continues(byte: int) -> bool:
    return byte & 0xC0 == _MARK
