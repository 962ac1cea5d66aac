"""Finds out fast which rules could match a text, by one search for all that they need.

A rule needs one of its keywords, or a match of its gate pattern (see `matching/rule.py`).
"""

import heapq
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from karma_sync.redact.codings import (
    NEED,
    NEED_OF_BASE64,
    NEED_OF_WRAPPED,
    Coding,
    coloured_lines,
    has_colours,
    plain,
)
from karma_sync.redact.effort import Effort
from karma_sync.redact.matching.patterns import compiled, compiled_needs
from karma_sync.redact.matching.rule import ANYWHERE, Rule
from karma_sync.redact.stretches import Stretch, line_around

_EDGE = 24  # bytes of a kept stretch that are searched at each of its ends, with its quotes
HIDDEN = r"\\(?:u00[2-7]|/)"  # it may hide any word, and an escaped slash may stand in any value


class NeedHit(NamedTuple):
    """A place in a text where needs end, with their indexes."""

    place: int
    needs: tuple[int, ...]

    def at(self, place: int) -> "NeedHit":
        """The same hit in another text, in which it stands at `place`."""
        return NeedHit(place, self.needs)


class CandidateLine(NamedTuple):
    """A line that holds something that a rule may need: text[start:end], and the hits in it.

    `coloured` is true if it may have colour codes.
    """

    start: int
    end: int
    hits: list[NeedHit]
    coloured: bool = True


class NeedKind(NamedTuple):
    """The kind of a need: its coding, and the distance at which its rules may find something.

    `reach` is the distance from the need's place, in bytes; 0 means on its line.
    """

    coding: Coding = Coding.NONE
    reach: int = ANYWHERE


class Reasons(NamedTuple):
    """The rules that could match a text as it is written, and the places of their needs.

    `hits` are the reasons, in order, and `needed` has the indexes of rules that need the same,
    with the places of it, in order. `hidden` says that one of the places may hide what another
    rule needs, `coded` that one begins a stretch in one of the codings. `wrapped` are the places
    at which a terminal may have wrapped a token.
    """

    needed: list[tuple[tuple[int, ...], list[int]]]
    hits: Sequence[NeedHit]
    hidden: bool
    coded: bool
    wrapped: Sequence[int]

    @property
    def places(self) -> list[int]:
        """The places of the hits, in order."""
        return [hit.place for hit in self.hits]

    def hits_in(self, start: int, end: int) -> Sequence[NeedHit]:
        """The hits in text[start:end]."""
        first = bisect_left(self.hits, start, key=_place)
        return self.hits[first : bisect_left(self.hits, end, lo=first, key=_place)]


