"""Searches the full-text index within a scope; the index itself is in `store/search_index.py`.

Each channel's table is asked by itself, only those that the scope allows, and each row that is
returned belongs to an item that the scope allows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from karma_sync.domain.access import AccessScope
from karma_sync.store.database import Transaction
from karma_sync.store.readable import visible
from karma_sync.store.search_index import COLUMNS
from karma_sync.store.session_filter import SessionFilter, Values

# How much a word weighs by where it stands: titles and prompts more than answers, answers more
# than the output of tools.
_WEIGHTS = {
    "title": 12.0,
    "prompt": 8.0,
    "answer": 4.0,
    "thinking": 2.0,
    "tool": 1.0,
    "input": 1.0,
    "path": 2.0,
    "result": 0.7,
    "runs": 4.0,
}
# The number of a channel's latest matching records that are ranked. A word in more of them helps
# little, and to rank all would take longer than a person waits.
_MOST_RANKED = 4_000
# A record counts half as much more if it is new, and a third of that after so many days.
_RECENT_DAYS = 30


@dataclass(frozen=True)
class Found:
    """A record that fits: its item, where it lies, and how well it fits (higher is better).

    `path` is "" if the record is the session's title. `more` counts the other records of the same
    session that fit. A session that came through two teams has the same `member` and `session`.
    """

    folder: str
    item: str
    path: str
    at: int
    size: int
    time: int
    score: float
    more: int
    member: str
    session: str


@dataclass(frozen=True)
class Wanted:
    """A search: an FTS5 expression, and the records and sessions that count.

    `since`, `before` and `now` are Unix seconds. With `single`, of each session only the best
    record is returned; with `newest`, the latest one.
    """

    match: str
    sessions: SessionFilter = field(default_factory=SessionFilter)
    since: int | None = None
    before: int | None = None
    newest: bool = False
    single: bool = True
    now: int = 0


def find(tx: Transaction, scope: AccessScope, wanted: Wanted) -> list[Found]:
    """The records that fit, the best first; with `newest`, the latest first."""
    found = [
        each
        for number in _channels(tx, scope, wanted.sessions)
        for each in _find_in(tx, scope, number, wanted)
    ]
    if wanted.newest:
        return sorted(found, key=lambda f: (-f.time, f.folder, f.item, f.at))
    return sorted(found, key=lambda f: (-f.score, -f.time, f.folder, f.item, f.at))


def items_with(
    tx: Transaction,
    scope: AccessScope,
    match: str,
    since: int | None = None,
    before: int | None = None,
) -> set[tuple[str, str]]:
    """The sessions, by (folder, item), of which some record fits an FTS5 expression.

    `since` and `before` (Unix seconds) limit the time of the record.
    """
    limits, bounds = _limits(since, before)
    found = set()
    everything = SessionFilter()
    for number in _channels(tx, scope, everything):
        condition, values = _items(scope, everything)
        rows = tx.execute(
            f"SELECT DISTINCT s.folder, s.item FROM search_{number:d} AS f"  # noqa: S608 ours
            " JOIN passage AS p ON p.id = f.rowid JOIN search_item AS s ON s.number = p.item"
            f" WHERE search_{number:d} MATCH ? AND p.item IN ({condition}){limits}",
            [match, *values, *bounds],
        )
        found |= {(row["folder"], row["item"]) for row in rows}
    return found


def observations_with(tx: Transaction, scope: AccessScope, match: str, most: int) -> list[int]:
    """The numbers of the observations that fit an FTS5 expression, the best first."""
    allowed, values = visible(scope, "observations")
    weights = ", ".join(str(_WEIGHTS[column]) for column in COLUMNS)
    channels = tx.execute(
        "SELECT DISTINCT c.number FROM item JOIN search_channel AS c USING (folder)"  # noqa: S608
        f" WHERE {allowed}",
        values,
    ).fetchall()
    found: list[tuple[float, int]] = []
    for number in (row["number"] for row in channels):
        items, of_items = _of_observations(scope, number)
        first, last = _bounds(tx, scope, number)
        rows = tx.execute(
            f"SELECT p.at, bm25(search_{number:d}, {weights}) AS score"  # noqa: S608 ours
            f" FROM search_{number:d} AS f JOIN passage AS p ON p.id = f.rowid"
            f" WHERE search_{number:d} MATCH ? AND f.rowid BETWEEN ? AND ?"
            f" AND p.item IN ({items}) ORDER BY f.rowid DESC LIMIT ?",
            [match, first, last, *of_items, most],
        )
        found += [(row["score"], row["at"]) for row in rows]
    return [at for _, at in sorted(found)[:most]]


def _of_observations(scope: AccessScope, number: int) -> tuple[str, Values]:
    """A query for the numbers of a channel's items of observations, and its values."""
    allowed, values = visible(scope, "observations")
    return (
        "SELECT s.number FROM search_item AS s JOIN item USING (folder, item)"  # noqa: S608 ours
        f" JOIN search_channel AS c USING (folder) WHERE c.number = {number:d} AND {allowed}",
        values,
    )


