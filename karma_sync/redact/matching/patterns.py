"""Wraps google-re2 and Hyperscan: patterns over bytes, with errors that name the rule.

Both match in linear time, so no pattern, also none of a person's own, can hang the redactor.
"""

import re
import threading
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

import hyperscan
import re2

from karma_sync.errors import RedactionFailed

# Bytes for RE2's automata: with the default of 8 MiB some rules rebuild their states and are slow.
MEMORY = 64 << 20

# Start and end of a match and of each of its groups; (-1, -1) for a group that did not match.
Spans = tuple[tuple[int, int], ...]
_NOTHING = (-1, -1)
# Of a pattern: finds it in a text from one place to another, and anchored or not.
Match = Callable[[re2._Anchor, bytes, int, int], Spans]
_APART = 64  # bytes
_NAMED_GROUP = re.compile(rb"\(\?P<[A-Za-z0-9_]+>")
_SHOWN = 512  # bytes at each end of a match that are always looked at for its groups
_BETWEEN = re.compile(rb"[^A-Za-z0-9+/=_-]")  # what ends a word, or a run of base64


class Pattern:
    """A compiled pattern over bytes.

    It calls the binding below google-re2's `re`-like objects: these cost more than the search, and
    a text with many secrets asks for tens of thousands of searches. `find` is public where they
    are not; requirements-dev.lock pins the version, and every test of a rule would notice.
    """

    def __init__(self, pattern: bytes, options: re2.Options) -> None:
        self._source, self._options = pattern, options
        self._public = public = re2.compile(pattern, options)
        self.groups: int = public.groups
        self.groupindex: dict[bytes, int] = public.groupindex
        self._names = {at for name, at in self.groupindex.items() if name.startswith(b"name")}
        self._match = public._regexp.Match
        self._anywhere, self._here = re2._Anchor.UNANCHORED, re2._Anchor.ANCHOR_START

    def search(self, text: bytes, pos: int = 0, endpos: int | None = None) -> Spans | None:
        """The leftmost match in text[pos:endpos]; the text around it counts for `^`, `$`, `\\b`."""
        found: Spans = self._match(
            self._anywhere, text, pos, len(text) if endpos is None else endpos
        )
        return None if found[0] == _NOTHING else found

    def where(self, text: bytes, pos: int, endpos: int) -> tuple[int, int] | None:
        """Start and end of the same match as `search`, fast also if it is very long."""
        found: Spans = self._without_groups(self._anywhere, text, pos, endpos)
        return None if found[0] == _NOTHING else found[0]

    def groups_of(self, text: bytes, found: tuple[int, int], endpos: int) -> Spans:
        """The groups of a match that `where` told, with this `endpos`, of `text`.

        RE2 finds out fast where a match begins and ends, and slowly where its groups do. If one
        group is most of a long match, as a value of 80 kB is, only the match's first and last half
        kilobytes are searched for the groups. The value may then be longer than it is to `search`,
        where that would end it within the match, at a sign between its ends; it is never shorter.
        """
        groups = self._groups_at_ends(text, *found, endpos)
        if groups is None:
            groups = self._match(self._here, text, found[0], endpos)
        return groups

    def _groups_at_ends(self, text: bytes, first: int, last: int, endpos: int) -> Spans | None:
        left_out = last - first - 2 * _SHOWN
        if left_out <= 0:
            return None
        before, after = min(first, 1), min(endpos - last, 1)  # characters beside the match
        joint, size = before + _SHOWN, before + 2 * _SHOWN
        shown = text[first - before : first + _SHOWN] + text[last - _SHOWN : last + after]
        seen: Spans = self._match(self._here, shown, before, len(shown))
        if seen[0] != (before, size) or not self._has_value_at(joint, seen):
            return None
        added = first - before
        return tuple(
            (start + added + left_out * (start > joint), end + added + left_out * (end > joint))
            if start >= 0
            else _NOTHING
            for start, end in seen
        )

    def _has_value_at(self, joint: int, seen: Spans) -> bool:
        """Whether one group goes over this place, no name, and none ends or begins at it."""
        over = [group for group, (a, b) in enumerate(seen) if group and a <= joint <= b]
        return len(over) == 1 and over[0] not in self._names and joint not in seen[over[0]]

    @cached_property
    def _without_groups(self) -> Match:
        """The same pattern without groups."""
        options = _options(self._options.encoding == re2.Options.Encoding.UTF8)
        options.never_capture = True
        try:
            public = re2.compile(_NAMED_GROUP.sub(b"(?:", self._source), options)
        except re2.error:
            public = self._public
        matched: Match = public._regexp.Match
        return matched

    def match(self, text: bytes, pos: int = 0, endpos: int | None = None) -> Spans | None:
        """The match in text[pos:endpos] that begins at `pos`."""
        found: Spans = self._match(self._here, text, pos, len(text) if endpos is None else endpos)
        return None if found[0] == _NOTHING else found


