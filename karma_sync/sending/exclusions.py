"""Finds what lies behind the links that exclusions name.

A record names a directory as the agent saw it: mostly the real path, where a person types the path
through a link. The link may be a directory above, or one that a pattern matches.
"""

import glob
import os
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from karma_sync.domain.session.selection import Exclusion

WILDCARDS = frozenset("*?[")
_FRESH_S = 10.0
_MOST_MATCHES = 1000  # of a pattern; they are read at every look


class ExclusionLinks:
    """Resolves the links of exclusions; looks at the disk at most every ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: tuple[tuple[Exclusion, ...], float] | None = None
        self._behind: tuple[tuple[str, Exclusion], ...] = ()

    def behind(self, exclusions: tuple[Exclusion, ...]) -> tuple[tuple[str, Exclusion], ...]:
        """Further paths and patterns that these exclusions mean, each with its exclusion."""
        now = self._clock()
        if self._known is None or self._known[0] != exclusions or now - self._known[1] > _FRESH_S:
            self._behind = tuple(_behind(exclusions))
            self._known = exclusions, now
        return self._behind


def _behind(exclusions: Iterable[Exclusion]) -> Iterable[tuple[str, Exclusion]]:
    for exclusion in exclusions:
        pattern = exclusion.pattern
        if not pattern.startswith("/"):
            continue  # it is compared with names, or is a path of another system
        found = {real_pattern(pattern)}
        if WILDCARDS & set(pattern):
            matches = glob.iglob(pattern, include_hidden=True)  # noqa: PTH207 pathlib hides errors
            found |= {os.path.realpath(match) for match in islice(matches, _MOST_MATCHES)}
        for path in sorted(found):
            if not exclusion.covers(path):
                yield path, exclusion


def split_pattern(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """The part of a path before its first wildcard, and the parts from there on."""
    parts = Path(pattern).parts
    fixed = next((n for n, part in enumerate(parts) if WILDCARDS & set(part)), len(parts))
    return Path(*parts[:fixed]), parts[fixed:]


def real_pattern(pattern: str) -> str:
    """A pattern of paths with the links before its first wildcard resolved."""
    fixed, rest = split_pattern(pattern)
    return str(Path(os.path.realpath(fixed), *rest))