def _bounds(tx: Transaction, scope: AccessScope, number: int) -> tuple[int, int]:
    """The first and the last passage of a channel's observations.

    They mostly follow each other, so that a frequent word is not looked up in all sessions of the
    channel.
    """
    items, values = _of_observations(scope, number)
    row = tx.execute(
        "SELECT min(first) AS first, max(last) AS last FROM (SELECT"  # noqa: S608 ours
        " (SELECT min(id) FROM passage WHERE item = e.item AND file = e.number) AS first,"
        " (SELECT max(id) FROM passage WHERE item = e.item AND file = e.number) AS last"
        f" FROM search_file AS e WHERE e.item IN ({items}))",
        values,
    ).fetchone()
    return row["first"] or 0, row["last"] or 0


def _channels(tx: Transaction, scope: AccessScope, sessions: SessionFilter) -> list[int]:
    """The tables of the channels that have a session which counts."""
    condition, values = _condition(scope, sessions)
    rows = tx.execute(
        "SELECT DISTINCT c.number FROM item JOIN search_channel AS c USING (folder)"  # noqa: S608
        f" WHERE {condition} ORDER BY c.number",
        values,
    )
    return [row["number"] for row in rows]


def _find_in(tx: Transaction, scope: AccessScope, number: int, wanted: Wanted) -> Iterable[Found]:
    condition, values = _items(scope, wanted.sessions)
    limits, bounds = _limits(wanted.since, wanted.before)
    weights = ", ".join(str(_WEIGHTS[column]) for column in COLUMNS)
    # bm25 is negative, and lower is better
    best = "max(h.time)" if wanted.newest else "max(h.score)"
    group = "GROUP BY h.item" if wanted.single else "GROUP BY h.id"
    rows = tx.execute(
        "WITH h AS (SELECT p.id, p.item, p.file, p.at, p.size, p.time,"  # noqa: S608 ours
        f" -bm25(search_{number:d}, {weights}) * (1.0 + 0.5 / (1.0 + max(0, ? - p.time)"
        f" / {_RECENT_DAYS * 86400.0})) AS score"
        f" FROM search_{number:d} AS f JOIN passage AS p ON p.id = f.rowid"
        f" WHERE search_{number:d} MATCH ? AND p.item IN ({condition}){limits}"
        " ORDER BY f.rowid DESC LIMIT ?)"
        f" SELECT s.folder, s.item, coalesce(e.path, '') AS path, h.at, h.size, h.time, h.score,"
        f" {best} AS best, count(*) - 1 AS more, i.member, i.session"
        " FROM h JOIN search_item AS s ON s.number = h.item"
        " JOIN item AS i ON i.folder = s.folder AND i.item = s.item"
        f" LEFT JOIN search_file AS e ON e.item = h.item AND e.number = h.file {group}",
        [wanted.now, wanted.match, *values, *bounds, _MOST_RANKED],
    )
    for row in rows:
        yield Found(
            row["folder"],
            row["item"],
            row["path"],
            *(row["at"], row["size"], row["time"], row["score"], row["more"]),
            *(row["member"], row["session"]),
        )


def _limits(since: int | None, before: int | None) -> tuple[str, list[int]]:
    """The condition on the time of a passage `p`, and its values."""
    times: Sequence[tuple[str, int | None]] = ((">=", since), ("<", before))
    known = [(sign, time) for sign, time in times if time is not None]
    return "".join(f" AND p.time {sign} ?" for sign, _ in known), [time for _, time in known]


def _items(scope: AccessScope, sessions: SessionFilter) -> tuple[str, Values]:
    """A query for the numbers of the items that count, and its values."""
    condition, values = _condition(scope, sessions)
    return (
        "SELECT number FROM search_item JOIN item USING (folder, item)"  # noqa: S608 ours
        f" WHERE {condition}",
        values,
    )


def _condition(scope: AccessScope, sessions: SessionFilter) -> tuple[str, Values]:
    allowed, values = visible(scope)
    filtered, more = sessions.condition()
    return f"{allowed} AND {filtered}", [*values, *more]
