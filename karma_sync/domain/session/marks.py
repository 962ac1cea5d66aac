"""Finds the words of a query in a text as the index compares them: any case, no accents."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from karma_sync.domain.session.bigrams import pieces
from karma_sync.domain.session.query import Word

Mark = tuple[int, int]
"""The start and the end of a word in a text, in characters."""

# how many characters of a text are searched for marks: more would take longer than to read them
_MOST = 200_000


def pattern_of(words: Iterable[Word]) -> "re.Pattern[str] | None":
    """The pattern of any of the words in folded text; None if they have no letter and no digit."""
    found = [each for word in words for each in _alternatives(word)]
    return re.compile("|".join(sorted(set(found), key=len, reverse=True))) if found else None


def marks(text: str, pattern: "re.Pattern[str] | None") -> list[Mark]:
    """The places at which the pattern fits the text, the first place first."""
    if pattern is None:
        return []
    return [found.span() for found in pattern.finditer(folded(text[:_MOST])) if found[0]]


def snippet(text: str, found: Sequence[Mark], width: int) -> tuple[str, list[Mark]]:
    """About `width` characters around the most marks of a text, on one line; the marks in that."""
    start = _best_start(found, width)
    start = max(0, min(start - width // 4, len(text) - width))
    end = min(len(text), start + width)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    shown = [(a - start, min(b, end) - start) for a, b in found if start <= a < end]
    return _on_one_line(before, text[start:end], after, shown)


def folded(text: str) -> str:
    """The text as it is compared; each character stays where it is."""
    return text.lower() if text.isascii() else text.translate(_FOLD)


class _Fold(dict[int, str]):
    """Each character by its code: its base letter in small, if that is a single character."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        base = next(
            (c for c in unicodedata.normalize("NFD", char) if not unicodedata.combining(c)), char
        )
        lower = base.lower()
        self[code] = lower if len(lower) == 1 else base
        return self[code]


_FOLD = _Fold()


def _alternatives(word: Word) -> list[str]:
    found = []
    parts = pieces(word.text)
    for number, (piece, is_run) in enumerate(parts):
        if is_run:
            found.append(re.escape(piece))
            continue
        tokens = [re.escape(t) for t in re.findall(r"[^\W_]+", folded(piece))]
        if tokens:
            open_end = word.prefix and number == len(parts) - 1
            end = r"[^\W_]*" if open_end else r"(?![^\W_])"
            found.append(r"(?<![^\W_])" + r"[\W_]+".join(tokens) + end)
    return found


def _best_start(found: Sequence[Mark], width: int) -> int:
    """The start of the part of `width` characters that has the most marks."""
    best, most = 0, 0
    for number, (start, _) in enumerate(found[:200]):
        count = sum(1 for a, _ in found[number : number + 50] if a < start + width)
        if count > most:
            best, most = start, count
    return best


def _on_one_line(
    before: str, text: str, after: str, found: Sequence[Mark]
) -> tuple[str, list[Mark]]:
    """The text with every run of blanks as one space, and the marks where they are then."""
    pieces, ends, shifts = [before], [0], [len(before)]
    at = 0
    for blanks in _BLANKS.finditer(text):
        space = " " if blanks.start() else ""
        pieces += [text[at : blanks.start()], space]
        at = blanks.end()
        ends.append(at)
        shifts.append(shifts[-1] - len(blanks[0]) + len(space))
    line = "".join([*pieces, text[at:], after])

    def moved(place: int) -> int:
        return max(0, min(place + shifts[bisect_right(ends, place) - 1], len(line)))

    return line, [(moved(start), max(moved(start), moved(end))) for start, end in found]


_BLANKS = re.compile(r"\s+")
