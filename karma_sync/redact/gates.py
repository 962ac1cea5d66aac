"""Finds out fast which rules could match a text, with one automaton over all that they need.

A rule needs one of its keywords, or a match of its gate pattern (see `matching/rule.py`).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from karma_sync.errors import RedactionFailed
from karma_sync.redact.matching.patterns import Pattern, PatternSet, compiled, compiled_set
from karma_sync.redact.matching.rule import Rule

HIDDEN = r"\\u00[2-7]"  # an escaped ASCII character: it may hide any word
CROWD = 64  # the number of places in one text from which testing each need by itself is cheaper


class Reasons(NamedTuple):
    """The rules that could match a text as it is written, and the places of what they need.

    `rules` are indexes into the list of rules. `places` are in order; None means that the whole
    text must be searched: there are too many places, or one of them may hide what another rule
    needs.
    """

    rules: list[int]
    places: list[int] | None


class Gates:
    """Tests texts for what the rules need; rules that need the same share one test."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        orders: dict[str, list[int]] = {}
        near: dict[str, list[int]] = {}
        for order, rule in enumerate(rules):
            if rule.near:
                near.setdefault("|".join(map(_word, rule.near)), []).append(order)
            else:
                orders.setdefault(_need(rule), []).append(order)
        self._always = orders.pop("", [])
        for words in near:
            # these words make a line a candidate; `near` gives the rules to try for them
            orders.setdefault(words, [])
        self._near = [(compiled(words, "near"), found) for words, found in near.items()]
        self._hidden = compiled(HIDDEN, "gate")
        self._orders = list(orders.values())
        self._each = [compiled(need, "gate") for need in orders]
        self._here: PatternSet = compiled_set([*orders, HIDDEN])
        self._any: Pattern = compiled("|".join(f"(?:{need})" for need in [*orders, HIDDEN]), "gate")

    def search(self, text: bytes, at: int = 0) -> int:
        """Where, from `at` on, something begins that a rule may need; -1 if nowhere.

        If a rule can match a text, this finds a place in the text, and also in the text escaped as
        a JSON string, and escaped once more as a JSON string in a JSON string.
        """
        if self._always:
            return at if at < len(text) else -1
        hit = self._any.search(text, at)
        return -1 if hit is None else hit.start()

    def near(self, record: bytes) -> list[int]:
        """The indexes of the rules to try on all of a record, because of a word in it."""
        if not self._near:
            return []
        hidden = self._hidden.search(record) is not None
        opened = (
            o for words, orders in self._near if hidden or words.search(record) for o in orders
        )
        return sorted(opened)

    def reasons(self, text: bytes) -> Reasons:
        """The rules that could match somewhere in `text`, and where."""
        opened: set[int] = set()
        places: list[int] = []
        at = 0
        for _ in range(CROWD):
            hit = self._any.search(text, at)
            if hit is None:
                break
            places.append(hit.start())
            here = self._here.Match(text[hit.start() :])
            if not here:  # happens only if RE2 ran out of memory: no answer beats a wrong one
                raise RedactionFailed("the rules' words were found and then not found")
            opened.update(here)
            at = hit.start() + 1
        else:
            found = (need for need, gate in enumerate(self._each) if gate.search(text, at))
            opened.update(found)
            places.clear()
        hidden = len(self._orders)
        everywhere = bool(self._always) or hidden in opened or (opened and not places)
        opened.discard(hidden)
        rules = sorted([*self._always, *(order for need in opened for order in self._orders[need])])
        return Reasons(rules, None if everywhere else places)


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
