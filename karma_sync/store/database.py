"""Opens SQLite databases for the store: one connection per thread, transactions, migrations."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from karma_sync.errors import DatabaseUnusable
from karma_sync.files import PRIVATE_FILE, give_back, private_dir
from karma_sync.runtime.timing import Deadline

Transaction = sqlite3.Connection
_BUSY_SECONDS = 10.0
_BUSY_PAUSE_SECONDS = 0.01
_LOG_PAGES = 1000  # of 4 kB, SQLite's own default
# Result codes that concern the database file rather than the statement (sqlite.org/rescode.html).
_PRIMARY = 0xFF
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PERM),
}


class Database:
    """A database file of karma-sync, mode 0600, migrated when it is opened.

    `migrations` are SQL scripts. The file's `user_version` is the number of scripts that were
    applied; each script and the new number are committed in one transaction.
    Committed changes survive a crash of karma-sync; with `durable` also a power cut, at the price
    of one more wait for the disk (sqlite.org/pragma.html#pragma_synchronous). Changes are moved
    from the log into the file whenever the log has `log_pages` pages.

    Every method raises DatabaseUnusable if the file is damaged or cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        *,
        durable: bool = False,
        log_pages: int = _LOG_PAGES,
    ) -> None:
        self._path = path
        self._synchronous = "FULL" if durable else "NORMAL"
        self._log_pages = log_pages
        self._local = threading.local()
        self._open_lock = threading.Lock()
        self._all: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._after_commit: Callable[[], None] = lambda: None
        private_dir(path.parent)
        path.touch(mode=PRIVATE_FILE)
        try:
            self._migrate(migrations)
        except BaseException:
            self.close()  # the caller gets no object that it could close
            raise

    @property
    def path(self) -> Path:
        """The database's file."""
        return self._path

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction: commits at the end of the block, rolls back on any exception."""
        with self._translated_errors():
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
        """Call `call` after each committed transaction, before `transaction` returns."""
        self._after_commit = call

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent view of the database; changes made through it are rolled back."""
        with self._translated_errors():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def connect(self) -> None:
        """Open this thread's connection now, before the thread first reads or writes."""
        with self._translated_errors():
            self._connection()

    def data_version(self) -> int:
        """A number that changes when another connection commits.

        Call it from one thread that never writes through this object
        (sqlite.org/pragma.html#pragma_data_version).
        """
        with self._translated_errors():
            row = self._connection().execute("PRAGMA data_version").fetchone()
        return int(row[0])

    def checkpoint(self) -> bool:
        """Move committed changes into the database file and empty the write-ahead log.

        After that no deleted content is left on disk, because `secure_delete` overwrites it. False
        if a reader prevented it; then call it again.
        """
        with self._translated_errors():
            row = self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return int(row[0]) == 0

    def close(self) -> None:
        """Close the connections of all threads; the threads must have stopped using them.

        One whose thread is still in the middle of a transaction is left to it: closing it there
        would end the process with a segmentation fault.
        """
        with self._open_lock:
            for thread, connection in self._all:
                is_other = thread.is_alive() and thread is not threading.current_thread()
                if not (is_other and connection.in_transaction):
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
                self._all.append((threading.current_thread(), connection))
            connection.row_factory = sqlite3.Row
            _use_wal(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {self._log_pages:d}")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise DatabaseUnusable for errors of the file; errors in our SQL stay what they are."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
            if code in _DAMAGED:
                raise _damaged(self._path, error) from error
            if code in _UNUSABLE:
                raise DatabaseUnusable(
                    f"{self._path} cannot be used: {error}",
                    hint=give_back(self._path)
                    or give_back(self._path.parent)
                    or f"check that {self._path.parent} has free space",
                ) from error
            raise

    def _migrate(self, migrations: Sequence[str]) -> None:
        with self._translated_errors():
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


def rebuild_hint(path: Path) -> str:
    """The steps by which a person recovers from a damaged database of ours."""
    return (
        f"karma-sync down; rename {path}; karma-sync up -d. karma-sync rebuilds the database"
        " from its other files (docs/architecture.md, Recovery)"
    )


def _damaged(path: Path, error: sqlite3.DatabaseError) -> DatabaseUnusable:
    return DatabaseUnusable(f"{path} is damaged: {error}", hint=rebuild_hint(path))


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging; the setting is stored in the file.

    Retries, because SQLite ignores the timeout for this statement, and another process may be
    creating the same file.
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
