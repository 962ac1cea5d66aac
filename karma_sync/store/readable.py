"""Queries the library for readers: each takes an `AccessScope` and restricts itself to it in SQL.

`scope_of` reads the scope of a member from state.db. The importer's queries for its own items are
in `library.py`; none of those returns content.
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from os.path import commonprefix

from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.readable import Readable
from karma_sync.domain.team.rights import rights_of
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction
from karma_sync.store.session_filter import LIST, SessionFilter, Values, listed

_SHORTEST_ID = 4


def scope_of(states: Database, tag: str) -> AccessScope:
    """The access of the member with this tag, by the teams and answers in state.db."""
    with states.reading() as tx:
        return stored_scope(tx, tag)


def stored_scope(tx: Transaction, tag: str) -> AccessScope:
    """The same, within a transaction on state.db."""
    left = [(f.team, project) for f in state.formers.all(tx) for project in f.projects]
    return rights_of(tag, state.teams.all(tx), state.answers(tx), left)


def visible(scope: AccessScope, kind: str = "session", prefix: str = "") -> tuple[str, Values]:
    """The condition on a row of `item` that is `AccessScope.can_read`, and its values.

    Only items of this kind count; with "", those of any kind. `prefix` names the table in a query
    of several.
    """
    condition = (
        f"{prefix}team IN {LIST} AND ({prefix}member = ? OR {prefix}team IN {LIST}"
        f" OR {prefix}team || '/' || {prefix}project IN {LIST})"
    )
    if kind:
        condition += f" AND {prefix}kind = '{kind}'"
    values: Values = [
        listed(scope.teams),
        scope.user,
        listed(scope.open_teams),
        listed(scope.readable_projects),
    ]
    for column, allowed in (("project", scope.only), ("agent", scope.agents)):
        if allowed is not None:
            condition += f" AND {prefix}{column} IN {LIST}"
            values.append(listed(allowed))
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


def page(
    tx: Transaction, scope: AccessScope, wanted: SessionFilter, most: int, skip: int = 0
) -> tuple[list[Readable], int]:
    """At most `most` sessions after the first `skip`, the latest active first; and how many exist.

    A session that came through two teams counts once.
    """
    allowed, values = visible(scope)
    filtered, more = wanted.condition()
    once = (
        "SELECT folder, item, active, row_number() OVER"  # noqa: S608 ours
        " (PARTITION BY member, session ORDER BY active DESC, folder, item) AS copy"
        f" FROM item WHERE {allowed} AND {filtered}"
    )
    rows = tx.execute(
        f"WITH once AS ({once}) SELECT item.folder, item.arrived, item.body FROM once"  # noqa: S608
        " JOIN item USING (folder, item) WHERE copy = 1"
        " ORDER BY item.active DESC, folder, item LIMIT ? OFFSET ?",
        [*values, *more, most, skip],
    ).fetchall()
    counted = tx.execute(
        f"SELECT count(*) AS n FROM ({once}) WHERE copy = 1",  # noqa: S608 ours
        [*values, *more],
    ).fetchone()
    return [_readable(row) for row in rows], int(counted["n"])


def unindexed(tx: Transaction, scope: AccessScope) -> int:
    """The number of allowed sessions that the index lacks, or has in an older state."""
    condition, values = visible(scope)
    row = tx.execute(
        f"SELECT count(*) AS n FROM item WHERE {condition} AND NOT EXISTS (SELECT 1"  # noqa: S608
        " FROM search_item AS s WHERE s.folder = item.folder AND s.item = item.item"
        " AND s.revision = item.revision)",
        values,
    ).fetchone()
    return int(row["n"])


def own_sessions(tx: Transaction, scope: AccessScope) -> set[tuple[str, str]]:
    """The reader's own sessions, by agent (with its name) and id."""
    condition, values = visible(scope)
    rows = tx.execute(
        f"SELECT DISTINCT agent, session FROM item WHERE member = ? AND {condition}",  # noqa: S608
        [scope.user, *values],
    )
    return {(row["agent"], row["session"]) for row in rows}


def short_ids(tx: Transaction, scope: AccessScope, sessions: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of each id, of four letters or more, that no other session has."""
    condition, values = visible(scope)
    lengths = dict.fromkeys(sessions, _SHORTEST_ID)
    for session in lengths:
        for nearest, sign in (("max", "<"), ("min", ">")):
            row = tx.execute(
                f"SELECT {nearest}(session) AS near FROM item WHERE session {sign} ?"  # noqa: S608
                f" AND {condition}",
                [session, *values],
            ).fetchone()
            common = len(commonprefix([session, row["near"] or ""])) + 1
            lengths[session] = max(lengths[session], common)
    return {session: session[:length] for session, length in lengths.items()}


def own_among(tx: Transaction, scope: AccessScope, ids: Iterable[str]) -> set[tuple[str, str]]:
    """The reader's own sessions that have these ids, by agent (with its name) and id."""
    condition, values = visible(scope)
    rows = tx.execute(
        f"SELECT DISTINCT agent, session FROM item WHERE session IN {LIST} AND member = ?"  # noqa: S608
        f" AND {condition}",
        [listed(ids), scope.user, *values],
    )
    return {(row["agent"], row["session"]) for row in rows}


def projects(tx: Transaction, scope: AccessScope) -> set[str]:
    """The projects of which the reader may see a session."""
    condition, values = visible(scope)
    rows = tx.execute(f"SELECT DISTINCT project FROM item WHERE {condition}", values)  # noqa: S608
    return {row["project"] for row in rows}


def item(tx: Transaction, scope: AccessScope, folder: str, item: str) -> Readable | None:
    """One item as it is now; None if the library does not have it, or the scope forbids it."""
    return next(iter(items(tx, scope, [(folder, item)]).values()), None)


def items(
    tx: Transaction, scope: AccessScope, places: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Readable]:
    """The items among these that the library has and the scope allows, by (folder, item)."""
    condition, values = visible(scope)
    found = {}
    for place in places:
        row = tx.execute(
            "SELECT folder, arrived, body FROM item WHERE folder = ? AND item = ?"  # noqa: S608
            f" AND {condition}",
            [*place, *values],
        ).fetchone()
        if row:
            found[place] = _readable(row)
    return found


def counts(tx: Transaction, scope: AccessScope) -> dict[tuple[str, str, str], int]:
    """The number of items of each (team, project, member)."""
    condition, values = visible(scope)
    rows = tx.execute(
        "SELECT team, project, member, count(*) AS n FROM item"  # noqa: S608 our column names
        f" WHERE {condition} GROUP BY team, project, member",
        values,
    )
    return {(r["team"], r["project"], r["member"]): r["n"] for r in rows}


def _readable(row: sqlite3.Row) -> Readable:
    from karma_sync.domain.session.manifest import Manifest

    manifest = Manifest.model_validate_json(row["body"])
    return Readable(row["folder"], manifest, datetime.fromisoformat(row["arrived"]))
