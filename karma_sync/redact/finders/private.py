"""Finds the blocks that a person marks as private, nested ones and those that are never closed."""

import re
from collections.abc import Iterator

from karma_sync.redact.matching.patterns import compiled

_MARKS = compiled("(?i)(?:<|&lt;)/?private", "private marks")
_TAG = re.compile(rb"(?i)(?:<|&lt;)(/?)private(?:\s[^<>]{0,400}?|/?)(?:>|&gt;)")
_QUOTES = frozenset(b"`\"'")
# A sentence about the tag.
_MENTION = re.compile(rb"[ \t]+(?:tags?|blocks?|elements?|markers?|marks?|sections?)\b")


def closed(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The outermost blocks from `<private>` to their `</private>`."""
    yield from _blocks(text, start, end)[0]


def unclosed(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """From the first `<private>` that is never closed to the end of the text.

    What follows a mark that was opened may be private to its end, so it does not leave.
    """
    for opened, after in _blocks(text, start, end)[1]:
        if not _MENTION.match(text, after):
            last = end
            while last > after and text[last - 1] in b" \t\r\n":
                last -= 1
            yield opened, last
            return


def _blocks(
    text: bytes, start: int, end: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The outermost closed blocks, and start and end of the tags that are never closed."""
    found: list[tuple[int, int]] = []
    opened: list[tuple[int, int]] = []
    for tag in _tags(text, start, end):
        if _is_quoted(text, *tag.span()):
            continue
        if not tag[1]:
            opened.append(tag.span())
        elif opened:
            first, _ = opened.pop()
            while found and found[-1][0] > first:
                found.pop()
            found.append((first, tag.end()))
    return found, opened


def _tags(text: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
    """All tags; RE2 finds where they may begin faster than `re`."""
    at = start
    while mark := _MARKS.search(text, at, end):
        at = mark[0][1]
        tag = _TAG.match(text, mark[0][0], end)
        while tag:
            yield tag
            at = tag.end()
            tag = _TAG.match(text, at, end)  # they may follow each other


def _is_quoted(text: bytes, start: int, end: int) -> bool:
    """The tag alone stands between quotes: it is spoken of."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return before == after and before != b"" and before[0] in _QUOTES


def opening(text: bytes) -> int:
    """Where the first `<private>` begins that the text does not close; -1 if nowhere."""
    for start, after in _blocks(text, 0, len(text))[1]:
        if not _MENTION.match(text, after):
            return start
    return -1


def closing(text: bytes) -> int:
    """Where the first `</private>` ends that closes what an earlier text opened; -1 if nowhere."""
    depth = 0
    for tag in _tags(text, 0, len(text)):
        if not _is_quoted(text, *tag.span()):
            depth += -1 if tag[1] else 1
            if depth < 0:
                return tag.end()
    return -1
