"""Wraps google-re2: patterns over bytes, with types, and with errors that name the rule.

RE2 matches in linear time, so no pattern, also none of a person's own, can hang the redactor.
"""

from collections.abc import Sequence
from typing import Protocol

import re2

from karma_sync.errors import RedactionFailed

# Bytes for RE2's automata: with the default of 8 MiB the gate rebuilds its states and is slow.
MEMORY = 64 << 20


class Pattern(Protocol):
    """The part of a google-re2 pattern that we use; google-re2 ships no types."""

    groups: int
    groupindex: dict[bytes, int]

    def search(self, text: bytes, pos: int = 0) -> "Match | None":
        """The leftmost match that begins at `pos` or later."""

    def match(self, text: bytes, pos: int = 0) -> "Match | None":
        """The match that begins at `pos`."""


class Match(Protocol):
    """The part of a google-re2 match that we use."""

    def start(self, group: int = 0) -> int:
        """Where the group begins; -1 if it did not match."""

    def end(self, group: int = 0) -> int:
        """Where the group ends; -1 if it did not match."""


class PatternSet(Protocol):
    """The part of a google-re2 set of patterns that we use."""

    def Match(self, text: bytes) -> list[int]:  # noqa: N802  google-re2's name
        """The indexes of the patterns that match at the beginning of `text`."""


def compiled(pattern: str, whose: str, utf8: bool = False) -> Pattern:
    """Compile a pattern over bytes, or over characters with `utf8`; `whose` names its rule.

    Raises:
        RedactionFailed: it is not a valid RE2 pattern.
    """
    try:
        found: Pattern = re2.compile(pattern.encode(), _options(utf8))
    except re2.error as error:
        raise RedactionFailed(f"rule {whose}: not a valid RE2 pattern: {error}") from error
    return found


def compiled_set(patterns: Sequence[str]) -> PatternSet:
    """Compile patterns into one set that tests which of them match where a text begins."""
    found = re2.Set.MatchSet(_options())
    for pattern in patterns:
        found.Add(pattern.encode())
    found.Compile()
    result: PatternSet = found
    return result


def _options(utf8: bool = False) -> re2.Options:
    options = re2.Options()
    encodings = re2.Options.Encoding
    options.encoding = encodings.UTF8 if utf8 else encodings.LATIN1
    options.max_mem = MEMORY
    options.log_errors = False
    return options
