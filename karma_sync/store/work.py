"""Stores in work.db how far the daemon got (reading, packaging), and what it observed.

This is a database of its own, because the daemon wakes up whenever state.db changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from karma_sync.domain.value import Value
from karma_sync.store import events, ledger
from karma_sync.store.database import Database, Transaction
from karma_sync.store.table import Table

_MIGRATIONS = [
    """
    CREATE TABLE read_file (path TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE packed_item (
        folder TEXT, item TEXT, body TEXT NOT NULL, PRIMARY KEY (folder, item)) WITHOUT ROWID;
    CREATE TABLE begun_item (
        folder TEXT, item TEXT, body TEXT NOT NULL, PRIMARY KEY (folder, item)) WITHOUT ROWID;
    CREATE TABLE revision (folder TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE chunk_ref (
        folder TEXT, sha256 TEXT, item TEXT, PRIMARY KEY (folder, sha256, item)) WITHOUT ROWID;
    CREATE INDEX chunk_ref_by_item ON chunk_ref (folder, item);
    CREATE TABLE dropped_chunk (
        folder TEXT, sha256 TEXT, dropped_ms INTEGER NOT NULL,
        PRIMARY KEY (folder, sha256)) WITHOUT ROWID;
    CREATE TABLE withheld (folder TEXT, session TEXT, body TEXT NOT NULL,
        PRIMARY KEY (folder, session)) WITHOUT ROWID;
    CREATE TABLE unknown_records (folder TEXT, session TEXT, body TEXT NOT NULL,
        PRIMARY KEY (folder, session)) WITHOUT ROWID;
    CREATE TABLE receipt (
        team TEXT, writer TEXT, version INTEGER NOT NULL, envelope BLOB NOT NULL,
        PRIMARY KEY (team, writer)) WITHOUT ROWID;
    CREATE TABLE fault (folder TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE recovering (folder TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE too_large (folder TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE transfer (
        folder TEXT, device TEXT, body TEXT NOT NULL, PRIMARY KEY (folder, device)) WITHOUT ROWID;
    CREATE TABLE link (device TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    """
    + events.TABLES,
    ledger.TABLES,
    # facts that were read before lack some of the directories that records name
    "DELETE FROM read_file;",
]


# Stands in place of a folder in a Transfer: the content that still has to be packaged.
PACKAGING = "packaging"


class Stays(StrEnum):
    """The reasons why a session does not leave."""

    WITHHELD = "withheld"  # on purpose: the person chose so, or it also worked elsewhere
    WAITING = "waiting"  # it was not quiet long enough yet
    FAILED = "failed"  # it should have left, but something went wrong


class Withheld(Value, frozen=True, kw_only=True):
    """A session that does not leave through a channel, and why."""

    folder: str
    session: str
    kind: Stays
    why: str


class UnknownRecords(Value, frozen=True, kw_only=True):
    """Number and bytes, by type, of a session's records that stay because they are not known."""

    folder: str
    session: str
    types: dict[str, tuple[int, int]]


class Fault(Value, frozen=True, kw_only=True):
    """An error that Syncthing reports for a folder; `why` is in Syncthing's words."""

    folder: str
    why: str


class Recovering(Value, frozen=True, kw_only=True):
    """An outbox that takes its items back from the peers; since when (UTC) and why."""

    folder: str
    why: str
    since: datetime


class Link(Value, frozen=True, kw_only=True):
    """Whether a peer's device is connected, and when it was last connected (UTC)."""

    device: str
    connected: bool
    last_seen: datetime | None = None


class TooLarge(Value, frozen=True, kw_only=True):
    """A folder that is paused because of its size; since when (UTC) and why."""

    folder: str
    why: str
    since: datetime


class Transfer(Value, frozen=True, kw_only=True):
    """A transfer in progress: about how many bytes (`left`) and `items` of a folder are missing.

    They are missing at `device` if the folder is my outbox, otherwise here. `rate` is in bytes per
    second; 0 if nothing moves. The figures come from Syncthing, and peers can falsify them.
    """

    folder: str
    device: str
    left: int
    items: int
    rate: float


@dataclass(frozen=True)
class SignedReceipt:
    """The newest accepted receipt of one writer, byte for byte as it was signed."""

    writer: str
    version: int
    envelope: bytes


withheld = Table("withheld", Withheld, ["folder", "session"])
unknown_records = Table("unknown_records", UnknownRecords, ["folder", "session"])
faults = Table("fault", Fault, ["folder"])
too_large = Table("too_large", TooLarge, ["folder"])
transfers = Table("transfer", Transfer, ["folder", "device"])
links = Table("link", Link, ["device"])
recovering = Table("recovering", Recovering, ["folder"])


def open_work(path: Path) -> Database:
    """Open work.db; creates it if it does not exist."""
    return Database(path, _MIGRATIONS)


def last_revision(tx: Transaction, folder: str) -> int:
    """The highest revision that was assigned in this channel; 0 if none was."""
    row = tx.execute("SELECT last FROM revision WHERE folder = ?", [folder]).fetchone()
    return int(row["last"]) if row else 0


def begin_counter(tx: Transaction, folder: str) -> None:
    """Record a channel in which no revision was assigned yet."""
    tx.execute("INSERT OR IGNORE INTO revision VALUES (?, 0)", [folder])


def has_counter(tx: Transaction, folder: str) -> bool:
    """Whether this database knows the channel's revision counter."""
    row = tx.execute("SELECT 1 FROM revision WHERE folder = ?", [folder]).fetchone()
    return row is not None


def put_revision(tx: Transaction, folder: str, revision: int) -> None:
    """Record that `revision` was assigned."""
    tx.execute(
        "INSERT INTO revision VALUES (?, ?)"
        " ON CONFLICT (folder) DO UPDATE SET last = excluded.last",
        [folder, revision],
    )


@dataclass(frozen=True)
class Named:
    """The hashes of the chunks that an item's manifest names now, and that it named before.

    `before` is from the manifest that was replaced, if it was found. `put_chunks` adds the chunks
    that the database knows: it may not know that manifest, because a crash or the loss of a
    database came between.
    """

    folder: str
    item: str
    now: frozenset[str]
    before: frozenset[str] = frozenset()


def put_chunks(tx: Transaction, named: Named, now_ms: int) -> None:
    """Record the chunks that an item names.

    Chunks that no item of the channel names any more are recorded as dropped at `now_ms` (Unix
    milliseconds).
    """
    folder, item = named.folder, named.item
    rows = tx.execute("SELECT sha256 FROM chunk_ref WHERE folder = ? AND item = ?", [folder, item])
    known = {row["sha256"] for row in rows}
    new = named.now - known
    tx.executemany(
        "INSERT OR IGNORE INTO chunk_ref VALUES (?, ?, ?)", [(folder, sha, item) for sha in new]
    )
    keep_chunks(tx, folder, new)
    for sha in (known | named.before) - named.now:
        tx.execute(
            "DELETE FROM chunk_ref WHERE folder = ? AND sha256 = ? AND item = ?",
            [folder, sha, item],
        )
        tx.execute(
            "INSERT OR IGNORE INTO dropped_chunk SELECT ?1, ?2, ?3 WHERE NOT EXISTS"
            " (SELECT 1 FROM chunk_ref WHERE folder = ?1 AND sha256 = ?2)",
            (folder, sha, now_ms),
        )


def chunk_refs(tx: Transaction, folder: str) -> dict[str, set[str]]:
    """The hashes of the chunks that the newest manifest of each item names, by item."""
    found: dict[str, set[str]] = {}
    for row in tx.execute("SELECT item, sha256 FROM chunk_ref WHERE folder = ?", [folder]):
        found.setdefault(row["item"], set()).add(row["sha256"])
    return found


def dropped_chunks(tx: Transaction, folder: str) -> set[str]:
    """The hashes of a channel's dropped chunks, whose files will be deleted later."""
    rows = tx.execute("SELECT sha256 FROM dropped_chunk WHERE folder = ?", [folder])
    return {row["sha256"] for row in rows}


def drop_chunks(tx: Transaction, folder: str, hashes: Iterable[str], now_ms: int) -> None:
    """Record that no item names these chunks since `now_ms` (Unix milliseconds)."""
    tx.executemany(
        "INSERT OR IGNORE INTO dropped_chunk VALUES (?, ?, ?)",
        [(folder, sha, now_ms) for sha in hashes],
    )


def keep_chunks(tx: Transaction, folder: str, hashes: Iterable[str]) -> None:
    """Forget that these chunks were dropped.

    Either a manifest names them again, or their files were deleted.
    """
    tx.executemany(
        "DELETE FROM dropped_chunk WHERE folder = ? AND sha256 = ?",
        [(folder, sha) for sha in hashes],
    )


def chunks_dropped_before(tx: Transaction, before_ms: int) -> list[tuple[str, str]]:
    """(folder, hash) of the chunks that were dropped before a moment (Unix milliseconds)."""
    rows = tx.execute("SELECT * FROM dropped_chunk WHERE dropped_ms < ?", [before_ms])
    return [(row["folder"], row["sha256"]) for row in rows]


def put_receipt(tx: Transaction, team: str, receipt: SignedReceipt) -> None:
    """Store a receipt as the newest of its writer."""
    tx.execute(
        "INSERT OR REPLACE INTO receipt VALUES (?, ?, ?, ?)",
        [team, receipt.writer, receipt.version, receipt.envelope],
    )


def get_receipt(tx: Transaction, team: str, writer: str) -> SignedReceipt | None:
    """The newest accepted receipt of this writer; None if there is none."""
    return next((r for r in receipts_of(tx, team) if r.writer == writer), None)


def drop_receipts(tx: Transaction, team: str, *, but: str) -> None:
    """Forget the receipts of a team; that of the writer `but` stays, for its version."""
    tx.execute("DELETE FROM receipt WHERE team = ? AND writer != ?", [team, but])


def receipts_of(tx: Transaction, team: str) -> list[SignedReceipt]:
    """The newest accepted receipts of a team, one of each writer."""
    rows = tx.execute("SELECT * FROM receipt WHERE team = ? ORDER BY writer", [team])
    return [SignedReceipt(r["writer"], r["version"], r["envelope"]) for r in rows]
