"""google-re2 as we use it: over bytes, with types, and with an error that names the rule."""

from collections.abc import Sequence
from typing import Protocol

import re2

from karma_sync.errors import RedactionFailed

MEMORY = 64 << 20  # bytes for RE2's automata: with the default of 8 MiB the gate starves and crawls


class Pattern(Protocol):
    """The part of a google-re2 pattern that we use; it ships no types."""

    groups: int
    groupindex: dict[bytes, int]

    def search(self, text: bytes, pos: int = 0) -> "Match | None":
        """The leftmost match at or behind `pos`."""

    def match(self, text: bytes, pos: int = 0) -> "Match | None":
        """The match that begins at `pos`."""


class Match(Protocol):
    """The part of a google-re2 match that we use."""

    def start(self, group: int = 0) -> int:
        """Where the group begins, or -1."""

    def end(self, group: int = 0) -> int:
        """Where the group ends, or -1."""


class PatternSet(Protocol):
    """The part of a google-re2 set of patterns that we use."""

    def Match(self, text: bytes) -> list[int]:  # noqa: N802  google-re2's name
        """Which of the patterns, by their place, match at the beginning of `text`."""


def compiled(pattern: str, whose: str, utf8: bool = False) -> Pattern:
    """The pattern over bytes, or characters; RedactionFailed names the rule if it is not RE2."""
    try:
        found: Pattern = re2.compile(pattern.encode(), _options(utf8))
    except re2.error as error:
        raise RedactionFailed(f"rule {whose}: not a pattern: {error}") from error
    return found


def compiled_set(patterns: Sequence[str]) -> PatternSet:
    """All of the patterns at once, each to match where a text begins."""
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
