"""Tells fast which rules could match a text: one automaton over all that they need."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from karma_sync.errors import RedactionFailed
from karma_sync.redact.matching.patterns import Pattern, PatternSet, compiled, compiled_set
from karma_sync.redact.matching.rule import Rule

HIDDEN = r"\\u00[2-7]"  # an escaped ASCII character: it may hide any of the words
CROWD = 64  # places in one text after which it is cheaper to ask for each need by itself


class Reasons(NamedTuple):
    """Why secrets may be in a text.

    `rules`, by their place in the list, could match somewhere in it, as it is written. What they
    need begins at `places`, in order; None if that is everywhere: there are too many places, or
    one of them may hide what another rule needs.
    """

    rules: list[int]
    places: list[int] | None


class Gates:
    """What the rules need, once for each different need."""

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
            orders.setdefault(words, [])  # it makes a line suspect, and opens nothing by itself
        self._near = [(compiled(words, "near"), found) for words, found in near.items()]
        self._hidden = compiled(HIDDEN, "gate")
        self._orders = list(orders.values())
        self._each = [compiled(need, "gate") for need in orders]
        self._here: PatternSet = compiled_set([*orders, HIDDEN])
        self._any: Pattern = compiled("|".join(f"(?:{need})" for need in [*orders, HIDDEN]), "gate")

    def search(self, text: bytes, at: int = 0) -> int:
        """Where behind `at` something begins that a rule may need, or -1.

        If a rule can match a text then this finds it a reason in the text, and also in what the
        text looks like as a JSON string, and as a JSON string in a JSON string.
        """
        if self._always:
            return at if at < len(text) else -1
        hit = self._any.search(text, at)
        return -1 if hit is None else hit.start()

    def near(self, record: bytes) -> list[int]:
        """The rules that are to be tried on all of a record, because of a word in it."""
        if not self._near:
            return []
        hidden = self._hidden.search(record) is not None
        opened = (
            o for words, orders in self._near if hidden or words.search(record) for o in orders
        )
        return sorted(opened)

    def reasons(self, text: bytes) -> Reasons:
        """Why some rule could match somewhere in `text`."""
        opened: set[int] = set()
        places: list[int] = []
        at = 0
        for _ in range(CROWD):
            hit = self._any.search(text, at)
            if hit is None:
                break
            places.append(hit.start())
            here = self._here.Match(text[hit.start() :])
            if not here:  # out of memory is the only way: better no answer than a wrong one
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
    """A word in any case, also where it is escaped once or several times over."""
    return "(?i:" + "".join(map(_character, word)) + ")"


def _character(one: str) -> str:
    if not one.isascii():  # the automaton is over bytes, and knows no case of these
        cases = sorted({one, one.lower(), one.upper()})
        plain = "|".join(map(re.escape, cases))
        return rf"(?:{plain}|\\+u[0-9a-f]{{4}}(?:\\+u[0-9a-f]{{4}})?)"
    if one.isspace():
        return r"(?:\s|\\+[ntr])"
    if one in "\"/'":
        return r"\\*" + re.escape(one)
    return r"\\+" if one == "\\" else re.escape(one)
