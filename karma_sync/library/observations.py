"""Reads observations from the library, for people and agents; writes nothing.

An observation that came through several channels is there once: its newest version counts, and its
first author stays its author.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from karma_sync.domain.access import AccessScope
from karma_sync.domain.ids import user_of
from karma_sync.domain.session.observation import Observation, ObservationFilter, moment_text
from karma_sync.domain.session.query import Is, Key, Query, moment
from karma_sync.errors import BadInput, NotFound
from karma_sync.store import observations as queries
from karma_sync.store import search as index
from karma_sync.store.database import Database
from karma_sync.store.observations import StoredObservation

ALL = ObservationFilter()
_MOST_FOUND = 4000  # of the best fits, before old versions and hidden ones are left out
_LEAST_READ = 50  # of them are read at once
_PROPOSED = 5  # observations in a hint


@dataclass(frozen=True)
class ReadObservation:
    """An observation as a reader gets it.

    `author` is the tag of the member who wrote it first, `editor` the tag of who changed it last,
    "" if nobody else did. `project` is its project, `team` the ID of the team it came through.
    """

    record: Observation
    author: str
    editor: str
    project: str
    team: str
    number: int = 0

    @property
    def id(self) -> str:
        """The observation's id."""
        return self.record.id


@dataclass(frozen=True)
class ObservationPage:
    """Some observations, the latest changed first; `cursor` begins with the next, "" if none."""

    found: Sequence[ReadObservation]
    cursor: str = ""


@dataclass(frozen=True)
class Observations:
    """The observations in a library; every reading takes the scope of its reader."""

    store: Database

    def page(
        self,
        scope: AccessScope,
        wanted: ObservationFilter = ALL,
        most: int = 50,
        cursor: str = "",
    ) -> ObservationPage:
        """At most `most` observations from the cursor on, the latest changed first.

        The cursor goes on with the same order although observations arrive in between.

        Raises:
            BadInput: the cursor is not one of ours.
        """
        after = _opened(cursor) if cursor else None
        with self.store.reading() as tx:
            rows = queries.page(tx, scope, wanted, most + 1, after)
        found = [_read(*row) for row in rows[:most]]
        more = len(rows) > most
        last = found[-1] if found else None
        return ObservationPage(found, _sealed(last) if more and last else "")

    def all(self, scope: AccessScope, wanted: ObservationFilter = ALL) -> Iterator[ReadObservation]:
        """Every observation, page by page."""
        cursor = ""
        while True:
            page = self.page(scope, wanted, 1000, cursor)
            yield from page.found
            if not page.cursor:
                return
            cursor = page.cursor

    def count(self, scope: AccessScope, wanted: ObservationFilter = ALL) -> int:
        """The number of observations that are wanted and that the scope allows."""
        with self.store.reading() as tx:
            return queries.count(tx, scope, wanted)

    def one(self, scope: AccessScope, wanted: str) -> ReadObservation:
        """The one observation whose id begins with `wanted`.

        Raises:
            NotFound: there is none, or the scope does not allow it.
            BadInput: several fit.
        """
        found = (
            self.page(scope, ObservationFilter(id=wanted), _PROPOSED + 1).found if wanted else []
        )
        exact = [each for each in found if each.id == wanted]
        if not found:
            raise NotFound(
                f"the library has no observation {wanted!r}", hint="karma-sync observation list"
            )
        if len(exact or found) > 1:
            names = " or ".join(sorted({each.id for each in found})[:_PROPOSED])
            raise BadInput(f"{wanted!r} fits several observations", hint=names)
        return (exact or found)[0]

    def numbered(self, scope: AccessScope, numbers: Sequence[int]) -> dict[int, ReadObservation]:
        """The observations in these rows that are the version which readers get, by number."""
        with self.store.reading() as tx:
            found = queries.numbered(tx, scope, numbers)
        return {number: _read(*row) for number, row in found.items()}


