"""Selects sessions from a list by a person's filters: the same as in a search, without the index.

`store/session_filter.py` does the same in SQL; a test compares the two.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from karma_sync.domain.access import AccessScope
from karma_sync.domain.ids import user_of
from karma_sync.domain.session.query import Filter, Is, Key, Query, moment
from karma_sync.domain.session.readable import Readable
from karma_sync.library.search import Searcher
from karma_sync.store import search

Test = Callable[[Readable, str], bool]
Place = tuple[str, str]


@dataclass(frozen=True)
class IndexPlaces:
    """The places of sessions in an index: `of` names one, `having` finds those that fit a query."""

    of: Callable[[Readable], Place]
    having: Callable[[str], Collection[Place]]


def select(
    searcher: Searcher,
    scope: AccessScope,
    query: Query,
    known: Sequence[Readable],
    places: IndexPlaces | None = None,
) -> list[Readable]:
    """The sessions in `known` that the query's filters allow and that have all its words."""
    if query.only_observations:
        return []
    where = places or IndexPlaces(_place_of, partial(_having, searcher, scope))
    tests = _tests(searcher, scope)
    for each in query.filters:
        if each.key in (Key.FILE, Key.TOOL):
            column = "path" if each.key is Key.FILE else "tool"
            phrase = each.value.replace('"', '""')
            items = where.having(f'{column} : "{phrase}"')
            tests[each] = lambda r, _, items=items: where.of(r) in items  # type: ignore[misc] # mypy cannot infer a lambda with a default
    found = [r for r in known if _allowed(query.filters, tests, r)]
    for word in query.words:
        if expression := word.expression():
            items = where.having(expression)
            found = [r for r in found if (where.of(r) in items) != word.unwanted]
    return found


def _place_of(readable: Readable) -> Place:
    return readable.folder, readable.manifest.item


def _having(searcher: Searcher, scope: AccessScope, expression: str) -> set[Place]:
    with searcher.library.store.reading() as tx:
        return search.items_with(tx, scope, expression)


def _allowed(
    filters: Iterable[Filter], tests: Mapping[Key | Filter, Test], readable: Readable
) -> bool:
    """Whether one filter of each kind fits, and no unwanted one."""
    fits: dict[tuple[Key, bool], bool] = {}
    for each in filters:
        test = tests[each] if each in tests else tests[each.key]
        kind = each.key, each.unwanted
        fits[kind] = fits.get(kind, False) or test(readable, each.value)
    return all(fit != unwanted for (_, unwanted), fit in fits.items())


def _tests(searcher: Searcher, scope: AccessScope) -> dict[Key | Filter, Test]:
    now = searcher.now

    def is_state(readable: Readable, value: str) -> bool:
        manifest = readable.manifest
        if value == Is.OBSERVATION:
            return False
        if value == Is.LIVE:
            return searcher.is_live(scope, readable)
        if value == Is.KEPT:
            return searcher.is_kept(scope, readable)
        if value == Is.FORK:
            return searcher.is_fork(scope, readable)
        return manifest.member == scope.user

    def is_by(readable: Readable, value: str) -> bool:
        wanted = scope.user if value in ("me", "you") else value
        return wanted in (readable.manifest.member, user_of(readable.manifest.member))

    return {
        Key.BY: is_by,
        Key.PROJECT: lambda r, v: f"/{r.manifest.project.lower()}".endswith(f"/{v.lower()}"),
        Key.TEAM: lambda r, v: r.manifest.team in searcher.teams.get(v, (v,)),
        Key.AGENT: lambda r, v: _is_agent(r.manifest.session.wrote, v),
        Key.MODEL: lambda r, v: _any_has(r.manifest.session.models, v),
        Key.BRANCH: lambda r, v: _any_has(r.manifest.session.branches, v),
        Key.SINCE: lambda r, v: _active(r) >= moment(v, now),
        Key.BEFORE: lambda r, v: _active(r) < moment(v, now),
        Key.IS: is_state,
        Key.TYPE: lambda _session, _type: False,
    }


def _is_agent(wrote: str, value: str) -> bool:
    return wrote.startswith(value[:-1]) if value.endswith("*") else wrote == value


def _any_has(values: Iterable[str], part: str) -> bool:
    return any(part.lower() in value.lower() for value in values)


def _active(readable: Readable) -> datetime:
    return readable.manifest.session.last_activity or readable.arrived
