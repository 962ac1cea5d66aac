"""Reads an existing database, for processes that must not create, migrate or change one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from karma_sync.errors import DatabaseUnusable
from karma_sync.store.database import Transaction, rebuild_hint

_BUSY_SECONDS = 0.5


class _Connection(sqlite3.Connection):
    """A connection whose rows have column names."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.row_factory = sqlite3.Row


@contextmanager
def reading_only(path: Path) -> Iterator[Transaction]:
    """One consistent view of a database as it is, without migrating it.

    Raises:
        DatabaseUnusable: the file does not exist, is damaged, or has tables of another version.
    """
    try:
        # SQLite makes two files beside a database that has no write-ahead log, unless it is told
        # that nobody writes
        is_closed = not path.with_name(f"{path.name}-wal").exists()
        uri = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if is_closed else ''}"
        opened = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, factory=_Connection)
        with closing(opened) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"{path} cannot be read: {error}") from error


@contextmanager
def reading_own(path: Path) -> Iterator[Transaction]:
    """One consistent view of a database of karma-sync as it is.

    Raises:
        DatabaseUnusable: as `reading_only`; if the file is damaged, the hint tells how to have it
            made again.
    """
    try:
        with reading_only(path) as tx:
            yield tx
    except DatabaseUnusable as error:
        if error.hint or isinstance(error.__cause__, sqlite3.OperationalError):
            raise  # the error of another database, or one that may be over the next time
        raise DatabaseUnusable(str(error), hint=rebuild_hint(path)) from error
