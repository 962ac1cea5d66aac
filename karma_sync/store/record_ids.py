"""Stores which records each item has, by a hash of their ids, and which of them are copies.

A session that shares records with another member's item is a fork of it, whatever its own id. A
record counts for the session that had it first (docs/adr/0040-a-record-counts-once.md). The caller
holds the transaction.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from karma_sync.store.database import Transaction

# `record_copy`: the items that have records of another session, `parent`, which had them first.
TABLES = """
    CREATE TABLE record_id (
        hash INTEGER, item INTEGER, file INTEGER, PRIMARY KEY (hash, item, file)) WITHOUT ROWID;
    CREATE TABLE record_copy (
        item INTEGER, parent INTEGER, PRIMARY KEY (item, parent)) WITHOUT ROWID
    """

# Inside of a string the quotes would be escaped, so it does not match there.
_UUID = re.compile(rb'"uuid"\s*:\s*"([^"\\]{1,100})"')


def put(tx: Transaction, item: int, file: int, lines: bytes) -> None:
    """Record the ids of the records in whole lines; numbers of item and file are the index's."""
    found = {_hash(uuid) for uuid in _UUID.findall(lines)}
    tx.executemany(
        "INSERT OR IGNORE INTO record_id VALUES (?, ?, ?)", [(each, item, file) for each in found]
    )


def recorded(tx: Transaction, item: int, file: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks of lines; the ids of the records in each are stored before it is given."""
    for block in blocks:
        put(tx, item, file, block)
        yield block


def drop_file(tx: Transaction, item: int, file: int) -> None:
    """Forget the records of one file of an item."""
    tx.execute("DELETE FROM record_id WHERE item = ? AND file = ?", [item, file])


def drop_items(tx: Transaction, items: Collection[int]) -> None:
    """Forget the records of items."""
    numbers = "(SELECT value FROM json_each(?))"
    for column in ("record_id WHERE item", "record_copy WHERE item", "record_copy WHERE parent"):
        tx.execute(f"DELETE FROM {column} IN {numbers}", [json.dumps(list(items))])  # noqa: S608


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


@dataclass(frozen=True)
class CopiedRecords:
    """Tells which records of an item another session had first; `member` wrote this `session`."""

    tx: Transaction
    item: int
    member: str
    session: str

    def among(self, uuids: Iterable[str]) -> set[str]:
        """Those of the ids that are of copied records.

        A session from which this one has a record for the first time had it first, unless it is
        known to have it from this one.
        """
        named = {_hash(uuid.encode(errors="replace")): uuid for uuid in uuids if uuid}
        rows = self.tx.execute(
            "SELECT hash, item FROM json_each(?) CROSS JOIN record_id ON hash = value"
            " WHERE item <> ?",
            [json.dumps(list(named)), self.item],
        ).fetchall()
        parents = self._parents({row["item"] for row in rows}) if rows else set()
        return {named[row["hash"]] for row in rows if row["item"] in parents}

    def _parents(self, holders: Collection[int]) -> set[int]:
        others = self.tx.execute(
            "SELECT s.number FROM search_item AS s JOIN item AS i"
            " ON i.folder = s.folder AND i.item = s.item"
            " WHERE s.number IN (SELECT value FROM json_each(?))"
            " AND NOT (i.member = ? AND i.session = ?)"  # it came through another team too
            " AND NOT EXISTS (SELECT 1 FROM record_copy WHERE item = s.number AND parent = ?)",
            [json.dumps(list(holders)), self.member, self.session, self.item],
        )
        found = {row["number"] for row in others}
        self.tx.executemany(
            "INSERT OR IGNORE INTO record_copy VALUES (?, ?)",
            [(self.item, parent) for parent in found],
        )
        return found


def of_others(tx: Transaction, member: str, session: str, uuids: Iterable[str]) -> set[str]:
    """Those of the ids that belong to records of other sessions than this one of `member`.

    A session that has them from this one does not count.
    """
    named = {_hash(uuid.encode(errors="replace")): uuid for uuid in uuids if uuid}
    of_this = (
        "FROM search_item AS s JOIN item AS i ON i.folder = s.folder AND i.item = s.item"
        " WHERE i.member = ? AND i.session = ? AND s.number"
    )
    rows = tx.execute(
        "SELECT DISTINCT hash FROM json_each(?) CROSS JOIN record_id AS r ON r.hash = value"  # noqa: S608 ours
        f" WHERE NOT EXISTS (SELECT 1 {of_this} = r.item) AND NOT EXISTS (SELECT 1"
        f" FROM record_copy AS c WHERE c.item = r.item AND EXISTS (SELECT 1 {of_this} = c.parent))",
        [json.dumps(list(named)), member, session, member, session],
    )
    return {named[row["hash"]] for row in rows}


def _hash(uuid: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(uuid, digest_size=8).digest(), signed=True)
