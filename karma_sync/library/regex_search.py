"""Searches the content of sessions for a regular expression, also what the index leaves out.

The syntax is RE2's, whose time grows with the text alone, so no pattern can hang the search.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import re2

from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.session.manifest import ItemFile
from karma_sync.domain.session.marks import Mark, snippet
from karma_sync.domain.session.passage import Extractor, Reading, Texts
from karma_sync.domain.session.query import Query
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import BadInput, KarmaError
from karma_sync.library.hits import SNIPPET_CHARS, Hit, Manner

# Content read by one search; the next one goes on where it ended.
_MOST_BYTES = 300_000_000
_MOST_MARKS = 50  # in one record


class _Fit(Protocol):
    def span(self) -> Mark: ...
    def group(self) -> str: ...


class Regex(Protocol):
    """A compiled pattern of google-re2."""

    def finditer(self, text: str) -> Iterator[_Fit]: ...


@dataclass
class _Scan:
    """One search while it goes on: the sessions left to read, and the hits so far."""

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
    """Searches sessions for a pattern; `content` gives the bytes of one of a session's files."""

    extractors: Mapping[str, Extractor]
    content: Callable[[Readable, str], Iterator[bytes]]

    def search(
        self, pattern: str, sessions: Iterable[Readable], manner: Manner
    ) -> tuple[Sequence[Hit], int]:
        """The records of these sessions that fit the pattern, and how many sessions were read.

        It ends when enough was found or read. The hits have whole ids.

        Raises:
            BadInput: the pattern is not a regular expression.
        """
        scan = _Scan(_compiled(pattern), manner.every, manner.most)
        count = 0
        for each in sessions:
            self._scan_session(each, scan)
            count += 1
            if scan.is_full():
                break
        return scan.hits, count

    def _scan_session(self, readable: Readable, scan: _Scan) -> None:
        found: list[Hit] = []
        session = readable.manifest.session.session_id
        for file in readable.manifest.files:
            room = scan.left
            scan.left -= file.size
            for at, size, reading in self._readings(readable, file):
                is_enough = scan.every and len(scan.hits) + len(found) >= scan.wanted
                if is_enough or at > room:
                    break
                fits = _fitting(scan.pattern, reading)
                if fits:
                    name, text, places = fits
                    shown, shown_marks = snippet(text, places, SNIPPET_CHARS)
                    place = (reading.message, file.path, at, size, reading.time, name)
                    found.append(Hit(readable, session, *place, shown, shown_marks, 0, 0.0))
        if found and not scan.every:
            found = [replace(found[0], more=len(found) - 1)]
        scan.hits += found

    def _readings(self, readable: Readable, file: ItemFile) -> Iterator[tuple[int, int, Reading]]:
        """Each line of a file: where it begins, its size in bytes, its texts.

        A line of a file that is no transcript counts as the result of a tool.
        """
        extractor = self.extractors.get(readable.manifest.session.agent)
        is_read = extractor is not None and extractor.reads(file.path)
        at = 0
        try:
            for block in whole_lines(self.content(readable, file.path)):
                for line in block.splitlines(keepends=True):
                    reading = (
                        extractor.read(line)
                        if extractor and is_read
                        else Reading("", 0, Texts(result=line.decode(errors="replace")))
                    )
                    if reading:
                        yield at, len(line), reading
                    at += len(line)
        except (OSError, KarmaError):
            return  # a newer revision replaced it, or it is damaged: the rest is left out


def require_no_words(query: Query) -> None:
    """Raise BadInput if a query has words beside its filters."""
    if query.words:
        words = " ".join(word.text for word in query.words)
        raise BadInput(
            f"with --regex, {words!r} cannot be searched for as well",
            hint="only filters such as project:web; put the pattern into quotes",
        )


def _fitting(pattern: Regex, reading: Reading) -> tuple[str, str, list[Mark]] | None:
    """The first text of a record that the pattern fits: its kind, the text, the places."""
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