def search(
    reader: Observations, scope: AccessScope, words: str, wanted: ObservationFilter, most: int
) -> list[ReadObservation]:
    """Observations that have all words, the best first; of each only the newest version counts."""
    return _fitting(reader, scope, Query.parse(words, datetime.now(UTC)), wanted, most)


def search_beside(
    reader: Observations, scope: AccessScope, query: Query, now: datetime, most: int
) -> list[ReadObservation]:
    """The observations that fit a search for sessions, the best first.

    None fits a filter that only sessions have, such as `model:`.
    """
    known = {Key.BY, Key.PROJECT, Key.TYPE, Key.SINCE, Key.IS}
    states = {Is.OBSERVATION, Is.MINE}
    for each in query.filters:
        is_state = each.key is not Key.IS or each.value in states
        if each.unwanted or each.key not in known or not is_state:
            return []
    authors = _authors(query, scope.user)
    if authors is None:
        return []
    wanted = ObservationFilter(
        authors=authors,
        projects=_values(query, Key.PROJECT),
        types=_values(query, Key.TYPE),
        since=min((moment_text(moment(s, now)) for s in _values(query, Key.SINCE)), default=""),
    )
    if query.match():
        return _fitting(reader, scope, query, wanted, most)
    return list(reader.page(scope, wanted, most).found) if query.only_observations else []


def _fitting(
    reader: Observations, scope: AccessScope, query: Query, wanted: ObservationFilter, most: int
) -> list[ReadObservation]:
    """At most `most`, read in parts of the best fits: a frequent word fits thousands."""
    if not query.match():
        return []
    fitting: list[ReadObservation] = []
    with reader.store.reading() as tx:
        numbers = index.observations_with(tx, scope, query.match(), _MOST_FOUND)
        step = max(_LEAST_READ, 2 * most)
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            found = queries.numbered(tx, scope, part, wanted)
            fitting += [_read(*found[number]) for number in part if number in found]
            if len(fitting) >= most:
                break
    return fitting[:most]


def _values(query: Query, key: Key) -> tuple[str, ...]:
    return tuple(each.value for each in query.filters if each.key is key)


def _authors(query: Query, me: str) -> tuple[str, ...] | None:
    """The authors that `by:` and `is:mine` leave; none if all count, None if nobody does."""
    named = tuple(me if name in ("me", "you") else name for name in _values(query, Key.BY))
    if not any(each.value == Is.MINE for each in query.filters if each.key is Key.IS):
        return named
    return (me,) if not named or {me, user_of(me)} & {*named} else None


def label(found: ReadObservation, me: str, name: str = "") -> str:
    """An observation on one line: `[bugfix] Fixed N+1 query in UserList (by bob)`.

    `me` is the reader's tag: own ones have no suffix. `name` is what the author is called.
    """
    kind = f"[{found.record.type}] " if found.record.type else ""
    title = found.record.title or found.record.content.strip().partition("\n")[0]
    if found.author == me and not found.editor:
        return f"{kind}{title}"
    by = f"by {name or found.author}"
    by += f", edited by {found.editor}" if found.editor else ""
    return f"{kind}{title} ({by})"


def _read(stored: StoredObservation, first: str) -> ReadObservation:
    record = stored.record
    # only the sender of the newest version is known; whom a record names as its editor is a claim
    editor = record.author if record.author != first else ""
    return ReadObservation(record, first, editor, stored.project, stored.team, stored.number)


def _sealed(last: ReadObservation) -> str:
    text = json.dumps([last.record.updated, last.number])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _opened(cursor: str) -> tuple[str, int]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        updated, number = json.loads(raw)
    except (ValueError, TypeError, binascii.Error):
        updated, number = None, None
    if not isinstance(updated, str) or not isinstance(number, int):
        raise BadInput(f"{cursor!r} is no cursor", hint="leave --cursor out to begin again")
    return updated, number
