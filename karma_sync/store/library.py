"""library.db: everything verified and readable; the importer is its only writer."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync.domain.access import AccessScope
from karma_sync.domain.mesh.channels import Kept
from karma_sync.domain.session.manifest import Verified
from karma_sync.store import retractions
from karma_sync.store.database import Database, Transaction

if TYPE_CHECKING:
    from karma_sync.domain.session.manifest import Manifest

_MIGRATIONS = [
    """
    CREATE TABLE item (
        folder TEXT, item TEXT, revision INTEGER NOT NULL, team TEXT NOT NULL,
        project TEXT NOT NULL, member TEXT NOT NULL, agent TEXT NOT NULL, session TEXT NOT NULL,
        active TEXT NOT NULL, arrived TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (folder, item)) WITHOUT ROWID;
    CREATE INDEX item_by_activity ON item (active);
    CREATE INDEX item_by_session ON item (session);
    CREATE TABLE chunk_of (
        folder TEXT, item TEXT, sha256 TEXT, size INTEGER NOT NULL,
        PRIMARY KEY (folder, item, sha256)) WITHOUT ROWID;
    CREATE INDEX chunk_by_hash ON chunk_of (sha256, folder);
    CREATE TABLE arrival (
        folder TEXT, item TEXT, signature TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL,
        PRIMARY KEY (folder, item)) WITHOUT ROWID
    """,
    retractions.TABLES,
]


@dataclass(frozen=True)
class Readable:
    """An item of the library: its manifest, where it lies, when it arrived (UTC)."""

    folder: str
    manifest: "Manifest"
    arrived: datetime


@dataclass(frozen=True)
class Arrival:
    """What became of an item file in an inbox.

    `state` is imported, waiting (for chunks), refused or retracted (an old copy of it);
    `signature` tells the file's version.
    """

    item: str
    signature: str
    state: str
    why: str = ""

    @property
    def refused(self) -> bool:
        return self.state == "refused"


@dataclass(frozen=True)
class Dropped:
    """An item that is no longer readable, and the chunks that nothing needs any more."""

    folder: str
    item: str
    revision: int
    chunks: frozenset[str]


def open_library(path: Path) -> Database:
    """Open library.db, creating it if need be."""
    return Database(path, _MIGRATIONS)


def put_item(tx: Transaction, folder: str, item: "Verified[Manifest]", now: datetime) -> set[str]:
    """Make a verified manifest the readable one; the hashes it named before and no more."""
    manifest = item.value
    key = [folder, manifest.item]
    active = _utc(manifest.session.last_activity) or now
    tx.execute(
        "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *key,
            manifest.revision,
            manifest.team,
            manifest.project,
            manifest.member,
            manifest.session.agent,
            manifest.session.session_id,
            active.isoformat(timespec="microseconds"),
            now.isoformat(),
            manifest.model_dump_json(),
        ],
    )
    before = chunks_of(tx, folder, manifest.item)
    sizes = manifest.chunks()
    after = set(sizes)
    gone = [(*key, sha) for sha in before - after]
    tx.executemany("DELETE FROM chunk_of WHERE folder = ? AND item = ? AND sha256 = ?", gone)
    new = [(*key, sha, sizes[sha]) for sha in after - before]
    tx.executemany("INSERT INTO chunk_of VALUES (?, ?, ?, ?)", new)
    return before - after


def drop_all_but(tx: Transaction, kept: Kept) -> list[Dropped]:
    """Forget what came of a member through other channels than the one kept; files to delete."""
    rows = tx.execute(
        "SELECT folder, item, revision FROM item"
        " WHERE team = ? AND project = ? AND member = ? AND folder <> ?",
        [kept.team, kept.project, kept.member, kept.folder],
    ).fetchall()
    dropped = []
    for row in rows:
        dropped.append(drop_item(tx, row["folder"], row["item"], row["revision"]))
        retractions.drop(tx, row["folder"], row["item"])
    return dropped


def drop_item(tx: Transaction, folder: str, item: str, revision: int) -> Dropped:
    """Forget an item; what of its files is to be deleted."""
    key = [folder, item]
    hashes = chunks_of(tx, folder, item)
    tx.execute("DELETE FROM item WHERE folder = ? AND item = ?", key)
    tx.execute("DELETE FROM chunk_of WHERE folder = ? AND item = ?", key)
    tx.execute("DELETE FROM arrival WHERE folder = ? AND item = ?", key)
    return Dropped(folder, item, revision, frozenset(unused(tx, hashes)))


def chunks_of(tx: Transaction, folder: str, item: str) -> set[str]:
    """Hashes of the chunks that an item names."""
    rows = tx.execute("SELECT sha256 FROM chunk_of WHERE folder = ? AND item = ?", [folder, item])
    return {row["sha256"] for row in rows}


def verified_chunks(tx: Transaction, folder: str) -> dict[str, int]:
    """Size by hash of the chunks that were taken from this channel and verified."""
    rows = tx.execute("SELECT DISTINCT sha256, size FROM chunk_of WHERE folder = ?", [folder])
    return {row["sha256"]: row["size"] for row in rows}


def unused(tx: Transaction, hashes: Iterable[str]) -> set[str]:
    """Those of `hashes` that no item of any channel names."""
    query = "SELECT 1 FROM chunk_of WHERE sha256 = ?"
    return {sha for sha in hashes if tx.execute(query, [sha]).fetchone() is None}


def revision(tx: Transaction, folder: str, item: str) -> int:
    """The revision of an item that is readable; 0 if none is."""
    row = tx.execute(
        "SELECT revision FROM item WHERE folder = ? AND item = ?", [folder, item]
    ).fetchone()
    return int(row["revision"]) if row else 0


def redactor_of(tx: Transaction, folder: str, item: str) -> str | None:
    """The version of the redactor that the readable revision of an item passed; None if none is."""
    row = tx.execute(
        "SELECT json_extract(body, '$.redactor') AS redactor FROM item"
        " WHERE folder = ? AND item = ?",
        [folder, item],
    ).fetchone()
    return str(row["redactor"]) if row else None


def revisions(tx: Transaction, folder: str) -> dict[str, int]:
    """Revision by item of all that is readable of a channel."""
    rows = tx.execute("SELECT item, revision FROM item WHERE folder = ?", [folder])
    return {row["item"]: row["revision"] for row in rows}


def all_revisions(tx: Transaction) -> list[tuple[str, str, int]]:
    """(folder, item, revision) of all that is readable."""
    rows = tx.execute("SELECT folder, item, revision FROM item")
    return [(row["folder"], row["item"], row["revision"]) for row in rows]


def all_chunks(tx: Transaction) -> set[str]:
    """Hashes of all chunks that some item names."""
    return {row["sha256"] for row in tx.execute("SELECT DISTINCT sha256 FROM chunk_of")}


def drop_arrival(tx: Transaction, folder: str, item: str) -> None:
    """Forget what became of an item file."""
    tx.execute("DELETE FROM arrival WHERE folder = ? AND item = ?", [folder, item])


def put_arrival(tx: Transaction, folder: str, arrival: Arrival) -> None:
    """Remember what became of an item file."""
    tx.execute(
        "INSERT OR REPLACE INTO arrival VALUES (?, ?, ?, ?, ?)",
        [folder, arrival.item, arrival.signature, arrival.state, arrival.why],
    )


def arrivals(tx: Transaction, folder: str) -> dict[str, Arrival]:
    """What became of each item file of a channel, by item."""
    rows = tx.execute("SELECT * FROM arrival WHERE folder = ?", [folder])
    return {r["item"]: Arrival(r["item"], r["signature"], r["state"], r["why"]) for r in rows}


def readable(
    tx: Transaction, scope: AccessScope, session: str = "", most: int = 1_000_000
) -> list[Readable]:
    """Items the scope allows, the latest active first; with `session`, ids that begin so."""
    where, values = _allowed(scope)
    if session:
        where.append("substr(session, 1, ?) = ?")
        values += [len(session), session]
    rows = tx.execute(
        f"SELECT folder, arrived, body FROM item WHERE {' AND '.join(where)}"  # noqa: S608 ours
        " ORDER BY active DESC, folder, item LIMIT ?",
        [*values, most],
    )
    return [_readable(row) for row in rows]


def projects(tx: Transaction) -> set[str]:
    """Every project of which the library holds something."""
    return {row["project"] for row in tx.execute("SELECT DISTINCT project FROM item")}


def one(tx: Transaction, folder: str, item: str) -> Readable | None:
    """An item as it is now; None if it is gone."""
    row = tx.execute("SELECT * FROM item WHERE folder = ? AND item = ?", [folder, item]).fetchone()
    return _readable(row) if row else None


def counts(tx: Transaction, scope: AccessScope) -> dict[tuple[str, str, str], int]:
    """How many items there are of each (team, project, member)."""
    where, values = _allowed(scope)
    rows = tx.execute(
        "SELECT team, project, member, count(*) AS n FROM item"  # noqa: S608 our column names
        f" WHERE {' AND '.join(where)} GROUP BY team, project, member",
        values,
    )
    return {(r["team"], r["project"], r["member"]): r["n"] for r in rows}


def _allowed(scope: AccessScope) -> tuple[list[str], list[str | int]]:
    where = ["1"]
    values: list[str | int] = []
    for column, allowed in (
        ("team", scope.teams),
        ("project", scope.projects),
        ("agent", scope.agents),
    ):
        if allowed is not None:
            where.append(f"{column} IN ({', '.join('?' for _ in allowed)})")
            values += sorted(allowed)
    return where, values


def _readable(row: sqlite3.Row) -> Readable:
    from karma_sync.domain.session.manifest import Manifest

    manifest = Manifest.model_validate_json(row["body"])
    return Readable(row["folder"], manifest, datetime.fromisoformat(row["arrived"]))


def _utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC; None if it has none there, at the ends of the calendar."""
    try:
        return moment.astimezone(UTC) if moment else None
    except (OverflowError, ValueError):
        return None
