"""Finds the lines around places in a text, as it is written and with its escapes undone."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_NEWLINE = b"\\n"  # as JSON escapes it
_JOIN = 200  # bytes: stretches that are so near are searched as one
_LONG = 8192  # bytes of a line from which only the part around a place is searched
_BEFORE = 3072  # bytes of that part before the place, where a need ends that may be long
_AFTER = 2048  # and after it, up to the next blank
FARTHEST = _LONG + _AFTER  # bytes beside what must be searched in which a region may end
_BLANK = re.compile(rb"\s")

# A stretch of a text, by start and end.
Stretch = tuple[int, int]


class Around(NamedTuple):
    """The stretch around a place that must be searched: everything between `low` and `high`."""

    low: int
    high: int


def united(stretches: Iterable[Stretch]) -> Iterator[Around]:
    """The stretches to be searched around all places, in order; those that overlap are one."""
    first, last = -1, -1
    for low, high in sorted(stretches):
        if low <= last:
            last = max(last, high)
            continue
        if last >= 0:
            yield Around(first, last)
        first, last = low, high
    if last >= 0:
        yield Around(first, last)


def line_around(text: bytes, at: int, place: int) -> Stretch:
    """Start and end of the line around `place`, without its line end, from `at` on."""
    end = text.find(b"\n", place)
    return text.rfind(b"\n", at, place) + 1 or at, len(text) if end < 0 else end


def lines_around(text: bytes, places: Sequence[int]) -> Iterator[Stretch]:
    """Start and end of each line that holds one of these places; the places must be in order."""
    at = 0
    for place in places:
        if place >= at:
            start, end = line_around(text, at, place)
            yield start, end
            at = end + 1


def regions(text: bytes, places: Sequence[int], reach: int) -> list[Stretch]:
    """The stretches to search: all lines within `reach` bytes of one of these places.

    Each begins before a line and ends after one, so that a pattern sees the line's ends; of a very
    long line only the part around the places. Stretches that are near each other are one.
    """
    found: list[Stretch] = []
    searched = -1  # what lies up to here needs no other stretch
    unbroken = 0  # no line ends between the last place and here
    at = 0
    while at < len(places):
        place = places[at]
        at += 1
        low, high = max(0, place - reach), min(len(text), place + reach)
        if high <= searched:
            continue
        start = low
        if not found or low > found[-1][1] + _JOIN:  # else the stretch has begun
            start = text.rfind(b"\n", max(0, low - _LONG), low) + 1
            start = start or (max(0, low - _BEFORE) if low > _LONG else 0)
        end = searched = text.find(b"\n", max(high, unbroken), high + _LONG)
        if end < 0:
            unbroken = high + _LONG
            blank = _BLANK.search(text, min(len(text), high + _AFTER))
            end = len(text) if blank is None else blank.start()
            searched = end - _AFTER
            # of the next places, which are in this stretch, the last tells how far it goes
            at = max(at, bisect_right(places, high + _AFTER, lo=at) - 1)
        _add(found, max(0, start - 1), min(len(text), end + 1))
    return found


def _add(found: list[Stretch], start: int, end: int) -> None:
    if found and start <= found[-1][1] + _JOIN:
        found[-1] = (found[-1][0], max(end, found[-1][1]))
    else:
        found.append((start, end))


def escaped_lines_around(text: bytes, arounds: Iterable[Around]) -> Iterator[Stretch]:
    r"""Stretches of `text` that hold the whole lines around these places once it is unescaped.

    A stretch begins and ends where a line of `text` does, or at an escaped newline `\n` whose
    backslash is certainly not escaped itself. So a stretch may hold several unescaped lines, but
    never a part of one. The places must be in order.
    """
    end, line_end = 0, -1
    for low, high in arounds:
        if high >= end:
            low = max(low, end)
            if high > line_end:
                line_end = text.find(b"\n", high)
                line_end = len(text) if line_end < 0 else line_end
            line_start = text.rfind(b"\n", end, low) + 1 or end
            start = max(line_start, _last_escaped_newline(text, end, low))
            end = _first_escaped_newline(text, high, line_end)
            yield start, min(end + len(_NEWLINE), line_end)
            if end == line_end:
                end += 1  # the line end itself counts as part of the line before it


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same stretches; those that touch or nearly touch are joined."""
    found: list[Stretch] = []
    for start, end in stretches:
        _add(found, start, end)
    return found


def _last_escaped_newline(text: bytes, start: int, end: int) -> int:
    """Where the last escaped newline in text[start:end] begins; `start` if there is none."""
    at = text.rfind(_NEWLINE, start, end)
    while at > start and text[at - 1 : at] == b"\\":
        at = text.rfind(_NEWLINE, start, at)
    return max(at, start)


def _first_escaped_newline(text: bytes, place: int, end: int) -> int:
    """Where the first escaped newline after `place` begins; `end` if there is none before it.

    One that begins at the place or right after it does not count, so that an escape at the place
    stays whole.
    """
    at = text.find(_NEWLINE, place + 2, end)
    while at >= 0 and text[at - 1 : at] == b"\\":
        at = text.find(_NEWLINE, at + 1, end)
    return end if at < 0 else at
