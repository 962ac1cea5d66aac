"""Stores the observations of the library in library.db, a row for each record of each item.

The importer writes them. The same observation may come through several channels: readers get it
once, as `karma_sync/library/observations.py` describes.
"""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.observation import (
    ALL_OBSERVATIONS,
    Observation,
    ObservationFilter,
    decoded,
)
from karma_sync.domain.session.passage import Passage, Texts
from karma_sync.store.database import Transaction
from karma_sync.store.readable import visible
from karma_sync.store.session_filter import LIST, Values

TABLES = """
    CREATE TABLE observation (
        number INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT NOT NULL, item TEXT NOT NULL,
        id TEXT NOT NULL, version INTEGER NOT NULL, project TEXT NOT NULL, member TEXT NOT NULL,
        type TEXT NOT NULL, updated TEXT NOT NULL, deleted INTEGER NOT NULL, digest BLOB NOT NULL,
        body TEXT NOT NULL, UNIQUE (folder, item, id));
    CREATE INDEX observation_by_id ON observation (id, project);
    CREATE INDEX observation_by_time ON observation (updated);
    CREATE TABLE observation_result (
        folder TEXT, item TEXT, body TEXT NOT NULL, PRIMARY KEY (folder, item)) WITHOUT ROWID
    """

Place = tuple[str, str]


@dataclass(frozen=True)
class StoredObservation:
    """A row: the record, where it came from, and its number in the order of arrival."""

    number: int
    folder: str
    item: str
    team: str
    project: str
    record: Observation


@dataclass(frozen=True)
class RowChanges:
    """The changes of a new revision of an item to the table: rows added, and rows removed."""

    added: Sequence[tuple[int, Observation]]
    removed: Sequence[tuple[int, Observation]]
    kept: int


def replace_all(
    tx: Transaction,
    place: Place,
    project: str,
    found: Iterable[Observation],
    instead_of: Set[str] | None = None,
) -> RowChanges:
    """Make the rows of an item those of its newest revision; equal rows stay as they are.

    With `instead_of`, `found` are only the records that the revision changed, in place of those
    with these ids; all other rows stay.
    """
    records = list(found)
    query = "SELECT id, number, digest FROM observation WHERE folder = ? AND item = ?"
    untouched = 0
    if instead_of is None:
        rows = tx.execute(query, place).fetchall()
    else:
        ids = json.dumps([*instead_of, *(record.id for record in records)])
        rows = tx.execute(f"{query} AND id IN {LIST}", [*place, ids]).fetchall()
        untouched = count_of(tx, place) - len(rows)
    known = {row["id"]: (row["number"], row["digest"]) for row in rows}
    new: list[tuple[Observation, bytes, str]] = []
    gone: list[int] = []
    kept = untouched
    for record in records:
        body = record.line()
        digest = hashlib.blake2b(body, digest_size=16).digest()
        before = known.pop(record.id, None)
        if before and before[1] == digest:
            kept += 1
            continue
        if before:
            gone.append(before[0])
        new.append((record, digest, body.decode()))
    gone += [number for number, _ in known.values()]
    removed = _take_out(tx, gone)
    # an edited observation keeps its number, which tells who wrote it first
    numbers = {record.id: number for number, record in removed}
    added = _insert(tx, place, project, new, numbers)
    return RowChanges(added, removed, kept)


