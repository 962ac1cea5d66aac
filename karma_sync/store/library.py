"""Stores the library: the manifests of everything that was verified and can be read.

Only the importer writes to library.db. Readers query it within an `AccessScope` (readable.py).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karma_sync.domain.mesh.channels import Kept, TakenBack
from karma_sync.domain.value import Verified
from karma_sync.store import activity, observations, record_ids, retractions, search_index
from karma_sync.store.database import Database, Transaction

if TYPE_CHECKING:
    from karma_sync.domain.session.manifest import Manifest

_MIGRATIONS = [
    """
    CREATE TABLE item (
        folder TEXT, item TEXT, revision INTEGER NOT NULL, team TEXT NOT NULL,
        project TEXT NOT NULL, member TEXT NOT NULL, agent TEXT NOT NULL, session TEXT NOT NULL,
        active TEXT NOT NULL, arrived TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
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
    search_index.TABLES,
    activity.TABLES,
    observations.TABLES,
    record_ids.TABLES,
    # the values by which readers filter and count, so that no query reads manifests for them
    """
    CREATE INDEX item_by_reader ON item (
        team, kind, project, member, agent, session, active, arrived)
    """,
]

SET_ASIDE = "set aside"
# 16 MB: an index that grows changes the same pages again and again, which the log takes up
_LOG_PAGES = 4000


@dataclass(frozen=True)
class Arrival:
    """The state of an item file in an inbox.

    `state` is "imported", "waiting" (for chunks), "refused", "retracted" (the file is a copy from
    before its retraction), or "set aside" (see `SetAside`). `signature` identifies the version of
    the file.
    """

    item: str
    signature: str
    state: str
    why: str = ""

    @property
    def refused(self) -> bool:
        return self.state == "refused"

    @property
    def is_set_aside(self) -> bool:
        return self.state == SET_ASIDE


@dataclass(frozen=True)
class Dropped:
    """An item that was removed, and the hashes of its chunks that no other item needs."""

    folder: str
    item: str
    revision: int
    chunks: frozenset[str]


@dataclass(frozen=True)
class Origin:
    """The origin of an item: its session, and the member and channel that it came from."""

    item: str
    team: str
    project: str
    member: str
    session: str


def open_library(path: Path) -> Database:
    """Open library.db; creates it if it does not exist."""
    return Database(path, _MIGRATIONS, log_pages=_LOG_PAGES)


