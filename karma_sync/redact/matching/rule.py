"""What a rule is: data about one kind of secret, with the examples that prove it beside it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

Check = Callable[[bytes, bytes], bool]
"""(the match's group `name` or b"", the secret) -> is it one? For what a pattern cannot say."""


class Judge(Protocol):
    """The same for a rule that the person wrote; its `repr` says all that it judges by."""

    def __call__(self, match: bytes, secret: bytes) -> bool:
        """Whether the secret in this match is one."""


@dataclass(frozen=True)
class Rule:
    """One kind of secret.

    `pattern` is RE2 over UTF-8 bytes. What is cut is the first group that matched of those named
    `secret…`; without such a name the first group, without a group the whole match.

    `keywords` and `gate` make the redactor fast and must never change what it finds: wherever
    `pattern` matches, at least one keyword stands in the match, or `gate` (RE2) matches it, also
    when the text is still escaped once or several times over as a JSON string. So a keyword holds
    no quote, slash, backslash or white space, and a gate allows backslashes where it names one.
    A rule with neither is tried on everything. With `until` (RE2) the cut goes on to the end of
    its next match, or of the text. `one_line` promises that no match spans lines, nor
    needs to see the end of one: then only the lines that pass the gate are searched.

    A rule that the person wrote has `near` (words): it is tried on all of a record or text that
    holds one of them, in whatever case. Its pattern is over characters (`utf8`), and what is cut
    is the first of `groups` that is not empty, the whole match if none is. From a `firm` rule
    no allowlist exempts.

    `examples` and `near_misses` are templates for `examples.fill`; «…» marks what is to be cut.
    """

    name: str
    pattern: str
    source: str
    keywords: tuple[str, ...] = ()
    gate: str = ""
    one_line: bool = False
    until: str = ""
    check: Check | None = None
    near: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    judge: Judge | None = None
    utf8: bool = False
    firm: bool = False
    examples: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"rule name {self.name!r} is not of the form {NAME.pattern}")
