"""Queries the library for readers: each takes an `AccessScope` and restricts itself to it in SQL.

What the importer asks about its own items is in `library.py`; none of that returns content.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from karma_sync.domain.access import AccessScope
from karma_sync.store.database import Transaction

if TYPE_CHECKING:
    from karma_sync.domain.session.manifest import Manifest

Values = list[str | int]


@dataclass(frozen=True)
class Readable:
    """An item of the library: the folder it came through, its manifest, when it arrived (UTC)."""

    folder: str
    manifest: "Manifest"
    arrived: datetime


def visible(scope: AccessScope) -> tuple[str, Values]:
    """The condition on a row of `item` that is `AccessScope.can_read`, and its values."""
    condition = (
        f"team IN {_LIST} AND (member = ? OR team IN {_LIST} OR team || '/' || project IN {_LIST})"
    )
    values: Values = [
        _listed(scope.teams),
        scope.user,
        _listed(scope.open_teams),
        _listed(scope.readable_projects),
    ]
    for column, allowed in (("project", scope.only), ("agent", scope.agents)):
        if allowed is not None:
            condition += f" AND {column} IN {_LIST}"
            values.append(_listed(allowed))
    return condition, values


def sessions(
    tx: Transaction, scope: AccessScope, session: str = "", most: int = 1_000_000
) -> list[Readable]:
    """The items that the scope allows, the most recently active first.

    With `session`, only items whose session id begins with that text; at most `most` items.
    """
    condition, values = visible(scope)
    if session:
        condition += " AND substr(session, 1, ?) = ?"
        values += [len(session), session]
    rows = tx.execute(
        f"SELECT folder, arrived, body FROM item WHERE {condition}"  # noqa: S608 ours
        " ORDER BY active DESC, folder, item LIMIT ?",
        [*values, most],
    )
    return [_readable(row) for row in rows]


def projects(tx: Transaction, scope: AccessScope) -> set[str]:
    """The projects of which the reader may see a session."""
    condition, values = visible(scope)
    rows = tx.execute(f"SELECT DISTINCT project FROM item WHERE {condition}", values)  # noqa: S608
    return {row["project"] for row in rows}


def item(tx: Transaction, scope: AccessScope, folder: str, item: str) -> Readable | None:
    """One item as it is now; None if the library does not have it, or the scope forbids it."""
    condition, values = visible(scope)
    row = tx.execute(
        f"SELECT folder, arrived, body FROM item WHERE folder = ? AND item = ? AND {condition}",  # noqa: S608
        [folder, item, *values],
    ).fetchone()
    return _readable(row) if row else None


def counts(tx: Transaction, scope: AccessScope) -> dict[tuple[str, str, str], int]:
    """The number of items of each (team, project, member)."""
    condition, values = visible(scope)
    rows = tx.execute(
        "SELECT team, project, member, count(*) AS n FROM item"  # noqa: S608 our column names
        f" WHERE {condition} GROUP BY team, project, member",
        values,
    )
    return {(r["team"], r["project"], r["member"]): r["n"] for r in rows}


# json_each takes a list of any length as one value
_LIST = "(SELECT value FROM json_each(?))"


def _listed(values: Iterable[str]) -> str:
    return json.dumps(sorted(values))


def _readable(row: sqlite3.Row) -> Readable:
    from karma_sync.domain.session.manifest import Manifest

    manifest = Manifest.model_validate_json(row["body"])
    return Readable(row["folder"], manifest, datetime.fromisoformat(row["arrived"]))
