"""Finds out from a few lines around a hit whether its record must be read because of it.

Most hits open rules that find nothing. To tell that, a record need not be split into its strings: a
window around the hit holds all that these rules look at. The same lines often stand in many
records, and are searched once.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from karma_sync.redact.codings import Coding, may_be_coded
from karma_sync.redact.effort import Effort, TooMuchWork
from karma_sync.redact.gates import NeedHit, NeedKind
from karma_sync.redact.matching.rule import ANYWHERE, FAR
from karma_sync.redact.scanner import Scanner
from karma_sync.redact.windows import Window, window_in_record, window_in_text

_MANY = 8  # windows
_LINE_END = 2  # bytes of an escaped newline
_WIDEST = 4096  # bytes between the first and the last hit of a window
_MOST_KNOWN = 16 << 20  # bytes of the windows that are remembered
_ENTRY = 200  # bytes that one takes besides its text


class Shortlist:
    """Tells for the records of one block which of their hits count."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._known = _Known()

    def of_record(self, record: bytes, hits: Sequence[NeedHit]) -> list[NeedHit]:
        """The hits of a JSON record without those that would open rules in vain.

        The record has no colour codes, and no rules are tried on it without hits.
        """
        search = _Search(self._scanner, self._known, record, hits, window_in_record)
        return self._counting(search, None)

    def of_text(
        self, text: bytes, hits: Sequence[NeedHit], changed: Sequence[int] | None = None
    ) -> list[NeedHit]:
        """The same for the text of strings that are searched together.

        If it was searched before, `changed` are the places, in order, where it is another one.
        """
        search = _Search(self._scanner, self._known, text, hits, window_in_text)
        return self._counting(search, changed)

    def _counting(self, search: "_Search", changed: Sequence[int] | None) -> list[NeedHit]:
        try:
            counts = {hit.place for hit in search.counting(changed)}
        except TooMuchWork:
            return list(search.hits)
        finally:
            self._scanner.count(search.effort)
        return [hit for hit in search.hits if hit.place in counts]


class _Search:
    """The search for the hits that count in one text; `known` has the results for windows."""

    def __init__(
        self,
        scanner: Scanner,
        known: "_Known",
        text: bytes,
        hits: Sequence[NeedHit],
        window: Callable[[bytes, int, int, int], Window | None],
    ) -> None:
        self.hits = hits
        self.effort = Effort(len(text))
        self._scanner = scanner
        self._known = known
        self._text = text
        self._window = window

    def counting(self, changed: Sequence[int] | None) -> Iterator[NeedHit]:
        """The hits that count; of those with windows only the ones with a changed place in it."""
        for kind, hits in self._by_kind().items():
            if kind.coding is Coding.HIDDEN:
                yield from self._hiding(hits)
            elif kind.coding is not Coding.NONE:
                yield from (h for h in hits if may_be_coded(kind.coding, self._text, h.place))
            elif kind.reach == ANYWHERE:
                yield from hits
            else:
                yield from self._in_windows(hits, kind.reach, changed)

    def _by_kind(self) -> dict[NeedKind, list[NeedHit]]:
        kinds = self._scanner.kinds
        by_kind: dict[NeedKind, list[NeedHit]] = {}
        by_need: dict[int, list[NeedHit]] = {}
        for hit in self.hits:
            for need in hit.needs:
                if need not in by_need:
                    by_need[need] = by_kind.setdefault(kinds[need], [])
                by_need[need].append(hit)
        return by_kind

    def _in_windows(
        self, hits: Sequence[NeedHit], reach: int, changed: Sequence[int] | None
    ) -> Iterator[NeedHit]:
        """The hits in whose windows their rules find something, or that have no window."""
        at = full = empty = unclear = 0
        while at < len(hits):
            last = _together(hits, at, 2 * reach)
            window = self._window(self._text, hits[at].place, hits[last - 1].place, reach)
            if window is None:
                unclear += 1
                last = self._beyond(hits, at, unclear)
                yield from hits[at:last]
                at = last
                continue
            # a hit in the line's end looks at the next line too
            most = last if reach else len(hits)
            last = bisect_left(hits, window.end - _LINE_END, lo=at + 1, hi=most, key=_place)
            if (changed is None or _between(changed, window)) and self._may_hold(
                window, hits[at:last]
            ):
                full += 1
                # where most windows hold something, to look into them first is in vain
                last = len(hits) if full > max(_MANY, empty) else last
                yield from hits[at:last]
            else:
                empty += 1
            at = last

    def _may_hold(self, window: Window, hits: Sequence[NeedHit]) -> bool:
        text = self._text[window.start : window.end]
        key = text, tuple([need for hit in hits for need in hit.needs]), window.is_whole
        known = self._known.get(key)
        if known is None:
            known = self._scanner.finds(text, hits, window.is_whole, self.effort)
            self._known.add(key, known)
        return known

    def _hiding(self, hits: Sequence[NeedHit]) -> Iterator[NeedHit]:
        """The hits of escapes that may hide a need of rules."""
        at = unclear = 0
        while at < len(hits):
            last = _together(hits, at, 2 * FAR)
            window = self._window(self._text, hits[at].place, hits[last - 1].place, FAR)
            if window is None:
                unclear += 1
                last = self._beyond(hits, at, unclear)
                yield from hits[at:last]
            else:
                last = bisect_left(hits, window.end, lo=at + 1, hi=last, key=_place)
                if self._may_hide(window):
                    yield from hits[at:last]
            at = last

    @staticmethod
    def _beyond(hits: Sequence[NeedHit], at: int, unclear: int) -> int:
        """The end of the hits that count with this one, which has no window.

        To look for a window costs as much as some kilobytes: of many without one, the next count
        unseen.
        """
        if unclear <= _MANY:
            return at + 1
        return bisect_left(hits, hits[at].place + _WIDEST, lo=at + 1, key=_place)

    def _may_hide(self, window: Window) -> bool:
        text = self._text[window.start : window.end]
        first = bisect_left(self.hits, window.start, key=_place)
        last = bisect_left(self.hits, window.end, lo=first, key=_place)
        hits = [hit.at(hit.place - window.start) for hit in self.hits[first:last]]
        key = text, tuple(hits)
        known = self._known.get(key)
        if known is None:
            known = self._scanner.hides(text, hits, self.effort)
            self._known.add(key, known)
        return known


# The text of a window, and all else on which it depends what it holds.
_Key = tuple[bytes, tuple[object, ...]] | tuple[bytes, tuple[object, ...], bool]


class _Known:
    """The results for windows that were searched before, as far as there is room."""

    def __init__(self) -> None:
        self._held: dict[_Key, bool] = {}
        self._room = _MOST_KNOWN

    def get(self, key: _Key) -> bool | None:
        return self._held.get(key)

    def add(self, key: _Key, held: bool) -> None:
        size = len(key[0]) + _ENTRY
        if size <= self._room:
            self._room -= size
            self._held[key] = held


def _together(hits: Sequence[NeedHit], first: int, gap: int) -> int:
    """The end of the hits that follow each other within `gap` bytes, and are not too far apart."""
    last, most = first + 1, hits[first].place + _WIDEST
    while last < len(hits) and hits[last].place <= min(hits[last - 1].place + gap, most):
        last += 1
    return last


def _between(places: Sequence[int], window: Window) -> bool:
    """Whether one of these places is in the window."""
    return bisect_left(places, window.start) < bisect_left(places, window.end)


def _place(hit: NeedHit) -> int:
    return hit.place
