"""Finds out fast which rules could match a text, with one automaton over all that they need.

A rule needs one of its keywords, or a match of its gate pattern (see `matching/rule.py`).
"""

import heapq
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from karma_sync.errors import RedactionFailed
from karma_sync.redact.codings import (
    NEED,
    NEED_OF_BASE64,
    coloured_lines,
    has_colours,
    without_colours,
)
from karma_sync.redact.effort import Effort
from karma_sync.redact.matching.patterns import (
    GATE_MEMORY,
    Pattern,
    PatternSet,
    bounded,
    compiled,
    compiled_set,
)
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.stretches import line_around

HIDDEN = r"\\u00[2-7]"  # an escaped ASCII character: it may hide any word
MOST_BYTES = 640  # no need is longer: a test of the rules holds it


class Hit(NamedTuple):
    """A place in a text where needs begin, with their indexes."""

    place: int
    needs: Sequence[int]

    def at(self, place: int) -> "Hit":
        """The same hit in another text, in which it stands at `place`."""
        return Hit(place, self.needs)


class CandidateLine(NamedTuple):
    """A line that holds something that a rule may need: text[start:end], and the hits in it."""

    start: int
    end: int
    hits: list[Hit]


class Reasons(NamedTuple):
    """The rules that could match a text as it is written, and the places of what they need.

    `hits` are what tells it, in order, and `needed` has the indexes of rules that need the same,
    with the places of it, in order. `hidden` says that one of the places may hide what another
    rule needs, `coded` that one begins a stretch in one of the codings.
    """

    needed: list[tuple[Sequence[int], list[int]]]
    hits: Sequence[Hit]
    hidden: bool
    coded: bool

    @property
    def places(self) -> list[int]:
        """Where the hits stand, in order."""
        return [hit.place for hit in self.hits]

    def hits_in(self, start: int, end: int) -> Sequence[Hit]:
        """The hits in text[start:end]."""
        first = bisect_left(self.hits, start, key=_place)
        return self.hits[first : bisect_left(self.hits, end, lo=first, key=_place)]


class _Automaton:
    """Finds the places of some needs in a text; `first` is the index of the first of them."""

    def __init__(self, needs: Sequence[str], first: int) -> None:
        self._here: PatternSet = compiled_set(needs)
        self._any: Pattern = compiled(
            "|".join(f"(?:{need})" for need in needs), "gate", memory=GATE_MEMORY
        )
        self._first = first

    def found_in(self, text: bytes) -> bool:
        """Whether the text holds one of the needs."""
        return self._any.search(text) is not None

    def hits(self, text: bytes, effort: Effort | None) -> Iterator[Hit]:
        """Every place where needs begin, in order."""
        at = 0
        while (hit := self._any.search(text, at)) is not None:
            place = hit[0][0]
            here = self._here.match(text[place : place + MOST_BYTES])
            if not here:  # a need of a person's rule may be longer
                here = self._here.match(text[place:])
                if effort:
                    effort.spend(len(text) - place)
            if not here:  # happens only if RE2 ran out of memory: no answer beats a wrong one
                raise RedactionFailed("the rules' words were found and then not found")
            if effort:
                effort.spend(place + 1 - at)
            yield Hit(place, [need + self._first for need in here])
            at = place + 1
        if effort:
            effort.spend(len(text) - at)


