"""Use cases of `search` and `session list`: searching the library and the archive as one."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from operator import attrgetter

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.archive.index import FOLDER, item_of, key_of, unindexed
from karma_sync.archive.pack import DamagedPack
from karma_sync.archive.store import get_session
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.query import Key, Query
from karma_sync.domain.session.readable import Readable
from karma_sync.library.hits import Hit, Manner, Results, hit_of, title_hit
from karma_sync.library.regex_search import RegexSearcher, require_no_words
from karma_sync.library.search import Searcher, find_across, in_one_or_several, without_search
from karma_sync.library.selecting import IndexPlaces, Place, select
from karma_sync.service.forks import known_forks
from karma_sync.service.sessions.reading import ReadableCopy, ReadableSessions
from karma_sync.store import readable as queries
from karma_sync.store import search, state
from karma_sync.store.database import Database
from karma_sync.store.search import Found
from karma_sync.store.session_filter import SessionFilter


def session_search(
    states: Database,
    sessions: ReadableSessions,
    now: datetime,
    sources: Callable[[], Collection[str] | None],
    running: Callable[[], Collection[str]],
) -> "SessionSearch":
    """Searches my sessions at `now` (UTC); `sources` and `running` are as in `Searcher`."""
    teams = _team_ids(states)
    own = cache(sources), cache(running), cache(lambda: known_forks(states).keys())
    return SessionSearch(Searcher(sessions.library, EXTRACTORS, teams, now, *own), sessions)


@dataclass(frozen=True)
class SessionSearch:
    """Searches the library, and own sessions that only the archive has."""

    searcher: Searcher
    sessions: ReadableSessions

    def search(self, scope: AccessScope, query: Query, manner: Manner) -> Results:
        """The results for the query, within the scope."""
        if (nothing := without_search(query)) is not None:
            return nothing
        if not query.match():
            return self._list(scope, query, manner)
        return in_one_or_several(query, partial(self._records, scope, query, manner))

    def _records(self, scope: AccessScope, query: Query, manner: Manner, across: bool) -> Results:
        first = replace(manner, most=manner.skip + manner.most, skip=0)
        shared = self.searcher.records(scope, query, first, across)
        own = self._search_archive(scope, query, first, across)
        if not own.hits:
            page = shared.hits[manner.skip :]
        else:
            order = attrgetter("time" if manner.newest else "score")
            both = sorted([*shared.hits, *own.hits], key=order, reverse=True)
            page = both[manner.skip : manner.skip + manner.most]
        total = shared.total + own.total
        last = manner.skip + len(page)
        hits = self._told_apart(scope, page) if self._has_archive(scope) else page
        notes = shared.notes
        if not total and (missing := self._unindexed(scope)):
            are = "s are" if missing > 1 else " is"
            notes = (*notes, f"{missing} session{are} not indexed yet: search again later")
        return Results(hits, total, last if last < total else 0, notes)

    def search_text(
        self, scope: AccessScope, pattern: str, query: Query, manner: Manner
    ) -> Results:
        """The records that fit a pattern, of the sessions that the query's filters allow.

        The latest active session comes first. `next_skip` counts the sessions that were read.

        Raises:
            BadInput: the pattern is not a regular expression, or the query has words.
        """
        require_no_words(query)
        known = self.select(scope, query, self.sessions.sessions(scope))
        reader = RegexSearcher(EXTRACTORS, partial(self.sessions.content, scope))
        opened = (self.sessions.opened(scope, each) for each in known[manner.skip :])
        hits, count = reader.search(pattern, opened, manner)
        skip, notes = manner.skip + count, query.notes
        if skip < len(known):
            are = "s are" if len(known) - skip > 1 else " is"
            notes = (*notes, f"{len(known) - skip} session{are} not read yet")
        left = skip if skip < len(known) else 0
        return Results(self._told_apart(scope, hits), len(hits), left, notes)

    def select(self, scope: AccessScope, query: Query, known: Sequence[Readable]) -> list[Readable]:
        """The sessions in `known` that the query's filters allow and that have all its words."""
        places = IndexPlaces(_place_of, lambda expression: self._having(scope, expression))
        return select(self.searcher, scope, query, known, places)

    def _list(self, scope: AccessScope, query: Query, manner: Manner) -> Results:
        """The sessions that filters alone allow, the last active first."""
        found = self.select(scope, query, self.sessions.sessions(scope))
        page = found[manner.skip : manner.skip + manner.most]
        last = manner.skip + len(page)
        hits = self._told_apart(scope, [title_hit(each, "") for each in page])
        return Results(hits, len(found), last if last < len(found) else 0, query.notes)

    def _search_archive(
        self, scope: AccessScope, query: Query, manner: Manner, across: bool
    ) -> Results:
        archive = self.sessions.archive
        if not self._has_archive(scope):
            return Results([], 0)
        wanted = self.searcher.wanted(query, self._archived(scope, query), manner)
        find = partial(find_across, query=query) if across else search.find
        with archive.reading() as tx:
            found = find(tx, self._own(scope), wanted)
        page = found[: manner.most]
        hits = [hit for each in page for hit in self._archived_hit(scope, query, each)]
        return Results(hits, len(found))

    def _has_archive(self, scope: AccessScope) -> bool:
        """Whether sessions may be found that the library has not."""
        return scope.sees_own and self.sessions.archive.database.exists()

    def _archived(self, scope: AccessScope, query: Query) -> SessionFilter:
        """The archived sessions that count: those that the library has not, by the filters."""
        with self.searcher.library.store.reading() as tx:
            shared = queries.own_sessions(tx, scope)
        without = frozenset((FOLDER, item_of((a.split("/")[0], s))) for a, s in shared)
        filters = tuple(f for f in query.filters if f.key not in _OF_RECORDS)
        if not filters:
            return SessionFilter(without=without)
        copies = self.sessions.only_archived(scope)
        allowed = self.select(scope, Query(filters=filters), copies)
        return SessionFilter(ids=frozenset(map(_place_of, allowed)), without=without)

    def _unindexed(self, scope: AccessScope) -> int:
        """The number of sessions not indexed yet: those that arrived or were archived just now."""
        with self.searcher.library.store.reading() as tx:
            count = queries.unindexed(tx, scope)
        if self._has_archive(scope):
            with self.sessions.archive.reading() as tx:
                missing = set(unindexed(tx))
            count += sum(r.key in missing for r in self.sessions.archived(scope))
        return count

    def _archived_hit(self, scope: AccessScope, query: Query, found: Found) -> Iterator[Hit]:
        archive = self.sessions.archive
        with archive.reading() as tx:
            row = get_session(tx, key_of(found.item))
        if row is None:
            return
        readable = self.sessions.copy_of(scope, row)
        extractor = self.searcher.extractors.get(row.agent)
        try:
            line = archive.span(row, found.path, found.at, found.size) if found.path else b""
        except (OSError, DamagedPack):
            line = b""
        reading = extractor.read(line) if extractor and line else None
        name = found.path.rpartition("@")[0]
        yield hit_of(readable, row.session, reading, replace(found, path=name), query)

    def _own(self, scope: AccessScope) -> AccessScope:
        """The same reader, who looks at the archive, where all is the reader's and of no team."""
        only = self.sessions.by_all_names(scope).only
        return AccessScope("", frozenset({""}), agents=scope.agents, only=only)

    def _having(self, scope: AccessScope, expression: str) -> set[Place]:
        with self.searcher.library.store.reading() as tx:
            found = search.items_with(tx, scope, expression)
        archive = self.sessions.archive
        if self._has_archive(scope):
            with archive.reading() as tx:
                found |= search.items_with(tx, self._own(scope), expression)
        return found

    def _told_apart(self, scope: AccessScope, hits: Sequence[Hit]) -> list[Hit]:
        """The hits with ids that are as long as they must be to name one session only."""
        archive = self.sessions.archive
        ids = [hit.readable.manifest.session.session_id for hit in hits]
        with self.searcher.library.store.reading() as tx:
            short = queries.short_ids(tx, scope, ids)
        if self._has_archive(scope):
            with archive.reading() as tx:
                other = queries.short_ids(tx, self._own(scope), ids)
            short = {each: max(short[each], other[each], key=len) for each in ids}
        return [replace(hit, short_id=short[each]) for hit, each in zip(hits, ids, strict=True)]


_OF_RECORDS = frozenset({Key.SINCE, Key.BEFORE, Key.TOOL})  # the query itself tests these


def _place_of(readable: Readable) -> Place:
    if isinstance(readable, ReadableCopy):
        return FOLDER, item_of(readable.row.key)
    return readable.folder, readable.manifest.item


def _team_ids(states: Database) -> Mapping[str, tuple[str, ...]]:
    with states.reading() as tx:
        teams = state.teams.all(tx)
    return {name: tuple(t.id for t in teams if t.name == name) for name in {t.name for t in teams}}
