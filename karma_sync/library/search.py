"""Searches the library: finds records in the index, and reads their texts from the chunks."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.passage import Extractor, Reading
from karma_sync.domain.session.query import TIMES, Filter, Is, Key, Query, moment
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import Unverified
from karma_sync.library.hits import Hit, Manner, Results, hit_of, title_hit
from karma_sync.library.reader import Library
from karma_sync.store import readable as queries
from karma_sync.store import search
from karma_sync.store.database import Transaction
from karma_sync.store.search import Found, Wanted
from karma_sync.store.session_filter import SessionFilter

_LIVE_SPAN = timedelta(hours=1)  # a live session was active within this time
_LIVE_MOST = 1000
_OWN_MOST = 1_000_000
_IN_SEVERAL = "no record has all words: these sessions have them in several"


@dataclass(frozen=True)
class Searcher:
    """Searches a library.

    `teams` are the IDs of the reader's teams by name. `sources` returns the ids of the sessions
    that the agents on this machine still have; None if nobody can tell. `running` returns those
    that an agent has open now, `forks` the reader's own that go on from another session.
    """

    library: Library
    extractors: Mapping[str, Extractor]
    teams: Mapping[str, Sequence[str]]
    now: datetime
    sources: Callable[[], Collection[str] | None] = lambda: None
    running: Callable[[], Collection[str]] = frozenset
    forks: Callable[[], Collection[str]] = frozenset

    def is_kept(self, scope: AccessScope, readable: Readable) -> bool:
        """Whether a session is the reader's own and the agent deleted it."""
        manifest = readable.manifest
        sources = self.sources() if manifest.member == scope.user else None
        return sources is not None and manifest.session.session_id not in sources

    def is_live(self, scope: AccessScope, readable: Readable) -> bool:
        """Whether somebody is probably working in a session now."""
        manifest, facts = readable.manifest, readable.manifest.session
        if not facts.is_live(self.now) or self.is_kept(scope, readable):
            return False
        is_own = manifest.member == scope.user
        return not (is_own and facts.running and facts.session_id not in self.running())

    def search(self, scope: AccessScope, query: Query, manner: Manner) -> Results:
        """The results for the query, within the scope."""
        if (nothing := without_search(query)) is not None:
            return nothing
        if not query.match():
            with self.library.store.reading() as tx:
                sessions = self.sessions(tx, scope, query)
                return self._list(tx, scope, sessions, manner, query.notes)
        return in_one_or_several(query, partial(self.records, scope, query, manner))

    def records(
        self, scope: AccessScope, query: Query, manner: Manner, across: bool = False
    ) -> Results:
        """The records that fit; with `across`, those of sessions that have all words in several."""
        find = partial(find_across, query=query) if across else search.find
        with self.library.store.reading() as tx:
            wanted = self.wanted(query, self.sessions(tx, scope, query), manner)
            found = _once(find(tx, scope, wanted))
            page = found[manner.skip : manner.skip + manner.most]
            hits = self._hits(tx, scope, query, page)
        last = manner.skip + len(page)
        return Results(hits, len(found), last if last < len(found) else 0, query.notes)

    def sessions(self, tx: Transaction, scope: AccessScope, query: Query) -> SessionFilter:
        """The sessions that the query's filters allow."""
        wanted = SessionFilter(query.filters, scope.user, self.teams)
        if query.only_observations:
            wanted = replace(wanted, ids=frozenset())
        # of several filters of one kind any one suffices
        for kind in dict.fromkeys((f.key, f.unwanted) for f in query.filters):
            alike = [f for f in query.filters if (f.key, f.unwanted) == kind]
            if not _is_in_sql(alike):
                others = tuple(f for f in wanted.filters if f not in alike)
                wanted = replace(wanted, filters=others)
                wanted = _limited(wanted, self._items_of(tx, scope, alike), alike[0])
        if not query.wanted and (refused := query.refused()):
            wanted = replace(wanted, without=wanted.without | search.items_with(tx, scope, refused))
        return wanted

    def _items_of(
        self, tx: Transaction, scope: AccessScope, filters: Iterable[Filter]
    ) -> set[tuple[str, str]]:
        """The sessions that any of these filters means, whether they are wanted or not."""
        found: set[tuple[str, str]] = set()
        for each in filters:
            if each.key is Key.FILE:
                phrase = each.value.replace('"', '""')
                found |= search.items_with(tx, scope, f'path : "{phrase}"')
            elif each.key is Key.IS and each.value in self._states:
                found |= self._states[Is(each.value)](tx, scope)
        return found

    @property
    def _states(self) -> Mapping[Is, Callable[[Transaction, AccessScope], set[tuple[str, str]]]]:
        return {
            Is.LIVE: self._live,
            Is.MINE: self._mine,
            Is.KEPT: self._kept,
            Is.FORK: self._forks,
        }

    def within_times(self, sessions: SessionFilter) -> SessionFilter:
        """The filter on sessions, limited to those last active between `since` and `before`."""
        return replace(
            sessions,
            since=_time_of(sessions.filters, Key.SINCE, self.now),
            before=_time_of(sessions.filters, Key.BEFORE, self.now),
        )

    def _own(self, tx: Transaction, scope: AccessScope) -> list[Readable]:
        own = SessionFilter((Filter(Key.IS, Is.MINE),), scope.user)
        found, _ = queries.page(tx, scope, own, _OWN_MOST)
        return found

    def _mine(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        return {_item(r) for r in self._own(tx, scope)}

    def _live(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        recent = SessionFilter(since=self.now - _LIVE_SPAN)
        found, _ = queries.page(tx, scope, recent, _LIVE_MOST)
        return {_item(r) for r in found if self.is_live(scope, r)}

    def _kept(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        return {_item(r) for r in self._own(tx, scope) if self.is_kept(scope, r)}

    def is_fork(self, scope: AccessScope, readable: Readable) -> bool:
        """Whether a session is the reader's own and continues another one."""
        manifest = readable.manifest
        return manifest.member == scope.user and manifest.session.session_id in self.forks()

    def _forks(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        return {_item(r) for r in self._own(tx, scope) if self.is_fork(scope, r)}

    def wanted(self, query: Query, sessions: SessionFilter, manner: Manner) -> Wanted:
        """The request to the index for a query."""
        return Wanted(
            query.match(),
            sessions,
            since=_bound(query, Key.SINCE, self.now),
            before=_bound(query, Key.BEFORE, self.now),
            newest=manner.newest,
            single=not manner.every,
            now=int(self.now.timestamp()),
        )

    def _list(
        self,
        tx: Transaction,
        scope: AccessScope,
        sessions: SessionFilter,
        manner: Manner,
        notes: Sequence[str],
    ) -> Results:
        """The sessions that filters alone allow, the latest first."""
        sessions = self.within_times(sessions)
        found, total = queries.page(tx, scope, sessions, manner.most, manner.skip)
        ids = [each.manifest.session.session_id for each in found]
        short = queries.short_ids(tx, scope, ids)
        hits = [title_hit(each, short[name]) for each, name in zip(found, ids, strict=True)]
        last = manner.skip + len(found)
        return Results(hits, total, last if last < total else 0, notes)

    def _hits(
        self, tx: Transaction, scope: AccessScope, query: Query, page: Sequence[Found]
    ) -> list[Hit]:
        known = queries.items(tx, scope, {(f.folder, f.item) for f in page})
        short = queries.short_ids(tx, scope, {f.session for f in page})
        hits = []
        for found in page:
            readable = known.get((found.folder, found.item))
            if readable is not None:
                reading = self._read(readable, found)
                hits.append(hit_of(readable, short[found.session], reading, found, query))
        return hits

    def _read(self, readable: Readable, found: Found) -> Reading | None:
        """The texts of a record; None for a title, and if the record was replaced meanwhile."""
        manifest = readable.manifest
        file = next((f for f in manifest.files if f.path == found.path), None)
        extractor = self.extractors.get(manifest.session.agent)
        if file is None or extractor is None:
            return None
        kept = KeptContent(self.library.root, readable.folder, manifest)
        try:
            return extractor.read(kept.span(file, found.at, found.size))
        except (FileNotFoundError, Unverified):
            return None


def in_one_or_several(query: Query, find: Callable[[bool], Results]) -> Results:
    """The records that have all words; if there is none, sessions that have them in several.

    `find` returns the one, or with True the other.
    """
    found = find(False)
    if found.total or len(query.wanted) < 2:
        return found
    across = find(True)
    return replace(across, notes=[*across.notes, _IN_SEVERAL]) if across.total else found


def find_across(tx: Transaction, scope: AccessScope, wanted: Wanted, query: Query) -> list[Found]:
    """The records that have one of the words, of the sessions whose records have all of them."""
    having: set[tuple[str, str]] | None = None
    for word in query.wanted:
        match = query.only(word).match()
        items = search.items_with(tx, scope, match, wanted.since, wanted.before)
        having = items if having is None else having & items
        if not having:
            return []
    ids = frozenset(having or ())
    known = wanted.sessions.ids
    sessions = replace(wanted.sessions, ids=ids if known is None else ids & known)
    return search.find(tx, scope, replace(wanted, match=query.match_any(), sessions=sessions))


def without_search(query: Query) -> Results | None:
    """The results of a query that asks for nothing, or for nothing that is indexed; else None."""
    if not query.words and not query.filters:
        return Results([], 0, notes=query.notes)
    if query.words and not query.wanted and not query.refused():
        return Results([], 0, notes=[*query.notes, _nothing_indexed(query)])
    return None


def _once(found: Iterable[Found]) -> list[Found]:
    """Leave out the copies of a record whose session came through two teams."""
    kept: dict[tuple[str, str], tuple[str, str]] = {}
    return [
        each
        for each in found
        if kept.setdefault((each.member, each.session), (each.folder, each.item))
        == (each.folder, each.item)
    ]


def _item(readable: Readable) -> tuple[str, str]:
    return readable.folder, readable.manifest.item


def _is_in_sql(alike: Collection[Filter]) -> bool:
    """Whether a `SessionFilter` says what filters of one kind mean."""
    if alike and next(iter(alike)).key is Key.IS:
        return all(each.value == Is.MINE for each in alike)
    return all(each.key not in (Key.FILE, Key.TYPE) for each in alike)


def _limited(known: SessionFilter, items: set[tuple[str, str]], by: Filter) -> SessionFilter:
    if by.unwanted:
        return replace(known, without=known.without | items)
    return replace(known, ids=frozenset(items if known.ids is None else known.ids & items))


def _time_of(filters: Iterable[Filter], key: Key, now: datetime) -> datetime | None:
    """The moment from which, or before which, a hit must be; None if there is no bound.

    Of two filters with one key either suffices. An unwanted one is a limit of the other kind.
    """
    timed = [(each, moment(each.value, now)) for each in filters if each.key in TIMES]
    either = [at for each, at in timed if each.key is key and not each.unwanted]
    limits = [at for each, at in timed if each.key is not key and each.unwanted]
    if key is Key.SINCE:
        return max([*limits, *([min(either)] if either else [])], default=None)
    return min([*limits, *([max(either)] if either else [])], default=None)


def _bound(query: Query, key: Key, now: datetime) -> int | None:
    found = _time_of(query.filters, key, now)
    return int(found.timestamp()) if found else None


def _nothing_indexed(query: Query) -> str:
    words = " ".join(word.text for word in query.words)
    return f"{words} has no letter and no digit: find it with --regex"
