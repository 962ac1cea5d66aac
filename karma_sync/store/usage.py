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
    """What the sessions of one group did with a model; without one: turns and stretches.

    `sessions` is how many did anything. The group of `by_hour` is the hour (Unix seconds / 3600).
    """

    group: str | int
    model: str
    sessions: int
    turns: int
    stretches: int
    input: int
    output: int
    cache_read: int
    cache_creation: int


class ToolUse(NamedTuple):
    """How often the sessions of one group called a tool, and how many of them did."""

    group: str
    tool: str
    sessions: int
    times: int


@dataclass(frozen=True)
class Sources:
    """What sessions are counted, and from where; `by_hour` asks for figures of each hour too."""

    sessions: Sequence[CountedSession]
    group: Callable[[CountedSession], str]
    by_hour: bool = False


@dataclass(frozen=True)
class CountedFigures:
    """The figures of some sessions: by group, by hour, and the stretches of each hour.

    `active` are (item, hour) of every hour in which a session did something. It and `by_hour` are
    empty unless they were asked for.
    """

    sums: list[Sums]
    tools: list[ToolUse]
    stretches: list[tuple[int, int]]
    by_hour: list[Sums]
    active: list[tuple[int, int]]


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
        return _counted(tx, names, sources.by_hour)
    finally:
        tx.execute("DROP TABLE counted")


def _counted(tx: Transaction, names: Sequence[str], by_hour: bool) -> CountedFigures:
    tools = tx.execute(
        "SELECT c.number, tool, count(DISTINCT c.item), sum(times) FROM counted AS c"
        " JOIN activity_tool AS t ON t.item = c.item GROUP BY c.number, tool"
    ).fetchall()
    stretches = tx.execute(
        f"SELECT hour, sum(stretches) {_OF_COUNTED} WHERE model = '' GROUP BY hour"  # noqa: S608 ours
    ).fetchall()
    active = tx.execute(f"SELECT c.item, hour {_OF_COUNTED} WHERE model = ''") if by_hour else ()  # noqa: S608
    return CountedFigures(
        [s._replace(group=names[int(s.group)]) for s in _sums(tx, "c.number")],
        [ToolUse(names[number], *rest) for number, *rest in tools],
        [(hour, count) for hour, count in stretches],
        _sums(tx, "hour") if by_hour else [],
        [(item, hour) for item, hour in active],
    )


def _sums(tx: Transaction, group: str) -> list[Sums]:
    sessions = "0" if group == "hour" else "count(DISTINCT c.item)"  # an hour has no such figure
    rows = tx.execute(
        f"SELECT {group}, model, {sessions}, {_SUMS} {_OF_COUNTED}"  # noqa: S608 ours
        f" GROUP BY {group}, model"
    )
    return [Sums(*row) for row in rows]


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
