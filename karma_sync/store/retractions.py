"""Stores in library.db the retractions that were carried out, and the chunks that still linger.

A chunk *lingers* while no item of the library needs it but its file still lies in the channel's
folder. Its owner deletes the file, and Syncthing carries the deletion out here. Until then
receipts do not report the item as deleted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from karma_sync.store.database import Transaction

TABLES = """
    CREATE TABLE retraction (
        folder TEXT, item TEXT, revision INTEGER NOT NULL, envelope BLOB NOT NULL,
        done INTEGER NOT NULL, PRIMARY KEY (folder, item)) WITHOUT ROWID;
    CREATE TABLE lingering (
        folder TEXT, item TEXT, sha256 TEXT, revision INTEGER NOT NULL,
        PRIMARY KEY (folder, item, sha256)) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Carried:
    """A verified retraction; `done` is true if no file of the item is left in the folder."""

    item: str
    revision: int
    envelope: bytes
    done: bool


@dataclass(frozen=True)
class Lingering:
    """A chunk file that is to disappear, and the last revision of the item that named it."""

    item: str
    sha256: str
    revision: int


def put(tx: Transaction, folder: str, carried: Carried) -> None:
    """Remember a retraction, so that no older copy of the item brings it back."""
    tx.execute(
        "INSERT OR REPLACE INTO retraction VALUES (?, ?, ?, ?, ?)",
        [folder, carried.item, carried.revision, carried.envelope, carried.done],
    )


def revision(tx: Transaction, folder: str, item: str) -> int:
    """The revision of an item's retraction; 0 if it is not retracted."""
    row = tx.execute(
        "SELECT revision FROM retraction WHERE folder = ? AND item = ?", [folder, item]
    ).fetchone()
    return int(row["revision"]) if row else 0


def all_of(tx: Transaction, folder: str) -> list[Carried]:
    """All retractions of a channel, the earliest first."""
    rows = tx.execute("SELECT * FROM retraction WHERE folder = ? ORDER BY revision, item", [folder])
    return [Carried(r["item"], r["revision"], r["envelope"], bool(r["done"])) for r in rows]


def unfinished(tx: Transaction, folder: str) -> list[str]:
    """The retracted items that may still have files in the channel's folder."""
    rows = tx.execute("SELECT item FROM retraction WHERE folder = ? AND done = 0", [folder])
    return [row["item"] for row in rows]


def drop(tx: Transaction, folder: str, item: str) -> None:
    """Forget a retraction, because its owner packaged the item again."""
    tx.execute("DELETE FROM retraction WHERE folder = ? AND item = ?", [folder, item])


def finish(tx: Transaction, folder: str, item: str) -> None:
    """Record that no file of a retracted item is left in the channel's folder."""
    tx.execute("UPDATE retraction SET done = 1 WHERE folder = ? AND item = ?", [folder, item])


def put_lingering(
    tx: Transaction, folder: str, item: str, revision: int, hashes: Iterable[str]
) -> None:
    """Record that these chunks still have to disappear from the folder.

    `revision` is the last revision of the item that named them.
    """
    tx.executemany(
        "INSERT OR REPLACE INTO lingering VALUES (?, ?, ?, ?)",
        [(folder, item, sha, revision) for sha in hashes],
    )


def lingering(tx: Transaction, folder: str) -> list[Lingering]:
    """The chunks that have to disappear from a channel's folder.

    Chunks that an item of the channel names again are left out.
    """
    rows = tx.execute(
        "SELECT * FROM lingering AS l WHERE folder = ? AND NOT EXISTS"
        " (SELECT 1 FROM chunk_of AS c WHERE c.sha256 = l.sha256 AND c.folder = l.folder)",
        [folder],
    )
    return [Lingering(row["item"], row["sha256"], row["revision"]) for row in rows]


def drop_lingering(tx: Transaction, folder: str, gone: Iterable[Lingering]) -> None:
    """Record that these chunks are gone from the folder."""
    tx.executemany(
        "DELETE FROM lingering WHERE folder = ? AND item = ? AND sha256 = ?",
        [(folder, each.item, each.sha256) for each in gone],
    )