class PatternSet:
    """Patterns over bytes that are searched together in one pass, by RE2.

    It tells which of them match anywhere in a text, and takes no longer than one of them: most
    texts that open several rules hold what one of them finds, or none.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """`patterns` are valid, and look at no character beside their match but line ends."""
        self._set = re2.Set.SearchSet(_options(utf8=False))
        for pattern in patterns:
            self._set.Add(pattern.encode())
        self._set.Compile()

    def matching(self, text: bytes) -> Sequence[int]:
        """The indexes of the patterns that match in the text."""
        return self._set.Match(text) or ()


class Needs:
    """Patterns that are searched together in one pass, by Hyperscan.

    It matches in time that depends on the text's size alone, whatever the patterns are.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [pattern.encode() for pattern in patterns]
        self._database: hyperscan.Database | None = None
        self._one_at_a_time = threading.Lock()  # the database has one working memory

    def _compiled(self) -> hyperscan.Database:
        """The database; it is made with the first text, because it takes a third of a second."""
        if self._database is None:
            made = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
            try:
                made.compile(
                    expressions=self._patterns,
                    ids=range(len(self._patterns)),
                    elements=len(self._patterns),
                    flags=hyperscan.HS_FLAG_DOTALL,
                )
            except hyperscan.error as error:
                raise RedactionFailed(f"the words of the rules: {error}") from error
            self._database = made
        return self._database

    def ends(self, text: bytes | memoryview) -> list[tuple[int, int]]:
        """The place of the last byte of each match, and its pattern's index; in order of places.

        Of matches of one pattern that end near each other in a word, only the first is told.

        Raises:
            RedactionFailed: one of the patterns is none that Hyperscan knows.
        """
        found: list[tuple[int, int]] = []
        last = [-_APART] * len(self._patterns)

        def tell(pattern: int, _start: int, end: int, _flags: int, _context: object) -> None:
            before = last[pattern]
            if end - before >= _APART or _BETWEEN.search(text, before, end):
                last[pattern] = end
                found.append((end - 1, pattern))

        if not text:
            return []
        with self._one_at_a_time:
            # it scans any buffer; its types know bytes and str
            self._compiled().scan(text, match_event_handler=tell)  # type: ignore[type-var]
        return found


def compiled(pattern: str, whose: str, utf8: bool = False) -> Pattern:
    """Compile a pattern over bytes, or over characters with `utf8`; `whose` names its rule.

    Raises:
        RedactionFailed: it is not a valid RE2 pattern.
    """
    try:
        return _pattern(pattern.encode(), utf8)
    except re2.error as error:
        raise RedactionFailed(f"rule {whose}: not a valid RE2 pattern: {error}") from error


@lru_cache(maxsize=1024)  # every redactor has the same few hundred; re2 keeps 128
def _pattern(pattern: bytes, utf8: bool) -> Pattern:
    return Pattern(pattern, _options(utf8))


@lru_cache(maxsize=16)
def compiled_needs(patterns: tuple[str, ...]) -> Needs:
    """One search for these patterns; the same ones are compiled once."""
    return Needs(patterns)


def _options(utf8: bool) -> re2.Options:
    options = re2.Options()
    encodings = re2.Options.Encoding
    options.encoding = encodings.UTF8 if utf8 else encodings.LATIN1
    options.max_mem = MEMORY
    options.log_errors = False
    return options
