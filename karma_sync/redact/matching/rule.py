"""Defines a rule: data about one kind of secret, with the examples by which tests prove it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
FAR = 600  # bytes; few secrets stand so far from what identifies them
ANYWHERE = -1

# Decides what a pattern cannot: takes the first group that matched among those named `name…` (b""
# if there is none) and the candidate, returns whether the candidate is a secret.
Check = Callable[[bytes, bytes], bool]

# Finds secrets where no pattern can: takes a text and the stretch of it to search, returns the
# stretches that are secrets, in order. It must take linear time.
Finder = Callable[[bytes, int, int], Iterable[tuple[int, int]]]


class Judge(Protocol):
    """A check of a rule that the person wrote; its `repr` must hold everything it depends on.

    The `repr` is part of the redactor's version.
    """

    def __call__(self, match: bytes, secret: bytes) -> bool:
        """Whether the candidate `secret` in this match is a secret."""


@dataclass(frozen=True)
class Rule:
    """One kind of secret, and how to find it.

    `pattern` is RE2 over UTF-8 bytes. The redactor cuts the first group that matched among those
    named `secret…`; if no group has such a name, the first group; if there is no group, the whole
    match. With `until` (RE2) the cut continues to the end of the next match of `until`, or of the
    text.

    `keywords` and `gate` make the redactor fast and must never change what it finds. Wherever
    `pattern` matches, the match holds at least one keyword, or `gate` matches in it (Hyperscan, so
    it needs no limits to its repetitions, but few words: they take time to compile); that
    must also hold while the text is still escaped, once or several times, as a JSON string. So a
    keyword has no quote, slash, backslash or white space, and a gate allows backslashes before
    these characters. `gate_head` is how the gate begins if those of several rules begin so: it is
    searched once for all of them. A rule with neither keywords nor gate is tried on every text.
    `one_line` promises that no match spans lines or depends on a line's end: then only the lines
    that pass the gate are searched. Of other rules, the lines within `reach` bytes of what passes
    the gate are searched, or all of the text (`ANYWHERE`).

    `also` (RE2) matches too in every text in which the rule finds something, within its reach, and
    while that is still escaped: a cheap look for what a gate cannot tell.

    `begins` (Hyperscan) is how a token begins whose form alone tells it from other text; such a
    token is found also where a terminal wrapped it.

    A `finder` takes the place of the pattern where the secret has a structure that no pattern
    finds in linear time: nested blocks, columns of a table.

    A rule that the person wrote has `near` (words): it is tried on all of a record or text that
    holds one of them, in upper or lower case. Its pattern matches characters (`utf8`), and the
    redactor cuts the first of `groups` that is not empty, or else the whole match. An allowlist
    does not exempt values from a `firm` rule.

    `examples` and `near_misses` are templates for `examples.fill`; «…» marks what must be cut.
    `source` is the web page that describes the secret's form.
    """

    name: str
    pattern: str
    source: str
    keywords: tuple[str, ...] = ()
    gate_head: str = ""
    gate: str = ""
    one_line: bool = False
    reach: int = FAR
    also: str = ""
    finder: Finder | None = None
    until: str = ""
    check: Check | None = None
    near: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    judge: Judge | None = None
    utf8: bool = False
    firm: bool = False
    begins: str = ""
    examples: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"rule name {self.name!r} does not match {NAME.pattern}")