class Gates:
    """Tests texts for what the rules need; rules that need the same share one test.

    The needs of tokens, which are known by themselves, and those of all else are two automata: the
    states of one for both would be their product. `always` are the indexes of the rules that need
    nothing and are tried on every text.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        tokens: dict[str, list[int]] = {}
        others: dict[str, list[int]] = {}
        near: dict[str, list[int]] = {}
        for order, rule in enumerate(rules):
            if rule.near:
                near.setdefault("|".join(map(_word, rule.near)), []).append(order)
            else:
                (tokens if rule.alone else others).setdefault(_need(rule), []).append(order)
        self.always = [*tokens.pop("", []), *others.pop("", [])]
        for words in near:
            # these words make a line a candidate; `near` gives the rules to try for them
            others.setdefault(words, [])
        self._near = [(compiled(words, "near"), found) for words, found in near.items()]
        self._hidden = compiled(HIDDEN, "gate")
        self._orders = [*tokens.values(), *others.values(), [], [], []]
        needs = [*others, NEED_OF_BASE64, NEED, HIDDEN]  # the needs of no rule come last
        self._automata = [_Automaton(needs, len(tokens))]
        if tokens:
            self._automata.insert(0, _Automaton([*tokens], 0))

    def hits(self, text: bytes, effort: Effort | None = None) -> list[Hit]:
        """Every place where something begins that a rule may need, in order.

        If a rule can match a text, there is a place in the text, and also in the text escaped as
        a JSON string, and escaped once more as a JSON string in a JSON string.

        Raises:
            TooMuchWork: the effort is spent.
        """
        return sorted(hit for automaton in self._automata for hit in automaton.hits(text, effort))

    def lines(self, text: bytes) -> Iterator[CandidateLine]:
        """The lines that hold a need as they are written or without their colour codes."""
        if self.always:
            lines = _all_lines(text)
            return (CandidateLine(a, b, self.hits(text[a:b])) for a, b in lines if a < b)
        plain = self._lines_with_needs(text)
        if not has_colours(text):
            return plain
        both = heapq.merge(plain, self._coloured_lines(text), key=lambda line: line.start)
        return (next(same) for _, same in groupby(both, key=lambda line: line.start))

    def _lines_with_needs(self, text: bytes) -> Iterator[CandidateLine]:
        found = heapq.merge(*(automaton.hits(text, None) for automaton in self._automata))
        start, end, hits = 0, -1, list[Hit]()
        for hit in found:
            if hit.place > end:
                if hits:
                    yield CandidateLine(start, end, hits)
                start, end = line_around(text, end + 1, hit.place)
                hits = []
            hits.append(hit.at(hit.place - start))
        if hits:
            yield CandidateLine(start, end, hits)

    def _coloured_lines(self, text: bytes) -> Iterator[CandidateLine]:
        """The lines with colour codes that hold a need once these are left out."""
        for start, end in coloured_lines(text):
            if self.hides_behind_colours(text[start:end]):
                yield CandidateLine(start, end, [])

    def hides_behind_colours(self, text: bytes) -> bool:
        """Whether the text has colour codes, and holds a need once they are left out."""
        layer = without_colours(text)
        return layer is not None and any(a.found_in(layer.data) for a in self._automata)

    def near(self, record: bytes) -> list[int]:
        """The indexes of the rules to try on all of a record, because of a word in it."""
        if not self._near:
            return []
        hidden = self._hidden.search(record) is not None
        opened = (
            o for words, orders in self._near if hidden or words.search(record) for o in orders
        )
        return sorted(opened)

    def reasons(self, hits: Sequence[Hit]) -> Reasons:
        """The rules that could match because of these hits, and where."""
        found: dict[int, list[int]] = {}
        for place, needs in hits:
            for need in needs:
                found.setdefault(need, []).append(place)
        last = len(self._orders) - 1
        needed = [(self._orders[need], places) for need, places in found.items()]
        return Reasons(
            [(orders, places) for orders, places in needed if orders],
            hits,
            hidden=last in found,
            coded=last - 1 in found or last - 2 in found,
        )


def _all_lines(text: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at <= len(text):
        start, end = line_around(text, at, at)
        yield start, end
        at = end + 1


def _place(hit: Hit) -> int:
    return hit.place


def _need(rule: Rule) -> str:
    return "|".join([*map(re.escape, rule.keywords), *([bounded(rule.gate)] if rule.gate else [])])


def _word(word: str) -> str:
    """The pattern of a word in upper and lower case, also if it is escaped several times."""
    return "(?i:" + "".join(map(_character, word)) + ")"


def _character(one: str) -> str:
    if not one.isascii():  # the automaton reads bytes, and does not know the cases of these
        cases = sorted({one, one.lower(), one.upper()})
        plain = "|".join(map(re.escape, cases))
        return rf"(?:{plain}|\\+u[0-9a-f]{{4}}(?:\\+u[0-9a-f]{{4}})?)"
    if one.isspace():
        return r"(?:\s|\\+[ntr])"
    if one in "\"/'":
        return r"\\*" + re.escape(one)
    return r"\\+" if one == "\\" else re.escape(one)
