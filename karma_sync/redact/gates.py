"""Finds out fast which rules could match a text, with one automaton over all that they need.

A rule needs one of its keywords, or a match of its gate pattern (see `matching/rule.py`).
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from karma_sync.errors import RedactionFailed
from karma_sync.redact.codings import NEED, NEED_OF_BASE64
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


class Reasons(NamedTuple):
    """The rules that could match a text as it is written, and the places of what they need.

    `needed` has the indexes of rules that need the same, with the places of it, in order;
    `places` are all of these. `hidden` says that one of the places may hide what another rule
    needs, `coded` that one begins a stretch in one of the codings.
    """

    needed: list[tuple[Sequence[int], list[int]]]
    places: list[int]
    hidden: bool
    coded: bool


class _Automaton:
    """Finds the places of some needs in a text."""

    def __init__(self, needs: Sequence[str]) -> None:
        self._here: PatternSet = compiled_set(needs)
        self._any: Pattern = compiled(
            "|".join(f"(?:{need})" for need in needs), "gate", memory=GATE_MEMORY
        )

    def next(self, text: bytes, at: int) -> int:
        """Where, from `at` on, the next need begins; the text's size if nowhere."""
        hit = self._any.search(text, at)
        return len(text) if hit is None else hit[0][0]

    def hits(self, text: bytes, at: int, effort: Effort) -> Iterator[tuple[int, Sequence[int]]]:
        """Every place from `at` on where needs begin, with the indexes of these needs."""
        while (place := self.next(text, at)) < len(text):
            here = self._here.match(text[place : place + MOST_BYTES])
            if not here:  # a need of a person's rule may be longer
                here = self._here.match(text[place:])
                effort.spend(len(text) - place)
            if not here:  # happens only if RE2 ran out of memory: no answer beats a wrong one
                raise RedactionFailed("the rules' words were found and then not found")
            effort.spend(place + 1 - at)
            yield place, here
            at = place + 1
        effort.spend(len(text) - at)


class Cursor:
    """Finds the needs of a text from its beginning to its end; it reads nothing twice."""

    def __init__(self, text: bytes, automata: Sequence[_Automaton], always: bool) -> None:
        self._text = text
        self._always = always
        self._ahead = [(-1, automaton) for automaton in automata]

    def next(self, at: int) -> int:
        """Where, from `at` on, the next need begins; -1 if nowhere. `at` never goes back."""
        if self._always:
            return at if at < len(self._text) else -1
        self._ahead = [
            (automaton.next(self._text, at) if place < at else place, automaton)
            for place, automaton in self._ahead
        ]
        first = min(place for place, _ in self._ahead)
        return first if first < len(self._text) else -1


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
        others[NEED_OF_BASE64] = []
        others[NEED] = []
        others[HIDDEN] = []
        self._near = [(compiled(words, "near"), found) for words, found in near.items()]
        self._hidden = compiled(HIDDEN, "gate")
        self._parts = [
            (_Automaton([*needs]), [*needs.values()]) for needs in (tokens, others) if needs
        ]

    def cursor(self, text: bytes) -> Cursor:
        """Finds where, in `text`, something begins that a rule may need.

        If a rule can match a text, there is a place in the text, and also in the text escaped as
        a JSON string, and escaped once more as a JSON string in a JSON string.
        """
        return Cursor(text, [automaton for automaton, _ in self._parts], bool(self.always))

    def lines(self, text: bytes) -> Iterator[tuple[int, int, int]]:
        """Start and end of each line that holds a need, and where the first need begins."""
        cursor, at = self.cursor(text), 0
        while (hit := cursor.next(at)) >= 0:
            start, end = line_around(text, at, hit)
            yield start, end, hit
            at = end + 1

    def near(self, record: bytes) -> list[int]:
        """The indexes of the rules to try on all of a record, because of a word in it."""
        if not self._near:
            return []
        hidden = self._hidden.search(record) is not None
        opened = (
            o for words, orders in self._near if hidden or words.search(record) for o in orders
        )
        return sorted(opened)

    def reasons(self, text: bytes, effort: Effort, at: int = 0) -> Reasons:
        """The rules that could match somewhere in `text`, and where; nothing is before `at`.

        Raises:
            TooMuchWork: the effort is spent.
        """
        needed: list[tuple[Sequence[int], list[int]]] = []
        places: list[int] = []
        for automaton, orders in self._parts:
            found: dict[int, list[int]] = {}
            for place, needs in automaton.hits(text, at, effort):
                places.append(place)
                for need in needs:
                    found.setdefault(need, []).append(place)
            needed += [(orders[need], where) for need, where in found.items() if orders[need]]
        last = len(orders) - 1  # the needs of no rule stand at the end of the last automaton
        hidden, coded = last in found, last - 1 in found or last - 2 in found
        return Reasons(needed, sorted(places), hidden, coded)


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
