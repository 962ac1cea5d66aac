"""Searches the library: finds records in the index, and reads what they say from the chunks."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.passage import Extractor, Reading
from karma_sync.domain.session.query import Filter, Is, Key, Query, moment
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
        """What fits the query, within the scope."""
        notes = list(query.notes)
        if (nothing := without_search(query)) is not None:
            return nothing
        with self.library.store.reading() as tx:
            sessions = self.sessions(tx, scope, query)
            if not query.match():
                return self._list(tx, scope, sessions, manner, notes)
            wanted = self.wanted(query, sessions, manner)
            found = _once(search.find(tx, scope, wanted))
            if not found and len(query.wanted) > 1:
                found = self._find_across(tx, scope, query, wanted)
                if found:
                    notes.append("no record has all words: these sessions have them in several")
            page = found[manner.skip : manner.skip + manner.most]
            hits = self._hits(tx, scope, query, page)
        last = manner.skip + len(page)
        return Results(hits, len(found), last if last < len(found) else 0, notes)

    def sessions(self, tx: Transaction, scope: AccessScope, query: Query) -> SessionFilter:
        """The sessions that the query's filters allow."""
        wanted = SessionFilter(query.filters, scope.user, self.teams)
        for each in query.filters:
            if each.of_observations:
                wanted = _limited(wanted, set(), each)
            elif each.key is Key.FILE:
                phrase = each.value.replace('"', '""')
                wanted = _limited(wanted, search.items_with(tx, scope, f'path : "{phrase}"'), each)
            elif each.key is Key.IS and each.value == Is.LIVE:
                wanted = _limited(wanted, self._live(tx, scope), each)
            elif each.key is Key.IS and each.value == Is.KEPT:
                wanted = _limited(wanted, self._kept(tx, scope), each)
            elif each.key is Key.IS and each.value == Is.FORK:
                wanted = _limited(wanted, self._forks(tx, scope), each)
        if not query.wanted and (refused := query.refused()):
            wanted = replace(wanted, without=wanted.without | search.items_with(tx, scope, refused))
        return wanted

    def within_times(self, sessions: SessionFilter) -> SessionFilter:
        """The same sessions, those alone that were last active when `since` and `before` say."""
        return replace(
            sessions,
            since=_time_of(sessions.filters, Key.SINCE, self.now),
            before=_time_of(sessions.filters, Key.BEFORE, self.now),
        )

    def _live(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        recent = SessionFilter(since=self.now - _LIVE_SPAN)
        found, _ = queries.page(tx, scope, recent, _LIVE_MOST)
        return {(r.folder, r.manifest.item) for r in found if self.is_live(scope, r)}

    def _kept(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        own = SessionFilter((Filter(Key.IS, Is.MINE),), scope.user)
        found, _ = queries.page(tx, scope, own, _OWN_MOST)
        return {(r.folder, r.manifest.item) for r in found if self.is_kept(scope, r)}

    def is_fork(self, scope: AccessScope, readable: Readable) -> bool:
        """Whether a session is the reader's own and goes on from another one."""
        manifest = readable.manifest
        return manifest.member == scope.user and manifest.session.session_id in self.forks()

    def _forks(self, tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
        own = SessionFilter((Filter(Key.IS, Is.MINE),), scope.user)
        found, _ = queries.page(tx, scope, own, _OWN_MOST)
        return {(r.folder, r.manifest.item) for r in found if self.is_fork(scope, r)}

    def wanted(self, query: Query, sessions: SessionFilter, manner: Manner) -> Wanted:
        """What the index is asked for."""
        return Wanted(
            query.match(),
            sessions,
            since=_bound(query, Key.SINCE, self.now),
            before=_bound(query, Key.BEFORE, self.now),
            newest=manner.newest,
            single=not manner.every,
            now=int(self.now.timestamp()),
        )

    def _find_across(
        self, tx: Transaction, scope: AccessScope, query: Query, wanted: Wanted
    ) -> list[Found]:
        """The sessions that have all words, though no record has; of each the best record."""
        having: set[tuple[str, str]] | None = None
        for word in query.wanted:
            items = search.items_with(tx, scope, word.expression())
            having = items if having is None else having & items
            if not having:
                return []
        ids = frozenset(having or ())
        known = wanted.sessions.ids
        sessions = replace(wanted.sessions, ids=ids if known is None else ids & known)
        any_word = " OR ".join(word.expression() for word in query.wanted)
        return _once(search.find(tx, scope, replace(wanted, match=any_word, sessions=sessions)))

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


def _limited(known: SessionFilter, items: set[tuple[str, str]], by: Filter) -> SessionFilter:
    if by.unwanted:
        return replace(known, without=known.without | items)
    return replace(known, ids=frozenset(items if known.ids is None else known.ids & items))


def _time_of(filters: Iterable[Filter], key: Key, now: datetime) -> datetime | None:
    """The narrowest of the moments that filters of one key name."""
    found = [moment(each.value, now) for each in filters if each.key is key and not each.unwanted]
    if not found:
        return None
    return max(found) if key is Key.SINCE else min(found)


def _bound(query: Query, key: Key, now: datetime) -> int | None:
    found = _time_of(query.filters, key, now)
    return int(found.timestamp()) if found else None


def _nothing_indexed(query: Query) -> str:
    words = " ".join(word.text for word in query.words)
    return f"{words} has no letter and no digit: find it with --regex"
