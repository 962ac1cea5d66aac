"""Keeps the full-text index of a library: FTS5 tables, and where in the files each passage lies.

Each channel has a table of its own, so that the text of one can be forgotten without the others.
The tables hold no text, only which words stand where: the text lies compressed in the verified
chunks. To take a passage out, its text must be given again, exactly as it was put in; if that can
no longer be read, the channel's table is dropped and made again (docs/adr/0032-search-index.md).

The caller holds the transaction. Queries are in `store/search.py`.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from karma_sync.domain.session.activity import Activity
from karma_sync.domain.session.bigrams import bigrams
from karma_sync.domain.session.passage import Extractor, Passage, Texts
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.store import activity, record_ids
from karma_sync.store.database import Transaction

COLUMNS = (*Texts._fields, "runs")

TABLES = """
    CREATE TABLE search_channel (
        number INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE, version TEXT NOT NULL,
        has_rests INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE search_item (
        number INTEGER PRIMARY KEY, folder TEXT NOT NULL, item TEXT NOT NULL,
        revision INTEGER NOT NULL, title TEXT NOT NULL, UNIQUE (folder, item));
    CREATE TABLE search_file (
        item INTEGER, path TEXT, number INTEGER NOT NULL, chunks INTEGER NOT NULL,
        size INTEGER NOT NULL, fingerprint TEXT NOT NULL, PRIMARY KEY (item, path)) WITHOUT ROWID;
    CREATE TABLE passage (
        id INTEGER PRIMARY KEY, item INTEGER NOT NULL, file INTEGER NOT NULL, at INTEGER NOT NULL,
        size INTEGER NOT NULL, time INTEGER NOT NULL);
    CREATE INDEX passage_by_item ON passage (item, file, at)
    """
_HASH_BYTES = 4 << 20  # of words are gathered before FTS5 writes them as a segment
_PIECE_BYTES = 1_000_000  # of a file's content, about; each piece costs a dozen statements
TITLE = 0  # the number of no file: the passage is the session's title


@dataclass(frozen=True)
class IndexedItem:
    """An item of which the index has passages; `channel` is the number of its FTS5 table."""

    channel: int
    number: int
    revision: int
    title: str


@dataclass(frozen=True)
class IndexedFile:
    """The indexed part of an item's file: `size` bytes of whole lines.

    `chunks` full chunks lie entirely before that; `fingerprint` is of them and of the bytes between
    them and `size`.
    """

    path: str
    number: int
    chunks: int = 0
    size: int = 0
    fingerprint: str = ""


def open_channel(tx: Transaction, folder: str, version: str) -> int:
    """The number of a channel's table; makes the table if there is none."""
    row = tx.execute("SELECT number FROM search_channel WHERE folder = ?", [folder]).fetchone()
    if row:
        return int(row["number"])
    tx.execute("INSERT INTO search_channel (folder, version) VALUES (?, ?)", [folder, version])
    number = int(tx.execute("SELECT last_insert_rowid() AS n").fetchone()["n"])
    tx.execute(
        f"CREATE VIRTUAL TABLE search_{number:d} USING fts5 ({', '.join(COLUMNS)}, content='',"
        " tokenize = 'unicode61 remove_diacritics 2')"
    )
    # each merge writes its segments again: with these, half as much is written while importing
    for name, value in (("automerge", 16), ("crisismerge", 32), ("hashsize", _HASH_BYTES)):
        tx.execute(
            f"INSERT INTO search_{number:d} (search_{number:d}, rank) VALUES (?, ?)",  # noqa: S608
            [name, value],
        )
    return number


def drop_channel(tx: Transaction, folder: str) -> None:
    """Forget everything about a channel."""
    row = tx.execute("SELECT number FROM search_channel WHERE folder = ?", [folder]).fetchone()
    if row is None:
        return
    tx.execute(f"DROP TABLE search_{row['number']:d}")
    tx.execute("DELETE FROM search_channel WHERE folder = ?", [folder])
    items = tx.execute("SELECT number FROM search_item WHERE folder = ?", [folder]).fetchall()
    gone = [row["number"] for row in items]
    activity.drop_items(tx, gone)
    record_ids.drop_items(tx, gone)
    numbers = "(SELECT number FROM search_item WHERE folder = ?)"
    tx.execute(f"DELETE FROM passage WHERE item IN {numbers}", [folder])  # noqa: S608 ours
    tx.execute(f"DELETE FROM search_file WHERE item IN {numbers}", [folder])  # noqa: S608 ours
    tx.execute("DELETE FROM search_item WHERE folder = ?", [folder])


def outdated_channels(tx: Transaction, version: str) -> list[str]:
    """The channels that were indexed by other rules than these."""
    rows = tx.execute("SELECT folder FROM search_channel WHERE version <> ?", [version])
    return [row["folder"] for row in rows]


def get_item(tx: Transaction, folder: str, item: str) -> IndexedItem | None:
    """The index's entry for an item; None if nothing of it is indexed."""
    row = tx.execute(
        "SELECT c.number AS channel, i.number, i.revision, i.title FROM search_item AS i"
        " JOIN search_channel AS c ON c.folder = i.folder WHERE i.folder = ? AND i.item = ?",
        [folder, item],
    ).fetchone()
    return IndexedItem(**dict(row)) if row else None


def add_item(tx: Transaction, channel: int, folder: str, item: str) -> IndexedItem:
    """Begin to index an item."""
    tx.execute(
        "INSERT INTO search_item (folder, item, revision, title) VALUES (?, ?, 0, '')",
        [folder, item],
    )
    number = int(tx.execute("SELECT last_insert_rowid() AS n").fetchone()["n"])
    return IndexedItem(channel, number, 0, "")


@contextmanager
def all_or_nothing(tx: Transaction) -> Iterator[None]:
    """Undo what the block did to the database if it raises, and only that."""
    tx.execute("SAVEPOINT block")
    try:
        yield
    except BaseException:
        tx.execute("ROLLBACK TO block")
        raise
    finally:
        tx.execute("RELEASE block")


def skip_item(tx: Transaction, folder: str, item: str, revision: int, version: str) -> None:
    """Record that this revision of an item cannot be read, so that it is not tried again."""
    known = get_item(tx, folder, item)
    known = known or add_item(tx, open_channel(tx, folder, version), folder, item)
    tx.execute("UPDATE search_item SET revision = ? WHERE number = ?", [revision, known.number])


def put_item(tx: Transaction, item: IndexedItem, revision: int, title: str, time: int) -> None:
    """Record the revision of an item, and its title with the session's last activity as time."""
    rows = tx.execute(
        "SELECT id FROM passage WHERE item = ? AND file = ?", [item.number, TITLE]
    ).fetchall()
    if rows and item.title == title:
        tx.execute("UPDATE passage SET time = ? WHERE id = ?", [time, rows[0]["id"]])
    else:
        if rows:
            remove(tx, item, [(rows[0]["id"], Texts(title=item.title))])
        if title:
            add(tx, item, TITLE, [Passage(0, 0, time, Texts(title=title))])
    tx.execute(
        "UPDATE search_item SET revision = ?, title = ? WHERE number = ?",
        [revision, title, item.number],
    )


def drop_item(tx: Transaction, item: IndexedItem) -> None:
    """Forget an item of which all passages were removed."""
    activity.drop_items(tx, [item.number])
    record_ids.drop_items(tx, [item.number])
    tx.execute("DELETE FROM search_file WHERE item = ?", [item.number])
    tx.execute("DELETE FROM search_item WHERE number = ?", [item.number])


def files(tx: Transaction, item: IndexedItem) -> dict[str, IndexedFile]:
    """The indexed part of each file of an item, by path."""
    rows = tx.execute(
        "SELECT path, number, chunks, size, fingerprint FROM search_file WHERE item = ?",
        [item.number],
    )
    return {row["path"]: IndexedFile(**dict(row)) for row in rows}


def put_file(tx: Transaction, item: IndexedItem, file: IndexedFile) -> None:
    """Record how far a file is indexed."""
    tx.execute(
        "INSERT OR REPLACE INTO search_file (item, path, number, chunks, size, fingerprint)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [item.number, file.path, file.number, file.chunks, file.size, file.fingerprint],
    )


def drop_file(tx: Transaction, item: IndexedItem, path: str) -> None:
    """Forget a file of which all passages were removed."""
    row = tx.execute(
        "SELECT number FROM search_file WHERE item = ? AND path = ?", [item.number, path]
    ).fetchone()
    if row:
        activity.drop_file(tx, item.number, row["number"])
        record_ids.drop_file(tx, item.number, row["number"])
    tx.execute("DELETE FROM search_file WHERE item = ? AND path = ?", [item.number, path])


def add(tx: Transaction, item: IndexedItem, file: int, passages: Sequence[Passage]) -> None:
    """Index passages of one file of an item."""
    _add(tx, item, file, [_row(passage) for passage in passages])


def _row(passage: Passage) -> "Row":
    at, size, time, texts, _ = passage
    return (at, size, time), (*texts, bigrams(texts))


def _add(tx: Transaction, item: IndexedItem, file: int, rows: Iterable["Row"]) -> None:
    row = tx.execute("SELECT coalesce(max(id), 0) + 1 AS first FROM passage").fetchone()
    numbered = list(enumerate(rows, int(row["first"])))
    tx.executemany(
        "INSERT INTO passage VALUES (?, ?, ?, ?, ?, ?)",
        [(number, item.number, file, *place) for number, (place, _) in numbered],
    )
    tx.executemany(
        f"INSERT INTO search_{item.channel:d} (rowid, {_NAMES}) VALUES (?, {_MARKS})",  # noqa: S608
        [(number, *words) for number, (_, words) in numbered],
    )


def passage_ids(
    tx: Transaction, item: IndexedItem, file: int, at: Iterable[int] | None = None
) -> dict[int, int]:
    """The ids of a file's passages, by where they begin in it; with `at`, of those alone."""
    query = "SELECT id, at FROM passage WHERE item = ? AND file = ?"
    if at is None:
        rows = tx.execute(query, [item.number, file])
    else:
        these = f"{query} AND at IN (SELECT value FROM json_each(?))"  # noqa: S608 ours
        rows = tx.execute(these, [item.number, file, json.dumps(list(at))])
    return {row["at"]: row["id"] for row in rows}


def remove(tx: Transaction, item: IndexedItem, passages: Iterable[tuple[int, Texts]]) -> None:
    """Take passages out: (id, texts), the texts as they were when the passage was added.

    The words stay in the file until `remove_rests`.
    """
    gone: list[tuple[int]] = []

    def rows() -> Iterable[tuple[object, ...]]:
        for number, texts in passages:
            gone.append((number,))
            yield ("delete", number, *texts, bigrams(texts))

    table = f"search_{item.channel:d}"
    tx.executemany(
        f"INSERT INTO {table} ({table}, rowid, {_NAMES}) VALUES (?, ?, {_MARKS})",  # noqa: S608
        rows(),
    )
    tx.executemany("DELETE FROM passage WHERE id = ?", gone)


class TextIsLost(Exception):
    """The text of passages that are to be taken out cannot be read any more."""


Copied = Callable[[Collection[int]], Collection[int]]
"""Returns those numbers among some that are of records that another session had first."""

Row = tuple[tuple[int, int, int], tuple[str, ...]]
"""A passage as it is stored: where its line begins, its size, its time; its texts with bigrams."""


class Extracted(NamedTuple):
    """The indexed content of some whole lines, and the number of their bytes.

    `records` are what `record_ids.numbers` found, `rows` the passages that say something. Of every
    passage, `activities` has the number of its record, its time, and its facts.
    """

    size: int
    records: list[tuple[int, int]]
    rows: list[Row]
    activities: list[tuple[int | None, int, Activity]]


def extracted(extractor: Extractor, blocks: Iterable[bytes], at: int) -> Iterator[Extracted]:
    """Yield the indexed content of blocks of whole lines, from byte `at` of their file on.

    A last line without a line end counts only if it is a whole record.
    """
    found = Extracted(0, [], [], [])
    for block in blocks:
        whole = block
        if not block.endswith(b"\n"):
            line = block.rfind(b"\n") + 1
            if extractor.read(block[line:]) is None:  # half a record: the rest may follow
                whole = block[:line]
        found.records.extend(record_ids.numbers(block, at))
        for passage in extractor.passages(whole, at):
            if any(passage.texts):
                found.rows.append(_row(passage))
            did = passage.activity
            found.activities.append((record_ids.number_of(did.message), passage.time, did))
        found = found._replace(size=found.size + len(whole))
        at += len(block)
        if found.size >= _PIECE_BYTES:
            yield found
            found = Extracted(0, [], [], [])
    yield found


def add_lines(
    tx: Transaction,
    item: IndexedItem,
    was: IndexedFile,
    pieces: Iterable[Extracted],
    copied: Copied,
) -> int:
    """Index what was extracted from the lines that follow; the file's indexed size then.

    The texts of a copied record can be found; what it did counts for the session that had it first.
    """
    at = was.size
    is_main = was.path.partition("@")[0] == TRANSCRIPT  # in the archive, a version follows
    for size, records, rows, activities in pieces:
        record_ids.put(tx, item.number, was.number, records)
        _add(tx, item, was.number, rows)
        if activities:
            copies = copied({number for number, _, _ in activities if number is not None})
            new = [(time, did) for number, time, did in activities if number not in copies]
            activity.add(tx, item.number, was.number, is_main, new)
        at += size
    return at


def remove_file(
    tx: Transaction,
    item: IndexedItem,
    file: IndexedFile,
    texts: Callable[[dict[int, int]], Iterable[tuple[int, Texts]]],
) -> None:
    """Take all passages of one file out; `texts` takes out of the ids those that it finds.

    Raises:
        TextIsLost: the text of one was not found.
    """
    ids = passage_ids(tx, item, file.number)
    if ids:
        remove(tx, item, texts(ids))
    if ids:
        raise TextIsLost


def leave_rests(tx: Transaction, item: IndexedItem) -> None:
    """Record that words of removed passages must not stay in the database's file."""
    tx.execute("UPDATE search_channel SET has_rests = 1 WHERE number = ?", [item.channel])


def has_rests(tx: Transaction) -> bool:
    """Whether words of removed passages are in the database's file."""
    row = tx.execute("SELECT 1 FROM search_channel WHERE has_rests LIMIT 1").fetchone()
    return row is not None


def remove_rests(tx: Transaction) -> None:
    """Write the tables anew from which passages were removed, without their words."""
    rows = tx.execute("SELECT number FROM search_channel WHERE has_rests").fetchall()
    for row in rows:
        table = f"search_{row['number']:d}"
        tx.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608 ours
    tx.execute("UPDATE search_channel SET has_rests = 0 WHERE has_rests")


_NAMES = ", ".join(COLUMNS)
_MARKS = ", ".join("?" for _ in COLUMNS)
