"""In library.db: the retractions that were carried out, and what of the past still lies about.

A chunk *lingers* while the library has forgotten it and the channel's folder still has its file:
the owner deletes it there, and Syncthing carries that out. Until then nothing is called gone.
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
    """A verified retraction; `done` when nothing of the item lies in the folder any more."""

    item: str
    revision: int
    envelope: bytes
    done: bool


@dataclass(frozen=True)
class Lingering:
    """A chunk file that is to go, and the revision of the item that named it last."""

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


def of(tx: Transaction, folder: str) -> list[Carried]:
    """All retractions of a channel, the earliest first."""
    rows = tx.execute("SELECT * FROM retraction WHERE folder = ? ORDER BY revision, item", [folder])
    return [Carried(r["item"], r["revision"], r["envelope"], bool(r["done"])) for r in rows]


def unfinished(tx: Transaction, folder: str) -> list[str]:
    """The retracted items of which something may be left in the channel's folder."""
    rows = tx.execute("SELECT item FROM retraction WHERE folder = ? AND done = 0", [folder])
    return [row["item"] for row in rows]


def drop(tx: Transaction, folder: str, item: str) -> None:
    """Forget a retraction: the item was packaged again."""
    tx.execute("DELETE FROM retraction WHERE folder = ? AND item = ?", [folder, item])


def finish(tx: Transaction, folder: str, item: str) -> None:
    """Nothing of a retracted item is left in the channel's folder."""
    tx.execute("UPDATE retraction SET done = 1 WHERE folder = ? AND item = ?", [folder, item])


def linger(tx: Transaction, folder: str, item: str, revision: int, hashes: Iterable[str]) -> None:
    """These chunks, which `revision` of an item named last, are still to go from the folder."""
    tx.executemany(
        "INSERT OR REPLACE INTO lingering VALUES (?, ?, ?, ?)",
        [(folder, item, sha, revision) for sha in hashes],
    )


def lingering(tx: Transaction, folder: str) -> list[Lingering]:
    """What is still to go from a channel's folder and is not named again by any of its items."""
    rows = tx.execute(
        "SELECT * FROM lingering AS l WHERE folder = ? AND NOT EXISTS"
        " (SELECT 1 FROM chunk_of AS c WHERE c.sha256 = l.sha256 AND c.folder = l.folder)",
        [folder],
    )
    return [Lingering(row["item"], row["sha256"], row["revision"]) for row in rows]


def went(tx: Transaction, folder: str, gone: Iterable[Lingering]) -> None:
    """These are gone from the folder."""
    tx.executemany(
        "DELETE FROM lingering WHERE folder = ? AND item = ? AND sha256 = ?",
        [(folder, each.item, each.sha256) for each in gone],
    )
