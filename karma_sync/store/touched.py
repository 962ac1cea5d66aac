"""Finds the sessions that read or changed a file, within a scope (store/activity.py keeps them)."""

from dataclasses import dataclass

from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.activity import WantedFile
from karma_sync.store.database import Transaction
from karma_sync.store.readable import visible
from karma_sync.store.session_filter import LIST, Values, listed

# "0" follows "/": between the two lies every path below a directory.
_AFTER_SLASH = "0"


@dataclass(frozen=True)
class Touched:
    """A file that one session read or changed: how often, and when last (Unix seconds).

    `message` is the id of the record with the last call.
    """

    folder: str
    item: str
    member: str
    agent: str
    session: str
    path: str
    changes: bool
    times: int
    last: int
    message: str


def touched(
    tx: Transaction, scope: AccessScope, wanted: WantedFile, me: str, most: int
) -> list[Touched]:
    """At most `most` reads and changes of a file, or of files below it, the latest first.

    `me` is the member whose sessions name paths of this machine.
    """
    allowed, values = visible(scope)
    condition, more = _condition(wanted, me)
    rows = tx.execute(
        "SELECT s.folder, s.item, member, agent, session, substr(t.path, t.below) AS path,"  # noqa: S608 ours
        " t.changes, sum(t.times) AS times, max(t.last) AS last, t.message"
        # CROSS JOIN keeps this order: few rows have the path, while a reader may see every session
        " FROM activity_touch AS t CROSS JOIN search_item AS s ON s.number = t.item"
        " CROSS JOIN item AS i ON i.folder = s.folder AND i.item = s.item"
        f" WHERE ({condition}) AND {allowed}"
        " GROUP BY t.item, substr(t.path, t.below), t.changes"
        " ORDER BY max(t.last) DESC, s.folder, s.item, t.changes DESC LIMIT ?",
        [*more, *values, most],
    )
    return [Touched(**{**dict(row), "changes": bool(row["changes"])}) for row in rows]


def _condition(wanted: WantedFile, me: str) -> tuple[str, Values]:
    where, values = _at("substr(t.path, t.below)", wanted.path)
    if not wanted.path:
        where, values = "t.below > 1", []  # paths in a repository
    mine, places = _at("t.path", wanted.whole) if wanted.whole else ("0", [])
    if wanted.projects is not None:
        where += f" AND (project IN {LIST} OR (member = ? AND {mine}))"
        values.append(listed(wanted.projects))
    else:
        where = f"({where}) OR (member = ? AND {mine})"
    values += [me, *places]
    parts = [f"({where})"]
    if wanted.since is not None:
        parts.append("t.last >= ?")
        values.append(int(wanted.since.timestamp()))
    if wanted.changes_only:
        parts.append("t.changes")
    return " AND ".join(parts), values


def _at(column: str, path: str) -> tuple[str, Values]:
    """The path itself, or what lies below it."""
    below = f"({column} > ? AND {column} < ?)"
    return f"({column} = ? OR {below})", [path, f"{path}/", f"{path}{_AFTER_SLASH}"]