def put_item(tx: Transaction, folder: str, item: "Verified[Manifest]", now: datetime) -> set[str]:
    """Store a verified manifest as the readable revision of its item.

    Returns the hashes of chunks that the previous revision named and this one does not.
    """
    manifest = item.value
    key = [folder, manifest.item]
    active = _utc(manifest.session.last_activity) or now
    tx.execute(
        "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *key,
            manifest.revision,
            manifest.team,
            manifest.project,
            manifest.member,
            manifest.session.wrote,
            manifest.session.session_id,
            active.isoformat(timespec="microseconds"),
            now.isoformat(),
            manifest.kind.value,
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
    """Remove what came from a member through other channels than those kept.

    Returns the removed items, so that the caller can delete their files.
    """
    rows = tx.execute(
        "SELECT folder, item, revision FROM item"
        " WHERE team = ? AND project = ? AND member = ?"
        " AND folder NOT IN (SELECT value FROM json_each(?))",
        [kept.team, kept.project, kept.member, json.dumps(kept.folders)],
    ).fetchall()
    return _dropped(tx, rows)


def taken_back(tx: Transaction, gone: TakenBack) -> list[tuple[str, str, int]]:
    """(folder, item, revision) of those of these items that are readable."""
    rows = tx.execute(
        "SELECT folder, item, revision FROM item"
        " WHERE team = ? AND project = ? AND member = ?"
        " AND item IN (SELECT value FROM json_each(?))",
        [gone.team, gone.project, gone.member, json.dumps(gone.items)],
    )
    return [(row["folder"], row["item"], row["revision"]) for row in rows]


def drop_received(tx: Transaction, team: str, project: str, me: str) -> list[Dropped]:
    """Remove what came from the other members of a team for a project, or with "" for all.

    `me` is my tag. Returns the removed items, so that the caller can delete their files.
    """
    rows = tx.execute(
        "SELECT folder, item, revision FROM item"
        " WHERE team = ? AND member <> ? AND ? IN ('', project)",
        [team, me, project],
    ).fetchall()
    return _dropped(tx, rows)


def drop_folder(tx: Transaction, folder: str) -> list[Dropped]:
    """Remove everything that came through one channel; returns the removed items."""
    rows = tx.execute(
        "SELECT folder, item, revision FROM item WHERE folder = ?", [folder]
    ).fetchall()
    return _dropped(tx, rows)


def _dropped(tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> list[Dropped]:
    dropped = []
    for row in rows:
        dropped.append(drop_item(tx, row["folder"], row["item"], row["revision"]))
        retractions.drop(tx, row["folder"], row["item"])
    return dropped


def drop_item(tx: Transaction, folder: str, item: str, revision: int) -> Dropped:
    """Remove an item; the result names the files to delete."""
    key = [folder, item]
    hashes = chunks_of(tx, folder, item)
    tx.execute("DELETE FROM item WHERE folder = ? AND item = ?", key)
    tx.execute("DELETE FROM chunk_of WHERE folder = ? AND item = ?", key)
    tx.execute("DELETE FROM arrival WHERE folder = ? AND item = ?", key)
    return Dropped(folder, item, revision, frozenset(unused_chunks(tx, hashes)))


def chunks_of(tx: Transaction, folder: str, item: str) -> set[str]:
    """The hashes of the chunks that an item names."""
    rows = tx.execute("SELECT sha256 FROM chunk_of WHERE folder = ? AND item = ?", [folder, item])
    return {row["sha256"] for row in rows}


def verified_chunks(tx: Transaction, folder: str) -> dict[str, int]:
    """The sizes in bytes of the verified chunks that came through this channel, by hash."""
    rows = tx.execute("SELECT DISTINCT sha256, size FROM chunk_of WHERE folder = ?", [folder])
    return {row["sha256"]: row["size"] for row in rows}


def unused_chunks(tx: Transaction, hashes: Iterable[str]) -> set[str]:
    """The hashes among these that no item of any channel names."""
    query = "SELECT 1 FROM chunk_of WHERE sha256 = ?"
    return {sha for sha in hashes if tx.execute(query, [sha]).fetchone() is None}


def revision(tx: Transaction, folder: str, item: str) -> int:
    """The readable revision of an item; 0 if the item is not readable."""
    row = tx.execute(
        "SELECT revision FROM item WHERE folder = ? AND item = ?", [folder, item]
    ).fetchone()
    return int(row["revision"]) if row else 0


def redactor_of(tx: Transaction, folder: str, item: str) -> str | None:
    """The redactor version of the readable revision of an item; None if it is not readable."""
    row = tx.execute(
        "SELECT json_extract(body, '$.redactor') AS redactor FROM item"
        " WHERE folder = ? AND item = ?",
        [folder, item],
    ).fetchone()
    return str(row["redactor"]) if row else None


def revisions(tx: Transaction, folder: str) -> dict[str, int]:
    """The revisions of all readable items of a channel, by item."""
    rows = tx.execute("SELECT item, revision FROM item WHERE folder = ?", [folder])
    return {row["item"]: row["revision"] for row in rows}


def all_revisions(tx: Transaction) -> list[tuple[str, str, int]]:
    """(folder, item, revision) of all readable items."""
    rows = tx.execute("SELECT folder, item, revision FROM item")
    return [(row["folder"], row["item"], row["revision"]) for row in rows]


def unindexed(tx: Transaction) -> list[tuple[str, str]]:
    """(folder, item) of the readable items of which the index has not this revision.

    The last active is the first. Whoever takes them from the end indexes a session before those
    that go on from it.
    """
    rows = tx.execute(
        "SELECT folder, item FROM item AS i WHERE NOT EXISTS (SELECT 1 FROM search_item AS s"
        " WHERE s.folder = i.folder AND s.item = i.item AND s.revision = i.revision)"
        " ORDER BY active DESC"
    )
    return [(row["folder"], row["item"]) for row in rows]


def content_size(tx: Transaction, items: Iterable[tuple[str, str]]) -> int:
    """The bytes in full chunks of these items, (folder, item), all together."""
    row = tx.execute(
        "SELECT coalesce(sum(size), 0) AS size FROM json_each(?) AS e JOIN chunk_of AS c"
        " ON c.folder = json_extract(e.value, '$[0]') AND c.item = json_extract(e.value, '$[1]')",
        [json.dumps(list(items))],
    ).fetchone()
    return int(row["size"])


def origin(tx: Transaction, folder: str, item: str) -> Origin | None:
    """The origin of an item; None if the item is not readable."""
    row = tx.execute(
        "SELECT team, project, member, session FROM item WHERE folder = ? AND item = ?",
        [folder, item],
    ).fetchone()
    return Origin(item=item, **dict(row)) if row else None


def is_kept(tx: Transaction, item: str) -> bool:
    """Whether the library has an item, through whatever channel."""
    return tx.execute("SELECT 1 FROM item WHERE item = ? LIMIT 1", [item]).fetchone() is not None


def kept_body(tx: Transaction, folder: str, item: str) -> str | None:
    """The readable revision's manifest as JSON, for the importer; None if there is none."""
    row = tx.execute(
        "SELECT body FROM item WHERE folder = ? AND item = ?", [folder, item]
    ).fetchone()
    return str(row["body"]) if row else None


def all_chunks(tx: Transaction) -> set[str]:
    """The hashes of all chunks that any item names."""
    return {row["sha256"] for row in tx.execute("SELECT DISTINCT sha256 FROM chunk_of")}


def drop_arrival(tx: Transaction, folder: str, item: str) -> None:
    """Forget what happened to an item file."""
    tx.execute("DELETE FROM arrival WHERE folder = ? AND item = ?", [folder, item])


def put_arrival(tx: Transaction, folder: str, arrival: Arrival) -> None:
    """Remember what happened to an item file."""
    tx.execute(
        "INSERT OR REPLACE INTO arrival VALUES (?, ?, ?, ?, ?)",
        [folder, arrival.item, arrival.signature, arrival.state, arrival.why],
    )


def arrivals(tx: Transaction, folder: str) -> dict[str, Arrival]:
    """The state of each item file of a channel, by item."""
    rows = tx.execute("SELECT * FROM arrival WHERE folder = ?", [folder])
    return {r["item"]: Arrival(r["item"], r["signature"], r["state"], r["why"]) for r in rows}


def _utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC; None if that lies outside of the calendar (years 1 to 9999)."""
    try:
        return moment.astimezone(UTC) if moment else None
    except (OverflowError, ValueError):
        return None