class Gates:
    """Tests texts for what the rules need; rules that need the same share one test.

    Gates that begin with the same head are one need: apart they cost as much as all others.

    `always` are the indexes of the rules that need nothing and are tried on every text. `begins` is
    the pattern of how their tokens begin that may be wrapped; "" if there are none.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        need_of = _needs_with_heads(rules)
        needs: dict[str, list[int]] = {}
        near: dict[str, list[int]] = {}
        for order, rule in enumerate(rules):
            if rule.near:
                near.setdefault("|".join(map(_word, rule.near)), []).append(order)
            else:
                need = need_of.get((rule.gate_head, rule.one_line)) or _need(rule)
                needs.setdefault(need, []).append(order)
        self.always = needs.pop("", [])
        self._near = [(compiled(words, "near"), found) for words, found in near.items()]
        self._hidden = compiled(HIDDEN, "gate")
        self.begins = "|".join(sorted({rule.begins for rule in rules if rule.begins}))
        own = [NEED_OF_BASE64, NEED, HIDDEN]
        if self.begins:
            own.append(f"(?:{self.begins}){NEED_OF_WRAPPED}")
        # the needs of no rule come last: the person's words make a line a candidate, and `near`
        # gives the rules to try for them
        self._orders = [*map(tuple, needs.values()), *[()] * (len(own) + len(near))]
        self._coded, self._hides = {len(needs), len(needs) + 1}, len(needs) + 2
        self._wrapped = len(needs) + 3
        self.kinds = [
            *(_kind([rules[order] for order in orders]) for orders in needs.values()),
            NeedKind(Coding.BASE64),
            NeedKind(Coding.OTHER),
            NeedKind(Coding.HIDDEN),
            *([NeedKind(Coding.WRAPPED)] if self.begins else []),
            *[NeedKind()] * len(near),
        ]
        # ours take some time to compile, and are the same for all: the person's stand alone
        self._parts = [(0, compiled_needs((*needs, *own)))]
        if near:
            self._parts.append((len(needs) + len(own), compiled_needs(tuple(near))))

    def hits(self, text: bytes, effort: Effort | None = None) -> list[NeedHit]:
        """Every place where something ends that a rule may need, in order.

        If a rule can match a text, there is a place in the text, and also in the text escaped as
        a JSON string, and escaped once more as a JSON string in a JSON string.

        Raises:
            TooMuchWork: the effort is spent.
        """
        if effort:
            effort.spend(len(text))
        return _grouped(sorted(self._ends(text)))

    def _ends(self, text: bytes | memoryview, at: int = 0) -> Iterator[tuple[int, int]]:
        """The places at which needs end, if the text begins at `at`, each with its need."""
        for first, needs in self._parts:
            for place, need in needs.ends(text):
                yield at + place, first + need

    def _hits_outside(self, text: bytes, kept: Sequence[Stretch]) -> list[NeedHit]:
        """The hits of a text that are not inside these stretches of it."""
        if self._near or not kept:  # a word for the person's rules counts wherever it stands
            return self.hits(text)
        ends, at, view = list[tuple[int, int]](), 0, memoryview(text)
        for start, end in (*kept, (len(text), 0)):
            ends += self._ends(view[at : start + _EDGE], at)
            at = end - _EDGE
        return _grouped(sorted(ends))

    def lines(self, text: bytes, kept: Sequence[Stretch] = ()) -> Iterator[CandidateLine]:
        """The lines that hold a need as they are written or without their colour codes.

        `kept` are stretches, in order, in which no rule searches.
        """
        if self.always:
            lines = _all_lines(text)
            return (CandidateLine(a, b, self.hits(text[a:b])) for a, b in lines if a < b)
        coloured = coloured_lines(text)
        found = self._lines_with_needs(text, self._hits_outside(text, kept), dict(coloured))
        return self._with_coloured(text, found, coloured) if coloured else found

    def _lines_with_needs(
        self, text: bytes, hits: Sequence[NeedHit], coloured: Mapping[int, int]
    ) -> Iterator[CandidateLine]:
        start, end, found = 0, -1, list[NeedHit]()
        for hit in hits:
            if hit.place > end:
                if found:
                    yield CandidateLine(start, end, found, start in coloured)
                start, end = line_around(text, end + 1, hit.place)
                found = []
            found.append(hit.at(hit.place - start))
        if found:
            yield CandidateLine(start, end, found, start in coloured)

    def _with_coloured(
        self, text: bytes, found: Iterator[CandidateLine], coloured: Sequence[Stretch]
    ) -> Iterator[CandidateLine]:
        """These lines, and those with colour codes that hold a need once these are left out."""
        others = (CandidateLine(start, end, []) for start, end in coloured)
        for _, same in groupby(heapq.merge(found, others, key=_start), key=_start):
            line = next(same)
            if line.hits or self.hits(plain(text[line.start : line.end])):
                yield line

    def hides_behind_colours(self, text: bytes) -> bool:
        """Whether the text has colour codes, and holds a need once they are left out."""
        return has_colours(text) and bool(self.hits(plain(text)))

    def is_hiding(self, text: bytes) -> bool:
        """Whether an escape in the text may hide what a rule needs."""
        return self._hidden.search(text) is not None

    def hides_any(self, hits: Sequence[NeedHit]) -> bool:
        """Whether one of these hits is an escape that may hide what a rule needs."""
        return any(self._hides in hit.needs for hit in hits)

    def opened(self, hits: Sequence[NeedHit]) -> tuple[int, ...]:
        """The indexes of the rules that these hits open."""
        needs = {need for hit in hits for need in hit.needs}
        if len(needs) == 1:
            return self._orders[needs.pop()]
        return tuple(sorted({order for need in needs for order in self._orders[need]}))

    def near(self, record: bytes) -> list[int]:
        """The indexes of the rules to try on all of a record, because of a word in it."""
        if not self._near:
            return []
        hidden = self.is_hiding(record)
        opened = (
            o for words, orders in self._near if hidden or words.search(record) for o in orders
        )
        return sorted(opened)

    def reasons(self, hits: Sequence[NeedHit]) -> Reasons:
        """The rules that could match because of these hits, and where."""
        found: dict[int, list[int]] = {}
        for place, needs in hits:
            for need in needs:
                found.setdefault(need, []).append(place)
        needed = [(self._orders[need], places) for need, places in found.items()]
        return Reasons(
            [(orders, places) for orders, places in needed if orders],
            hits,
            hidden=self._hides in found,
            coded=not self._coded.isdisjoint(found),
            wrapped=found.get(self._wrapped, []) if self.begins else [],
        )


def _all_lines(text: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at <= len(text):
        start, end = line_around(text, at, at)
        yield start, end
        at = end + 1


def _start(line: CandidateLine) -> int:
    return line.start


def _grouped(ends: Sequence[tuple[int, int]]) -> list[NeedHit]:
    """The hits of needs that end at these places, in order."""
    hits, last = list[NeedHit](), -1
    for place, need in ends:
        if place == last:
            hits[-1] = NeedHit(place, (*hits[-1].needs, need))
        else:
            hits.append(NeedHit(place, (need,)))
            last = place
    return hits


def _place(hit: NeedHit) -> int:
    return hit.place


def _needs_with_heads(rules: Sequence[Rule]) -> dict[tuple[str, bool], str]:
    """The need that all rules have whose gates begin with a head, by that head.

    Rules that look at one line have another than those that look further.
    """
    tails: dict[tuple[str, bool], dict[str, None]] = {}
    for rule in rules:
        if rule.gate_head:
            tails.setdefault((rule.gate_head, rule.one_line), {})[rule.gate] = None
    return {key: f"{key[0]}(?:{'|'.join(found)})" for key, found in tails.items()}


def _kind(rules: Sequence[Rule]) -> NeedKind:
    reaches = {0 if rule.one_line else rule.reach for rule in rules}
    return NeedKind(reach=ANYWHERE if ANYWHERE in reaches else max(reaches))


def _need(rule: Rule) -> str:
    return "|".join([*map(re.escape, rule.keywords), *([rule.gate] if rule.gate else [])])


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
