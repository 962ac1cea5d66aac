"""The results of a search: hits, each with a snippet in which the words are marked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from karma_sync.domain.session.marks import Mark, marks, pattern_of, snippet
from karma_sync.domain.session.passage import Reading, Texts
from karma_sync.domain.session.query import Query
from karma_sync.domain.session.readable import Readable
from karma_sync.store.search import Found

SNIPPET_CHARS = 160


@dataclass(frozen=True)
class Hit:
    """A record that fits a search, as a reader gets it.

    - `short_id`: the shortest beginning of the session's id that no other session has.
    - `message`: the record's id as the agent gave it; "" for the title of a session.
    - `path`, `at`, `size`: the file of the session, and where in it the record lies, in bytes.
    - `time`: when it was written, in Unix seconds; 0 if the record does not say.
    - `field`: what fits, such as `prompt` or `result`.
    - `snippet`: what it says around the words, on one line; `marks` are the words in it.
    - `more`: how many other records of the session fit.
    """

    readable: Readable
    short_id: str
    message: str
    path: str
    at: int
    size: int
    time: int
    field: str
    snippet: str
    marks: Sequence[Mark]
    more: int
    score: float


@dataclass(frozen=True)
class Results:
    """Some results of a search, the best first; `skip` begins with the next ones, 0 if none."""

    hits: Sequence[Hit]
    total: int
    next_skip: int = 0
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Manner:
    """How results are listed: every record or the best of each session, by fit or by time."""

    most: int = 20
    skip: int = 0
    every: bool = False
    newest: bool = False


def hit_of(
    readable: Readable, short_id: str, reading: Reading | None, found: Found, query: Query
) -> Hit:
    """The hit of a record that was found; without a reading it is the session's title."""
    pattern = pattern_of(query.wanted)
    if reading is None:
        return title_hit(readable, short_id, found, pattern)
    field, text, places = _best_text(reading.texts, pattern)
    shown, shown_marks = snippet(text, places, SNIPPET_CHARS)
    place = (reading.message, found.path, found.at, found.size, found.time)
    return Hit(readable, short_id, *place, field, shown, shown_marks, found.more, found.score)


def title_hit(
    readable: Readable,
    short_id: str,
    found: Found | None = None,
    pattern: "re.Pattern[str] | None" = None,
) -> Hit:
    """The hit of a session by its title, or by filters alone."""
    facts = readable.manifest.session
    shown, shown_marks = snippet(facts.title, marks(facts.title, pattern), SNIPPET_CHARS)
    last = int(facts.last_activity.timestamp()) if facts.last_activity else 0
    fit = (found.more, found.score) if found else (0, 0.0)
    return Hit(readable, short_id, *("", "", 0, 0, last, "title", shown, shown_marks), *fit)


def _best_text(texts: Texts, pattern: "re.Pattern[str] | None") -> tuple[str, str, list[Mark]]:
    """The text of a record that fits best: its kind, the text, and the places of the words."""
    best: tuple[str, str, list[Mark]] = ("", "", [])
    for field, text in texts._asdict().items():
        if not text:
            continue
        places = marks(text, pattern)
        if not best[1] or (places and not best[2]):
            best = (field, text, places)
    return best