def _insert(
    tx: Transaction,
    place: Place,
    project: str,
    new: Sequence[tuple[Observation, bytes, str]],
    numbers: Mapping[str, int],
) -> list[tuple[int, Observation]]:
    row = tx.execute("SELECT seq FROM sqlite_sequence WHERE name = 'observation'").fetchone()
    last = int(row["seq"]) if row else 0
    added = []
    values = []
    for record, digest, body in new:
        number = numbers.get(record.id, 0)
        if not number:
            last = number = last + 1
        added.append((number, record))
        values.append(
            (
                *(number, *place, record.id, record.version, project, record.author),
                *(record.type, record.updated, record.deleted, digest, body),
            )
        )
    tx.executemany("INSERT INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return added


def _take_out(tx: Transaction, numbers: Sequence[int]) -> list[tuple[int, Observation]]:
    found = []
    for number in numbers:
        row = tx.execute("SELECT body FROM observation WHERE number = ?", [number]).fetchone()
        found.append((number, decoded(row["body"].encode())))
    tx.executemany("DELETE FROM observation WHERE number = ?", ((number,) for number in numbers))
    return found


def count_of(tx: Transaction, place: Place) -> int:
    """The number of rows that an item has."""
    query = "SELECT count(*) AS n FROM observation WHERE folder = ? AND item = ?"
    return int(tx.execute(query, place).fetchone()["n"])


def authors_of(tx: Transaction, place: Place) -> frozenset[str]:
    """The tags under which the records of an item came: the first and the last of them."""
    query = (
        "SELECT min(member) AS a, max(member) AS b FROM observation WHERE folder = ? AND item = ?"
    )
    row = tx.execute(query, place).fetchone()
    return frozenset(tag for tag in row if tag is not None)


def known_ids(tx: Transaction, place: Place, ids: Iterable[str]) -> frozenset[str]:
    """The ids among these that are in a row of the item."""
    query = f"SELECT id FROM observation WHERE folder = ? AND item = ? AND id IN {LIST}"  # noqa: S608 ours
    return frozenset(row["id"] for row in tx.execute(query, [*place, json.dumps(list(ids))]))


def all_of(tx: Transaction, place: Place) -> list[tuple[int, Observation]]:
    """The records of an item with their numbers, in the order of arrival."""
    rows = tx.execute(
        "SELECT number, body FROM observation WHERE folder = ? AND item = ? ORDER BY number", place
    )
    return [(row["number"], decoded(row["body"].encode())) for row in rows]


def drop(tx: Transaction, place: Place) -> None:
    """Delete the rows of an item."""
    tx.execute("DELETE FROM observation WHERE folder = ? AND item = ?", place)
    tx.execute("DELETE FROM observation_result WHERE folder = ? AND item = ?", place)


def drop_channel(tx: Transaction, folder: str) -> None:
    """Delete the rows of all items that came through a channel."""
    tx.execute("DELETE FROM observation WHERE folder = ?", [folder])
    tx.execute("DELETE FROM observation_result WHERE folder = ?", [folder])


def put_result(tx: Transaction, place: Place, counts: Mapping[str, int]) -> None:
    """Remember what the last import of an item did: how many, by `imported` and reason codes."""
    tx.execute(
        "INSERT OR REPLACE INTO observation_result VALUES (?, ?, ?)",
        [*place, json.dumps(dict(sorted(counts.items())))],
    )


def results(tx: Transaction) -> dict[Place, dict[str, int]]:
    """The result of the last import of each item, by (folder, item)."""
    rows = tx.execute("SELECT * FROM observation_result")
    return {(row["folder"], row["item"]): json.loads(row["body"]) for row in rows}


def ids_by_others(tx: Transaction, me: str, ids: Iterable[str]) -> frozenset[str]:
    """The ids among these that came from other members and never left as mine.

    `me` is my tag. An id that I sent is mine, although another may send it afterwards.
    """
    rows = tx.execute(
        f"SELECT DISTINCT id FROM observation AS o WHERE id IN {LIST} AND member <> ?"  # noqa: S608 ours
        " AND NOT EXISTS"
        " (SELECT 1 FROM observation AS mine WHERE mine.id = o.id AND mine.member = ?)",
        [json.dumps(list(ids)), me, me],
    )
    return frozenset(row["id"] for row in rows)


def passage_of(number: int, record: Observation, time: int) -> Passage:
    """The indexed text of an observation; `at` is its number."""
    return Passage(number, 0, time, texts_of(record))


def texts_of(record: Observation) -> Texts:
    """The texts of an observation by the columns of the index."""
    return Texts(title=record.title, answer=record.content, tool=record.tool, path=record.topic)


# Of the records with one id and project, the highest version counts. The first author is the member
# whose record arrived first; only a deletion by that member counts, whatever versions others have.
_NEWEST = """
    WITH seen AS (
        SELECT o.number, o.folder, o.item, o.id, o.version, o.project, o.member, o.type, o.updated,
            o.deleted, i.team, first_value(o.member) OVER arrived AS first,
            first_value(o.deleted) OVER arrived AS is_gone
        FROM observation AS o JOIN item AS i ON i.folder = o.folder AND i.item = o.item
        WHERE {visible} {ids}
        WINDOW arrived AS (PARTITION BY o.project, o.id ORDER BY o.number)),
    ranked AS (
        SELECT *, row_number() OVER (
            PARTITION BY project, id ORDER BY version DESC, number) AS rank
        FROM seen WHERE NOT deleted AND NOT is_gone)
    SELECT r.*, o.body FROM ranked AS r JOIN observation AS o USING (number)
    WHERE r.rank = 1 {wanted}
"""


def page(
    tx: Transaction,
    scope: AccessScope,
    wanted: ObservationFilter,
    most: int,
    after: tuple[str, int] | None = None,
) -> list[tuple[StoredObservation, str]]:
    """At most `most` observations, the latest changed first, each with its first author's tag.

    `after` is the (updated, number) of the last one on the page before.
    """
    conditions, values = _conditions(wanted)
    if after is not None:
        conditions += " AND (r.updated, -r.number) < (?, ?)"
        values += [after[0], -after[1]]
    query, more = _newest(scope, conditions)
    rows = tx.execute(f"{query} ORDER BY r.updated DESC, r.number LIMIT ?", [*more, *values, most])
    return [_stored(row) for row in rows]


def count(tx: Transaction, scope: AccessScope, wanted: ObservationFilter) -> int:
    """The number of observations that are wanted and that the scope allows."""
    conditions, values = _conditions(wanted)
    query, more = _newest(scope, conditions)
    row = tx.execute(f"SELECT count(*) AS n FROM ({query})", [*more, *values]).fetchone()  # noqa: S608 ours
    return int(row["n"])


def numbered(
    tx: Transaction,
    scope: AccessScope,
    numbers: Collection[int],
    wanted: ObservationFilter = ALL_OBSERVATIONS,
) -> dict[int, tuple[StoredObservation, str]]:
    """The observations in these rows that are the version which readers get, by number."""
    listed = json.dumps(sorted(numbers))
    ids = f"AND (o.id, o.project) IN (SELECT id, project FROM observation WHERE number IN {LIST})"  # noqa: S608 ours
    conditions, more = _conditions(wanted)
    query, values = _newest(scope, f" AND r.number IN {LIST}{conditions}", ids, [listed])
    rows = tx.execute(query, [*values, listed, *more])
    return {found[0].number: found for found in map(_stored, rows)}


def _newest(
    scope: AccessScope, conditions: str, ids: str = "", more: Sequence[str] = ()
) -> tuple[str, Values]:
    allowed, values = visible(scope, "observations", "i.")
    return _NEWEST.format(visible=allowed, ids=ids, wanted=conditions), [*values, *more]


def _conditions(wanted: ObservationFilter) -> tuple[str, Values]:
    parts: list[str] = []
    values: Values = []
    if wanted.authors:
        parts.append(
            f"(r.first IN {LIST} OR substr(r.first, 1, instr(r.first, '.') - 1) IN {LIST})"
        )
        values += [json.dumps(sorted(wanted.authors))] * 2
    if wanted.projects:
        each = "(lower(r.project) = ? OR substr(lower(r.project), -length(?) - 1) = '/' || ?)"
        parts.append(f"({' OR '.join([each] * len(wanted.projects))})")
        values += [name.lower() for name in sorted(wanted.projects) for _ in range(3)]
    if wanted.types:
        parts.append(f"lower(r.type) IN {LIST}")
        values.append(json.dumps(sorted(name.lower() for name in wanted.types)))
    if wanted.since:
        parts.append("r.updated >= ?")
        values.append(wanted.since)
    if wanted.id:
        parts.append("substr(r.id, 1, ?) = ?")
        values += [len(wanted.id), wanted.id]
    return "".join(f" AND {part}" for part in parts), values


def _stored(row: sqlite3.Row) -> tuple[StoredObservation, str]:
    record = decoded(row["body"].encode())
    place = (row["folder"], row["item"], row["team"], row["project"])
    return StoredObservation(row["number"], *place, record), row["first"]
