"""Searches the content of sessions for a regular expression, also what the index leaves out.

The syntax is RE2's, whose time grows with the text alone, so no pattern can hang the search.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import re2

from karma_sync.agents.growing_file import LineTooLong, whole_lines
from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.manifest import ItemFile
from karma_sync.domain.session.marks import Mark, snippet
from karma_sync.domain.session.passage import Reading, Texts
from karma_sync.domain.session.query import Query
from karma_sync.errors import BadInput, Unverified
from karma_sync.library.hits import SNIPPET_CHARS, Hit, Manner, Results
from karma_sync.library.reader import Readable
from karma_sync.library.search import Searcher
from karma_sync.store import readable as queries

# So much content is read by one search; the next one goes on where it ended.
_MOST_BYTES = 300_000_000
_MOST_MARKS = 50  # in one record
_PAGE = 20  # sessions that are looked up at a time


class _Fit(Protocol):
    def span(self) -> Mark: ...
    def group(self) -> str: ...


class Regex(Protocol):
    """A compiled pattern of google-re2."""

    def finditer(self, text: str) -> Iterator[_Fit]: ...


@dataclass
class _Scan:
    """One search while it goes on: what is left to read, and what was found."""

    pattern: Regex
    every: bool
    wanted: int
    left: int = _MOST_BYTES
    hits: list[Hit] = field(default_factory=list)

    def is_full(self) -> bool:
        """Whether enough was found or read."""
        return self.left <= 0 or len(self.hits) >= self.wanted


@dataclass(frozen=True)
class RegexSearcher:
    """Searches what `searcher` searches, for a pattern."""

    searcher: Searcher

    def search(self, scope: AccessScope, pattern: str, query: Query, manner: Manner) -> Results:
        """The records that fit the pattern, of the sessions that the query's filters allow.

        The latest active session comes first. `next_skip` counts the sessions that were read.

        Raises:
            BadInput: the pattern is not a regular expression, or the query has words.
        """
        if query.words:
            words = " ".join(word.text for word in query.words)
            raise BadInput(
                f"with --regex, {words!r} cannot be searched for as well",
                hint="only filters such as project:web; put the pattern into quotes",
            )
        scan = _Scan(_compiled(pattern), manner.every, manner.most)
        store, skip = self.searcher.library.store, manner.skip
        with store.reading() as tx:
            sessions = self.searcher.sessions(tx, scope, query)
        sessions = self.searcher.within_times(sessions)
        while not scan.is_full():
            with store.reading() as tx:
                found, total = queries.page(tx, scope, sessions, _PAGE, skip)
            for each in found:
                if scan.is_full():
                    break
                self._scan_session(scope, each, scan)
                skip += 1
            if not found:
                return Results(scan.hits, len(scan.hits), notes=query.notes)
        left = skip if skip < total else 0
        notes = [*query.notes, f"{total - skip} sessions are not read yet"] if left else query.notes
        return Results(scan.hits, len(scan.hits), left, notes)

    def _scan_session(self, scope: AccessScope, readable: Readable, scan: _Scan) -> None:
        found: list[Hit] = []
        with self.searcher.library.store.reading() as tx:
            session = readable.manifest.session.session_id
            short = queries.short_ids(tx, scope, [session])[session]
        for file in readable.manifest.files:
            scan.left -= file.size
            for at, size, reading in self._readings(readable, file):
                fits = _fitting(scan.pattern, reading)
                if fits:
                    name, text, places = fits
                    shown, shown_marks = snippet(text, places, SNIPPET_CHARS)
                    place = (reading.message, file.path, at, size, reading.time, name)
                    found.append(Hit(readable, short, *place, shown, shown_marks, 0, 0.0))
        if found and not scan.every:
            found = [replace(found[0], more=len(found) - 1)]
        scan.hits += found

    def _readings(self, readable: Readable, file: ItemFile) -> Iterator[tuple[int, int, Reading]]:
        """What each line of a file says: where it begins, its size in bytes, its texts.

        A line of a file that is no transcript counts as the result of a tool.
        """
        manifest = readable.manifest
        extractor = self.searcher.extractors.get(manifest.session.agent)
        is_read = extractor is not None and extractor.reads(file.path)
        kept = KeptContent(self.searcher.library.root, readable.folder, manifest)
        at = 0
        try:
            for block in whole_lines(kept.pieces(file)):
                for line in block.splitlines(keepends=True):
                    reading = (
                        extractor.read(line)
                        if extractor and is_read
                        else Reading("", 0, Texts(result=line.decode(errors="replace")))
                    )
                    if reading:
                        yield at, len(line), reading
                    at += len(line)
        except (FileNotFoundError, Unverified, LineTooLong):
            return  # a newer revision replaced it, or it is damaged: the rest is left out


def _fitting(pattern: Regex, reading: Reading) -> tuple[str, str, list[Mark]] | None:
    """The first text of a record that the pattern fits: what it is, the text, the places."""
    for name, text in reading.texts._asdict().items():
        if text:
            found = islice(pattern.finditer(text), _MOST_MARKS)
            places = [fit.span() for fit in found if fit.group()]
            if places:
                return name, text, places
    return None


def _compiled(pattern: str) -> Regex:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Regex = re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0] if error.args else error
        why = why.decode(errors="replace") if isinstance(why, bytes) else why
        raise BadInput(
            f"{pattern!r} is not a regular expression: {why}",
            hint="the syntax is RE2's: github.com/google/re2/wiki/Syntax",
        ) from None
    return compiled
