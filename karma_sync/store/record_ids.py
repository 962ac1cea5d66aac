"""Stores in library.db which records each item has, by a hash of their ids.

A session that shares records with another member's item is a fork of it, whatever its own id.
The caller holds the transaction.
"""

import hashlib
import re
from collections.abc import Iterable

from karma_sync.store.database import Transaction

TABLES = """
    CREATE TABLE record_id (
        hash INTEGER, item INTEGER, file INTEGER, PRIMARY KEY (hash, item, file)) WITHOUT ROWID
    """

# Inside of a string the quotes would be escaped, so it does not match there.
_UUID = re.compile(rb'"uuid"\s*:\s*"([^"\\]{1,100})"')


def put(tx: Transaction, item: int, file: int, lines: bytes) -> None:
    """Record the ids of the records in whole lines; numbers of item and file are the index's."""
    found = {_hash(uuid) for uuid in _UUID.findall(lines)}
    tx.executemany(
        "INSERT OR IGNORE INTO record_id VALUES (?, ?, ?)", [(each, item, file) for each in found]
    )


def drop_file(tx: Transaction, item: int, file: int) -> None:
    """Forget the records of one file of an item."""
    tx.execute("DELETE FROM record_id WHERE item = ? AND file = ?", [item, file])


def drop_channel(tx: Transaction, folder: str) -> None:
    """Forget the records of everything that came through a channel."""
    numbers = "(SELECT number FROM search_item WHERE folder = ?)"
    tx.execute(f"DELETE FROM record_id WHERE item IN {numbers}", [folder])  # noqa: S608 ours


def places(tx: Transaction, uuids: Iterable[str]) -> list[tuple[str, str]]:
    """(folder, item) of the items that have one of these records; each once, sorted."""
    marks = [_hash(uuid.encode()) for uuid in uuids]
    rows = [
        row
        for mark in marks
        for row in tx.execute(
            "SELECT i.folder, i.item FROM record_id AS r JOIN search_item AS i"
            " ON i.number = r.item WHERE r.hash = ?",
            [mark],
        )
    ]
    return sorted({(row["folder"], row["item"]) for row in rows})


def _hash(uuid: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(uuid, digest_size=8).digest(), signed=True)
