"""Stores which records each item has, where they lie, and which of them are copies.

A session that shares records with another member's item is a fork of it, whatever its own id. A
record counts for the session that had it first (docs/adr/0040-a-record-counts-once.md). The caller
holds the transaction.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from karma_sync.store.database import Transaction

# `record_copy`: the items that have records of another session, `parent`, which had them first.
TABLES = """
    CREATE TABLE record_id (
        hash INTEGER, item INTEGER, file INTEGER, at INTEGER NOT NULL,
        PRIMARY KEY (hash, item, file)) WITHOUT ROWID;
    CREATE TABLE record_copy (
        item INTEGER, parent INTEGER, PRIMARY KEY (item, parent)) WITHOUT ROWID
    """

# Inside of a string the quotes would be escaped, so it does not match there.
_UUID = re.compile(rb'"uuid"\s*:\s*"([^"\\]{1,100})"')
_FORM = re.compile(rb"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-[0-9a-f]{4}-[0-9a-f]{12}")
_FIRST = b"00000000-0000-0000-0000-000000000000"
_LAST = _FIRST.replace(b"0", b"f")
_LEAST = 8  # letters of a beginning


def numbers(lines: bytes, at: int) -> list[tuple[int, int]]:
    """The records in whole lines: the number under which the id is stored, and where the line lies.

    The lines begin `at` bytes after the beginning of their file. Of records with one id the first
    one counts.
    """
    found: dict[int, int] = {}
    for each in _UUID.finditer(lines):
        found.setdefault(_stored(each[1]), at + lines.rfind(b"\n", 0, each.start()) + 1)
    return list(found.items())


def number_of(uuid: str) -> int | None:
    """The number under which a record's id is stored; None if it has no id."""
    return _stored(uuid.encode(errors="replace")) if uuid else None


def put(tx: Transaction, item: int, file: int, found: Iterable[tuple[int, int]]) -> None:
    """Store records that `numbers` found; the numbers of item and file are the index's."""
    tx.executemany(
        "INSERT OR IGNORE INTO record_id VALUES (?, ?, ?, ?)",
        [(name, item, file, place) for name, place in found],
    )


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
    marks = [_stored(uuid.encode()) for uuid in uuids]
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


class CopiedRecords:
    """Tells which records of an item another session had first; `member` wrote this `session`.

    Valid for the transaction `tx`, as long as only this item changes in it.
    """

    def __init__(self, tx: Transaction, item: int, member: str, session: str) -> None:
        self._tx = tx
        self._item = item
        self._session = member, session
        self._had_first: set[int] = set()  # items that had records of this one first
        self._others = {item}  # items that have records of this one, and are no parents

    def among(self, numbers: Collection[int]) -> set[int]:
        """The numbers among these that are of copied records.

        A session from which this one has a record for the first time had it first, unless it is
        known to have it from this one.
        """
        hashes = json.dumps(list(numbers))
        rows = self._tx.execute(
            # a record may be in many sessions, so those that are known make no rows
            "SELECT DISTINCT item FROM json_each(?) CROSS JOIN record_id ON hash = value"
            " WHERE item NOT IN (SELECT value FROM json_each(?))",
            [hashes, json.dumps([*self._had_first, *self._others])],
        )
        if new := {row["item"] for row in rows}:
            parents = self._parents(new)
            self._had_first |= parents
            self._others |= new - parents
        if not self._had_first:
            return set()
        rows = self._tx.execute(
            "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM record_id"
            " WHERE hash = value AND +item NOT IN (SELECT value FROM json_each(?)))",
            [hashes, json.dumps(list(self._others))],
        )
        return {row["value"] for row in rows}

    def _parents(self, holders: Collection[int]) -> set[int]:
        others = self._tx.execute(
            "SELECT s.number FROM search_item AS s JOIN item AS i"
            " ON i.folder = s.folder AND i.item = s.item"
            " WHERE s.number IN (SELECT value FROM json_each(?))"
            " AND NOT (i.member = ? AND i.session = ?)"  # it came through another team too
            " AND NOT EXISTS (SELECT 1 FROM record_copy WHERE item = s.number AND parent = ?)",
            [json.dumps(list(holders)), *self._session, self._item],
        )
        found = {row["number"] for row in others}
        self._tx.executemany(
            "INSERT OR IGNORE INTO record_copy VALUES (?, ?)",
            [(self._item, parent) for parent in found],
        )
        return found


def of_others(tx: Transaction, member: str, session: str, numbers: Iterable[int]) -> set[int]:
    """The numbers among these of records in other sessions than this one of `member`.

    A session that has them from this one does not count.
    """
    of_this = (
        "FROM search_item AS s JOIN item AS i ON i.folder = s.folder AND i.item = s.item"
        " WHERE i.member = ? AND i.session = ? AND s.number"
    )
    rows = tx.execute(
        "SELECT DISTINCT r.hash FROM json_each(?) CROSS JOIN record_id AS r ON r.hash = value"  # noqa: S608 ours
        f" WHERE NOT EXISTS (SELECT 1 {of_this} = r.item) AND NOT EXISTS (SELECT 1"
        f" FROM record_copy AS c WHERE c.item = r.item AND EXISTS (SELECT 1 {of_this} = c.parent))",
        [json.dumps(list(numbers)), member, session, member, session],
    )
    return {row["hash"] for row in rows}


def where(tx: Transaction, item: tuple[str, str], begin: str) -> list[tuple[str, int]]:
    """(path, at) of the records of an item, (folder, item), whose ids may begin so, in order.

    An id that is no UUID must be whole, and so must one that is shorter than eight letters.
    """
    first, last = _range(begin.encode())
    rows = tx.execute(
        "SELECT f.path, r.at FROM search_item AS i JOIN record_id AS r ON r.item = i.number"
        " JOIN search_file AS f ON f.item = i.number AND f.number = r.file"
        " WHERE i.folder = ? AND i.item = ? AND r.hash BETWEEN ? AND ? ORDER BY f.number, r.at",
        [*item, first, last],
    )
    return [(row["path"], row["at"]) for row in rows]


@lru_cache(maxsize=4096)  # a block names each of its records twice
def _stored(uuid: bytes) -> int:
    form = _FORM.fullmatch(uuid)
    return _signed(form) if form else _range(uuid)[0]


def _range(begin: bytes) -> tuple[int, int]:
    """The first and the last number under which ids are stored that begin so."""
    first = _FORM.fullmatch(begin + _FIRST[len(begin) :])
    last = _FORM.fullmatch(begin + _LAST[len(begin) :])
    if len(begin) < _LEAST or first is None or last is None:
        number = int.from_bytes(hashlib.blake2b(begin, digest_size=8).digest(), signed=True)
        return number, number
    return _signed(first), _signed(last)


def _signed(uuid: re.Match[bytes]) -> int:
    """The first 16 digits of a UUID as SQLite stores them, a number of 64 bits with a sign."""
    number = int(b"".join(uuid.groups()), 16)
    return number - (1 << 64) if number >> 63 else number
