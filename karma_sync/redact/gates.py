"""Finds out fast which rules could match a text, with one automaton over all that they need.

A rule needs one of its keywords, or a match of its gate pattern (see `matching/rule.py`).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from karma_sync.errors import RedactionFailed
from karma_sync.redact.effort import Effort
from karma_sync.redact.matching.patterns import Pattern, PatternSet, bounded, compiled, compiled_set
from karma_sync.redact.matching.rule import Rule

HIDDEN = r"\\u00[2-7]"  # an escaped ASCII character: it may hide any word
MOST_BYTES = 2048  # no need is longer: a test of the rules holds it


class Reasons(NamedTuple):
    """The rules that could match a text as it is written, and the places of what they need.

    `needed` has the indexes of rules that need the same, with the places of it, in order;
    `places` are all of these. `hidden` says that one of the places may hide what another rule
    needs.
    """

    needed: list[tuple[Sequence[int], list[int]]]
    places: list[int]
    hidden: bool


class Gates:
    """Tests texts for what the rules need; rules that need the same share one test.

    `always` are the indexes of the rules that need nothing and are tried on every text.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        orders: dict[str, list[int]] = {}
        near: dict[str, list[int]] = {}
        for order, rule in enumerate(rules):
            if rule.near:
                near.setdefault("|".join(map(_word, rule.near)), []).append(order)
            else:
                orders.setdefault(_need(rule), []).append(order)
        self.always = orders.pop("", [])
        for words in near:
            # these words make a line a candidate; `near` gives the rules to try for them
            orders.setdefault(words, [])
        self._near = [(compiled(words, "near"), found) for words, found in near.items()]
        self._hidden = compiled(HIDDEN, "gate")
        self._orders = list(orders.values())
        self._here: PatternSet = compiled_set([*orders, HIDDEN])
        self._any: Pattern = compiled("|".join(f"(?:{need})" for need in [*orders, HIDDEN]), "gate")

    def search(self, text: bytes, at: int = 0) -> int:
        """Where, from `at` on, something begins that a rule may need; -1 if nowhere.

        If a rule can match a text, this finds a place in the text, and also in the text escaped as
        a JSON string, and escaped once more as a JSON string in a JSON string.
        """
        if self.always:
            return at if at < len(text) else -1
        hit = self._any.search(text, at)
        return -1 if hit is None else hit[0][0]

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
        found: dict[int, list[int]] = {}
        places: list[int] = []
        search = self._any.search
        while hit := search(text, at):
            place = hit[0][0]
            places.append(place)
            here = self._here.match(text[place : place + MOST_BYTES])
            if not here:  # a need of a person's rule may be longer
                here = self._here.match(text[place:])
                effort.spend(len(text) - place)
            if not here:  # happens only if RE2 ran out of memory: no answer beats a wrong one
                raise RedactionFailed("the rules' words were found and then not found")
            for need in here:
                found.setdefault(need, []).append(place)
            effort.spend(place + 1 - at)
            at = place + 1
        effort.spend(len(text) - at)
        hidden = found.pop(len(self._orders), None) is not None
        return Reasons([(self._orders[n], where) for n, where in found.items()], places, hidden)


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
