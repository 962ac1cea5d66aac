"""What a rule is: data about one kind of secret, with the examples that prove it beside it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

Check = Callable[[bytes, bytes], bool]
"""(the match's group `name` or b"", the secret) -> is it one? For what a pattern cannot say."""


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
    examples: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"rule name {self.name!r} is not of the form {NAME.pattern}")
