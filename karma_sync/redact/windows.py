r"""Finds the lines around a place of a JSON record without splitting the record into its strings.

A window begins and ends at an escaped newline, `\n`, or where a string does. In JSON, a quote that
no backslash escapes begins or ends a string; it begins one where no sign follows that stands after
a string. Where this does not tell, there is no window; nor in an element of an array, which may
belong to the next one as a line to the next line.
"""

from typing import NamedTuple

from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.stretches import Stretch

_REST = compiled(r'(?s)(?:[^"\\]|\\.)*"', "the rest of a string")
_AFTER_STRING = compiled(r"\s*(?:[,:}\]]|\z)", "what follows a string")
# What follows a value of an object, and no element of an array.
_MEMBER_END = compiled(r'(?s)\s*(?:\}|,\s*"(?:[^"\\]|\\.)*"\s*:)', "what follows a member")
_BLANKS = b" \t\r\n"
_COLON = 0x3A
_NEWLINE = b"\\n"
_BACKSLASH = 0x5C
_MOST_ESCAPED = 16  # quotes
_LONGEST = 4096  # bytes of a line beside what must be in the window


class Window(NamedTuple):
    """A stretch of a record in one string, or in one string with its key.

    `is_whole` is true if no line begins or ends in it but the string's own.
    """

    start: int
    end: int
    is_whole: bool


def window_in_record(record: bytes, place: int, last: int, reach: int) -> Window | None:
    """The window with all that lies within `reach` bytes of two places once it is unescaped.

    With a reach of 0 it is the line. If the last place lies in another string than the first, it is
    that around the first alone. There is none in a very long line.
    """
    # escapes make a text at most twice as long
    low, high = max(0, place - 2 * reach), min(len(record), last + 2 * reach)
    stop = _line_end(record, high)
    limit = stop if stop >= 0 else min(len(record), high + _LONGEST)
    start = _line_start(record, low)
    is_whole = start < 0
    end = -1 if start < 0 else _string_end(record, start + len(_NEWLINE), limit)
    if start < 0 or 0 <= end <= place:
        start, first = _member_start(record, max(0, low - _LONGEST), place)
        end = _string_end(record, first + 1, limit)
        is_whole = end >= 0
    if start < 0 or 0 <= end <= place or (end < 0 and stop < 0):
        return None
    if end < 0:
        return Window(start, stop, False)
    is_member = _MEMBER_END.match(record, end + 1, min(len(record), end + _LONGEST))
    return Window(start, end + 1, is_whole) if is_member else None


def _member_start(record: bytes, low: int, place: int) -> Stretch:
    """Where the key begins in whose value the place lies, and the value; -1 if it is not clear."""
    first = _string_start(record, low, place)
    colon = _before(record, first)
    if first < 0 or colon < 0 or record[colon] != _COLON:
        return -1, -1
    return _last_quote(record, max(0, colon - _LONGEST), _before(record, colon)), first


def window_in_text(text: bytes, place: int, last: int, reach: int) -> Window | None:
    """The same in the text of strings that are searched together."""
    low, high = max(0, place - 2 * reach), min(len(text), last + 2 * reach)
    start, stop = _line_start(text, low), _line_end(text, high)
    if (start < 0 and low > _LONGEST) or (stop < 0 and high + _LONGEST < len(text)):
        return None
    return Window(max(start, 0), stop if stop >= 0 else len(text), start < 0 and stop < 0)


def _line_start(record: bytes, place: int) -> int:
    """Where the last escaped newline before the place begins; -1 if none is near."""
    low = max(0, place - _LONGEST)
    at = record.rfind(_NEWLINE, low, place)
    while at > low and record[at - 1] == _BACKSLASH:
        at = record.rfind(_NEWLINE, low, at)
    return at if at > low else -1


def _line_end(record: bytes, place: int) -> int:
    """Where the first escaped newline after the place ends; -1 if none is near.

    One that begins at the place or right after it does not count: a hit may end in it.
    """
    end = min(len(record), place + _LONGEST)
    at = record.find(_NEWLINE, place + 2, end)
    while at >= 0 and record[at - 1] == _BACKSLASH:
        at = record.find(_NEWLINE, at + 1, end)
    return at if at < 0 else at + len(_NEWLINE)


def _string_end(record: bytes, place: int, limit: int) -> int:
    """The quote that ends the string which a place lies in; -1 if it is not before the limit."""
    rest = _REST.match(record, place, limit)
    return -1 if rest is None else rest[0][1] - 1


def _string_start(record: bytes, low: int, place: int) -> int:
    """The quote that begins the string which the place lies in; -1 if that is not certain."""
    quote = _last_quote(record, low, place)
    return quote if quote >= 0 and _AFTER_STRING.match(record, quote + 1) is None else -1


def _last_quote(record: bytes, low: int, place: int) -> int:
    """The last quote before the place that begins or ends a string.

    -1 if there is none, or if so many escaped ones stand before it that a look at each would take
    longer than to read the record.
    """
    at = record.rfind(b'"', low, place)
    for _ in range(_MOST_ESCAPED):
        if at <= low:
            break
        first = at
        while first > low and record[first - 1] == _BACKSLASH:
            first -= 1
        if first == low > 0:  # backslashes may go on before it
            break
        if (at - first) % 2 == 0:
            return at
        at = record.rfind(b'"', low, first)
    return 0 if at == 0 else -1


def _before(record: bytes, place: int) -> int:
    """The last place before this one that holds no blank; -1 if there is none."""
    at = place - 1
    while at >= 0 and record[at] in _BLANKS:
        at -= 1
    return at
