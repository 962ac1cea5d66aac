"""Sums up what sessions did, within a scope (store/activity.py keeps it)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from karma_sync.domain.access import AccessScope
from karma_sync.store.database import Transaction
from karma_sync.store.readable import visible


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
    active: str | int


class Sums(NamedTuple):
    """The sums of one group of sessions for a model; without a model: turns and stretches.

    `sessions` is how many did anything.
    """

    group: str
    model: str
    sessions: int
    turns: int
    stretches: int
    input: int
    output: int
    cache_read: int
    cache_creation: int


class ToolUse(NamedTuple):
    """The calls of a tool by the sessions of one group, and how many of the sessions called it."""

    group: str
    tool: str
    sessions: int
    times: int


@dataclass(frozen=True)
class Sources:
    """The sessions that are counted, and the way they are grouped.

    With `day_of` sums are grouped by day; it names that of an hour (Unix seconds / 3600).
    """

    sessions: Sequence[CountedSession]
    group: Callable[[CountedSession], str]
    day_of: Callable[[int], str] | None = None


@dataclass(frozen=True)
class CountedFigures:
    """The figures of some sessions by group or by day, and the stretches of each hour."""

    sums: list[Sums]
    tools: list[ToolUse]
    stretches: list[tuple[int, int]]


_SUMS = ", ".join(f"sum({name})" for name in Sums._fields[3:])
_OF_COUNTED = "FROM counted AS c JOIN activity_usage AS u ON u.item = c.item"


def sessions(tx: Transaction, scope: AccessScope, arrived: str = "arrived") -> list[CountedSession]:
    """Every session that the scope allows, in no order; `arrived` is a column."""
    condition, values = visible(scope)
    cursor = tx.cursor()
    cursor.row_factory = None  # plain tuples: there may be ten thousand of them
    rows = cursor.execute(
        f"SELECT coalesce(s.number, 0), i.folder, i.item, team, project, member, agent, session,"  # noqa: S608 ours
        f" {arrived}, active FROM item AS i LEFT JOIN search_item AS s"
        f" ON s.folder = i.folder AND s.item = i.item WHERE {condition}",
        values,
    )
    return list(map(CountedSession._make, rows))


def counted(tx: Transaction, sources: Sources) -> CountedFigures:
    """The figures of these sessions, which `sessions` gave for what a reader may see.

    They are put into a temporary table for as long as this takes.
    """
    known = [each for each in sources.sessions if each.number]
    names = list(dict.fromkeys(map(sources.group, known)))
    numbers = {name: number for number, name in enumerate(names)}
    tx.execute("CREATE TEMP TABLE counted (item INTEGER PRIMARY KEY, number INTEGER NOT NULL)")
    try:
        tx.executemany(
            "INSERT INTO counted VALUES (?, ?)",
            [(each.number, numbers[sources.group(each)]) for each in known],
        )
        return _counted(tx, names, sources.day_of)
    finally:
        tx.execute("DROP TABLE counted")


def _counted(
    tx: Transaction, names: Sequence[str], day_of: Callable[[int], str] | None
) -> CountedFigures:
    tools = tx.execute(
        "SELECT c.number, tool, count(DISTINCT c.item), sum(times) FROM counted AS c"
        " JOIN activity_tool AS t ON t.item = c.item GROUP BY c.number, tool"
    ).fetchall()
    stretches = tx.execute(
        f"SELECT hour, sum(stretches) {_OF_COUNTED} WHERE model = '' GROUP BY hour"  # noqa: S608 ours
    ).fetchall()
    return CountedFigures(
        _by_day(tx, day_of) if day_of else _sums(tx, "c.number", names),
        [ToolUse(names[number], *rest) for number, *rest in tools],
        [(hour, count) for hour, count in stretches],
    )


def _by_day(tx: Transaction, day_of: Callable[[int], str]) -> list[Sums]:
    hours = [row[0] for row in tx.execute(f"SELECT DISTINCT hour {_OF_COUNTED}")]  # noqa: S608 ours
    days = {hour: day_of(hour) for hour in hours}
    names = sorted(set(days.values()))
    numbers = {name: number for number, name in enumerate(names)}
    tx.execute("CREATE TEMP TABLE day_of (at INTEGER PRIMARY KEY, day INTEGER NOT NULL)")
    try:
        rows = [(hour, numbers[day]) for hour, day in days.items()]
        tx.executemany("INSERT INTO day_of VALUES (?, ?)", rows)
        return _sums(tx, "(SELECT day FROM day_of WHERE at = hour)", names)
    finally:
        tx.execute("DROP TABLE day_of")


def _sums(tx: Transaction, group: str, names: Sequence[str]) -> list[Sums]:
    rows = tx.execute(
        f"SELECT {group}, model, count(DISTINCT c.item), {_SUMS} {_OF_COUNTED} GROUP BY 1, 2"  # noqa: S608 ours
    )
    return [Sums(names[number], *rest) for number, *rest in rows]


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
