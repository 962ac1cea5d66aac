"""The lines that places in a text lie on: as they are written, or behind one layer of escapes."""

from collections.abc import Iterator, Sequence

_NEWLINE = b"\\n"


def line_around(text: bytes, at: int, place: int) -> tuple[int, int]:
    """The line, without its end, that holds this place; what stands before `at` is not of it."""
    end = text.find(b"\n", place)
    return text.rfind(b"\n", at, place) + 1 or at, len(text) if end < 0 else end


def lines_around(text: bytes, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The lines, without their ends, that hold one of these places, which are in order."""
    at = 0
    for place in places:
        if place >= at:
            start, end = line_around(text, at, place)
            yield start, end
            at = end + 1


def escaped_lines_around(text: bytes, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    r"""Stretches that hold whole lines, those around these places, once `text` is unescaped.

    They begin and end as a line of `text` does, or with a `\n` of which it is plain that its
    backslash is none that is escaped itself: there may be more lines in one, but no part of one.
    """
    end = 0
    for place in places:
        if place >= end:
            line_start, line_end = line_around(text, end, place)
            start = max(line_start, _last(text, end, place))
            end = _first(text, place, line_end)
            yield start, min(end + len(_NEWLINE), line_end)
            if end == line_end:
                end += 1  # a place on it is the line's that it ends


def _last(text: bytes, start: int, end: int) -> int:
    """Where the last escaped newline between these two begins; `start` if there is none."""
    at = text.rfind(_NEWLINE, start, end)
    while at > start and text[at - 1 : at] == b"\\":
        at = text.rfind(_NEWLINE, start, at)
    return max(at, start)


def _first(text: bytes, place: int, end: int) -> int:
    """Where the first escaped newline behind `place` begins; `end` if that comes first.

    Not one that begins at the place or next to it: an escape that stands there is whole then.
    """
    at = text.find(_NEWLINE, place + 2, end)
    while at >= 0 and text[at - 1 : at] == b"\\":
        at = text.find(_NEWLINE, at + 1, end)
    return end if at < 0 else at
