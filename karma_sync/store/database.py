"""SQLite: one connection per thread, one transaction per use case, migrations as one table."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from karma_sync.errors import DatabaseUnusable
from karma_sync.files import PRIVATE_FILE, private_dir
from karma_sync.runtime.timing import Deadline

Transaction = sqlite3.Connection
_BUSY_SECONDS = 10.0
_BUSY_PAUSE_SECONDS = 0.01
# sqlite.org/rescode.html: what is said of the file, not of the statement
_PRIMARY = 0xFF
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_USELESS = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PERM),
}


class Database:
    """A database file of ours, mode 0600, brought up to date when first opened.

    `migrations` are SQL scripts; the file's `user_version` says how many were applied, and
    each is applied in one transaction with the record of it.
    What was committed survives a crash of ours; if `durable`, a power cut as well, for one more
    wait for the disk (sqlite.org/pragma.html#pragma_synchronous).

    Every method raises DatabaseUnusable where the file, or the disk below it, does not serve.
    """

    def __init__(self, path: Path, migrations: Sequence[str], *, durable: bool = False) -> None:
        self._path = path
        self._synchronous = "FULL" if durable else "NORMAL"
        self._local = threading.local()
        self._open_lock = threading.Lock()
        self._all: list[sqlite3.Connection] = []
        self._after_commit: Callable[[], None] = lambda: None
        private_dir(path.parent)
        path.touch(mode=PRIVATE_FILE)
        try:
            self._migrate(migrations)
        except BaseException:
            self.close()  # nobody else could: there is no object to close
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing: commits at the end of the block, rolls back on any exception."""
        with self._telling():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
        self._after_commit()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have `call` called after each transaction, before `transaction` returns."""
        self._after_commit = call

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent view; nothing can be written through it."""
        with self._telling():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def connect(self) -> None:
        """Open this thread's connection now rather than when it first reads or writes."""
        with self._telling():
            self._connection()

    def data_version(self) -> int:
        """Changes when another connection committed (sqlite.org/pragma.html#pragma_data_version).

        Call it from one thread that never writes through this object.
        """
        with self._telling():
            row = self._connection().execute("PRAGMA data_version").fetchone()
        return int(row[0])

    def checkpoint(self) -> bool:
        """Move all that was committed into the database file and empty the log beside it.

        With `secure_delete` nothing of what was deleted is left on disk then. False if a reader
        held it up: call it again.
        """
        with self._telling():
            row = self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return int(row[0]) == 0

    def close(self) -> None:
        """Close the connections of all threads; the threads must have stopped using them."""
        with self._open_lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            with self._open_lock:
                self._all.append(connection)
            connection.row_factory = sqlite3.Row
            _use_wal(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say in our words what is wrong with the file; what is wrong with our SQL stays a bug."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
            if code in _DAMAGED:
                raise _damaged(self._path, error) from error
            if code in _USELESS:
                raise DatabaseUnusable(
                    f"{self._path} cannot be used: {error}",
                    hint=f"see that there is space at {self._path.parent}, and that it is yours",
                ) from error
            raise

    def _migrate(self, migrations: Sequence[str]) -> None:
        with self._telling():
            version = self._version()
        if version > len(migrations):
            raise DatabaseUnusable(
                f"{self._path} was written by a newer karma-sync (schema {version})",
                hint="upgrade karma-sync on this machine",
            )
        for number in range(version + 1, len(migrations) + 1):
            self._apply(number, migrations[number - 1])

    def _apply(self, number: int, script: str) -> None:
        with self.transaction() as tx:
            # another process may have migrated while this one waited for the lock
            if self._version() >= number:
                return
            for statement in filter(str.strip, script.split(";")):
                tx.execute(statement)
            tx.execute(f"PRAGMA user_version = {number:d}")

    def _version(self) -> int:
        return int(self._connection().execute("PRAGMA user_version").fetchone()[0])


def _damaged(path: Path, error: sqlite3.DatabaseError) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"{path} is damaged: {error}",
        hint=f"karma-sync down; rename {path}; karma-sync up -d. It is made anew from what"
        " else is here (docs/architecture.md, Recovery)",
    )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Set write-ahead logging, which stays with the file.

    SQLite does not wait for a lock here, whatever the timeout: another process may be making
    the same file at this moment.
    """
    deadline = Deadline(_BUSY_SECONDS)
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or deadline.is_over:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return
