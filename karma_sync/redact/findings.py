"""Remembers the findings in the texts of one block of records: tools print the same text again."""

import hashlib
from collections.abc import Sequence

from karma_sync.redact.gates import NeedHit
from karma_sync.redact.json_strings import Group
from karma_sync.redact.rule_matcher import Span
from karma_sync.redact.scanner import Scanner

_LEAST = 256  # bytes of a text: a shorter one is searched as fast
_MOST_HITS = 256  # and spans, so that one text takes little memory
_MOST_TEXTS = 4096

# All that a search depends on; the text by its hash, so that no secret is kept.
_Key = tuple[bytes, tuple[int, ...], frozenset[tuple[int, int]], tuple[NeedHit, ...] | None, bool]


class Findings:
    """Finds secrets in groups of strings with a scanner; the same group is searched once."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._known: dict[_Key, list[Span]] = {}

    def find(
        self, group: Group, near: Sequence[int], hits: Sequence[NeedHit] | None, coloured: bool
    ) -> list[Span]:
        """The same as `Scanner.find`."""
        written = group.quoted()
        if len(group.text) < _LEAST or len(hits or ()) > _MOST_HITS:
            return self._scanner.find(group.text, near, written, hits, coloured)
        digest = hashlib.sha256(group.text).digest()
        told = None if hits is None else tuple(hits)
        key = digest, tuple(near), frozenset(written), told, coloured
        spans = self._known.get(key)
        if spans is None:
            spans = self._scanner.find(group.text, near, written, hits, coloured)
            if len(self._known) < _MOST_TEXTS and len(spans) <= _MOST_HITS:
                self._known[key] = spans
        return spans
