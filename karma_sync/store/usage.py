"""Sums up what sessions did, within a scope (store/activity.py keeps it)."""

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple

from karma_sync.domain.access import AccessScope
from karma_sync.store.database import Transaction
from karma_sync.store.readable import visible
from karma_sync.store.session_filter import LIST, Values


class CountedSession(NamedTuple):
    """A session that counts; `number` is that of its item in the index, 0 if it is not indexed."""

    number: int
    folder: str
    item: str
    team: str
    project: str
    member: str
    agent: str
    session: str
    arrived: str


class Sums(NamedTuple):
    """What a session, or all of them in an hour, did with a model; without one: turns, stretches.

    `group` is the number of the item, or the hour (Unix seconds / 3600).
    """

    group: int
    model: str
    turns: int
    stretches: int
    input: int
    output: int
    cache_read: int
    cache_creation: int


_SUMS = ", ".join(f"sum({name})" for name in Sums._fields[2:])
_OF_SCOPE = "item IN (SELECT number FROM search_item JOIN item USING (folder, item) WHERE {})"


def sessions(tx: Transaction, scope: AccessScope, arrived: str = "arrived") -> list[CountedSession]:
    """Every session that the scope allows, the latest active first; `arrived` is a column."""
    condition, values = visible(scope)
    rows = tx.execute(
        f"SELECT coalesce(s.number, 0), folder, item, team, project, member, agent, session,"  # noqa: S608 ours
        f" {arrived} FROM item LEFT JOIN search_item AS s USING (folder, item) WHERE {condition}"
        " ORDER BY active DESC, folder, item",
        values,
    )
    return [CountedSession(*row) for row in rows]


def by_item(tx: Transaction, scope: AccessScope, without: Collection[int]) -> list[Sums]:
    """The sums of each session and model, but for those items."""
    return _sums(tx, scope, without, "item")


def by_hour(tx: Transaction, scope: AccessScope, without: Collection[int]) -> list[Sums]:
    """The sums of each hour and model, but for those items."""
    return _sums(tx, scope, without, "hour")


def hours(tx: Transaction, scope: AccessScope, without: Collection[int]) -> list[tuple[int, int]]:
    """(item, hour) of every hour in which a session did something."""
    condition, values = _of_scope(scope, without)
    rows = tx.execute(
        f"SELECT item, hour FROM activity_usage WHERE model = '' AND {condition}",  # noqa: S608
        values,
    )
    return [tuple(row) for row in rows]


def tools(
    tx: Transaction, scope: AccessScope, without: Collection[int]
) -> list[tuple[int, str, int]]:
    """(item, tool, number of calls) of each session."""
    condition, values = _of_scope(scope, without)
    rows = tx.execute(
        f"SELECT item, tool, sum(times) FROM activity_tool WHERE {condition} GROUP BY item, tool",  # noqa: S608
        values,
    )
    return [tuple(row) for row in rows]


def _sums(tx: Transaction, scope: AccessScope, without: Collection[int], group: str) -> list[Sums]:
    condition, values = _of_scope(scope, without)
    rows = tx.execute(
        f"SELECT {group}, model, {_SUMS} FROM activity_usage WHERE {condition}"  # noqa: S608 ours
        f" GROUP BY {group}, model",
        values,
    )
    return [Sums(*row) for row in rows]


def _of_scope(scope: AccessScope, without: Iterable[int]) -> tuple[str, Values]:
    condition, values = visible(scope)
    return f"{_OF_SCOPE.format(condition)} AND item NOT IN {LIST}", [
        *values,
        json.dumps(sorted(without)),
    ]


class ProjectSession(NamedTuple):
    """A session of a project, with its branches and its last activity (ISO 8601, UTC)."""

    project: str
    member: str
    agent: str
    session: str
    active: str
    branches: tuple[str, ...]


def with_branches(tx: Transaction, scope: AccessScope) -> list[ProjectSession]:
    """Every session of the library that the scope allows, the latest active first."""
    condition, values = visible(scope)
    rows = tx.execute(
        "SELECT project, member, agent, session, active, json_extract(body, '$.session.branches')"  # noqa: S608 ours
        f" FROM item WHERE {condition} ORDER BY active DESC, folder, item",
        values,
    )
    return [
        ProjectSession(project, member, agent, session, active, tuple(json.loads(branches or "[]")))
        for project, member, agent, session, active, branches in rows
    ]
