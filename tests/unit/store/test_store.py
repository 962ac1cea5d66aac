"""Databases: transactions, consistent views, private files, and migrations that run once."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.events import Event, EventFilter, EventType, Topic
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.errors import DatabaseUnusable, KarmaError
from karma_sync.store import events, state, work
from karma_sync.store.database import Database
from tests.support.builders import (
    ALICE,
    BOB,
    PROJECT,
    answer,
    examples,
    open_umask,
    scratch,
    team_of_all,
)

MIGRATIONS = ["CREATE TABLE word (word TEXT PRIMARY KEY)", "ALTER TABLE word ADD COLUMN n INTEGER"]
TEAM = team_of_all(ALICE, BOB)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "d" / "words.db", MIGRATIONS)
    yield opened
    opened.close()


def put(database: Database, *words: str) -> None:
    with database.transaction() as tx:
        tx.executemany("INSERT INTO word (word) VALUES (?)", [(w,) for w in words])


def words(database: Database) -> list[str]:
    with database.reading() as tx:
        return [row["word"] for row in tx.execute("SELECT word FROM word ORDER BY word")]


class Interrupted(BaseException):
    """An interruption that is not an Exception, such as a signal raises."""


@pytest.mark.parametrize("error", [ValueError, Interrupted, sqlite3.IntegrityError])
def test_a_transaction_that_fails_leaves_nothing_behind(
    database: Database, error: type[BaseException]
) -> None:
    put(database, "kept")

    with pytest.raises(error), database.transaction() as tx:
        tx.execute("INSERT INTO word (word) VALUES ('lost')")
        raise error

    assert words(database) == ["kept"]
    put(database, "after")
    assert words(database) == ["after", "kept"]


def test_a_transaction_in_which_sqlite_refuses_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        put(database, "one", "two", "one")

    assert words(database) == []


def test_a_commit_that_fails_leaves_the_database_usable(tmp_path: Path) -> None:
    tables = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a"
    database = Database(tmp_path / "x.db", [f"{tables} DEFERRABLE INITIALLY DEFERRED)"])

    with pytest.raises(sqlite3.IntegrityError), database.transaction() as tx:
        tx.execute("INSERT INTO b VALUES (7)")  # found out at COMMIT, as a full disk is
    with database.transaction() as tx:
        tx.execute("INSERT INTO a VALUES (7)")

    database.close()


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    put(database, "before")
    with ThreadPoolExecutor(1) as other, database.reading() as tx:
        first = tx.execute("SELECT count(*) FROM word").fetchone()[0]
        other.submit(put, database, "meanwhile").result(timeout=30)
        second = tx.execute("SELECT count(*) FROM word").fetchone()[0]

    assert (first, second) == (1, 1)
    assert words(database) == ["before", "meanwhile"]


def test_changes_through_a_read_view_are_rolled_back(database: Database) -> None:
    with database.reading() as tx:
        tx.execute("INSERT INTO word (word) VALUES ('lost')")

    assert words(database) == []


def test_many_threads_write_without_losing_data(database: Database) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: put(database, f"{n:02}"), range(40)))

    assert words(database) == [f"{n:02}" for n in range(40)]


def test_data_version_changes_when_another_connection_writes(tmp_path: Path) -> None:
    mine, other = (Database(tmp_path / "x.db", MIGRATIONS) for _ in range(2))
    before = mine.data_version()

    assert mine.data_version() == before
    words(other)
    assert mine.data_version() == before
    put(other, "news")
    after = mine.data_version()
    assert after != before
    assert mine.data_version() == after
    mine.close()
    other.close()


def test_signed_documents_survive_a_power_cut(tmp_path: Path) -> None:
    signed, done = state.open_state(tmp_path / "state.db"), work.open_work(tmp_path / "work.db")

    for database, level in ((signed, 2), (done, 1)):  # FULL, NORMAL
        with database.reading() as tx:
            assert tx.execute("PRAGMA synchronous").fetchone()[0] == level
        database.close()


def test_every_file_of_a_database_is_private(tmp_path: Path) -> None:
    with open_umask():
        database = Database(tmp_path / "d" / "words.db", MIGRATIONS)
        put(database, "word")

    files = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "d").iterdir()}
    assert files == {name: 0o600 for name in ("words.db", "words.db-wal", "words.db-shm")}
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
    database.close()


def test_deleted_content_is_not_in_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", MIGRATIONS)
    put(database, "secretword")
    with database.transaction() as tx:
        tx.execute("DELETE FROM word")
    database.close()  # the last one to close checkpoints the log

    assert b"secretword" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_a_migrated_database_keeps_its_content(tmp_path: Path) -> None:
    old = Database(tmp_path / "x.db", MIGRATIONS[:1])
    put(old, "old")
    old.close()

    new = Database(tmp_path / "x.db", MIGRATIONS)
    with new.reading() as tx:
        assert [tuple(row) for row in tx.execute("SELECT word, n FROM word")] == [("old", None)]
    new.close()


def test_a_failed_migration_is_rolled_back(tmp_path: Path) -> None:
    broken = "CREATE TABLE half (x); CREATE TABLE half (x)"
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        Database(tmp_path / "x.db", [MIGRATIONS[0], broken])

    mended = Database(tmp_path / "x.db", [MIGRATIONS[0], "CREATE TABLE half (x)"])
    put(mended, "word")
    assert words(mended) == ["word"]
    mended.close()


def test_a_newer_schema_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    Database(tmp_path / "x.db", [*MIGRATIONS, "CREATE TABLE newer (x)"]).close()

    with pytest.raises(KarmaError, match=r"x\.db was written by a newer karma-sync") as refused:
        Database(tmp_path / "x.db", MIGRATIONS)

    assert refused.value.hint == "upgrade karma-sync on this machine"
    assert not open_files(tmp_path)
    Database(tmp_path / "x.db", [*MIGRATIONS, "CREATE TABLE newer (x)"]).close()


@pytest.mark.parametrize("content", [b"no database at all " * 300, b"SQLite format 3\0" * 300])
def test_a_file_that_is_not_a_database_is_refused_and_left_unchanged(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)

    with pytest.raises(DatabaseUnusable, match=r"x\.db is damaged: ") as refused:
        Database(path, MIGRATIONS)

    assert f"rename {path}" in refused.value.hint
    assert not open_files(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.db": content}


def test_a_full_database_is_an_error_and_keeps_its_content(database: Database) -> None:
    put(database, "kept")
    with pytest.raises(DatabaseUnusable, match="full"), database.transaction() as tx:
        pages = tx.execute("PRAGMA page_count").fetchone()[0]
        tx.execute(f"PRAGMA max_page_count = {pages:d}")
        tx.executemany("INSERT INTO word (word) VALUES (?)", [(f"{n:09}",) for n in range(9999)])

    assert words(database) == ["kept"]


def open_files(folder: Path) -> list[str]:
    """The files that this process has open below a folder."""
    return [f.path for f in psutil.Process().open_files() if f.path.startswith(str(folder))]


OPEN_ALL = """
import sys
from pathlib import Path
from typing import Any
from karma_sync.store import library, state, work
home = Path(sys.argv[1])
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for opened in (state.open_state(home / "state.db"), work.open_work(home / "work.db"),
               library.open_library(home / "library.db")):
    with opened.transaction() as tx:
        tx.execute("SELECT 1")
    opened.close()
"""


def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_ALL, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == b"ready\n"
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda each: each.communicate(b"go\n", timeout=60)[1], started))

    assert [(each.returncode, text) for each, text in zip(started, said, strict=True)] == (
        [(0, b"")] * 4
    )


def test_opening_waits_for_another_process_that_creates_the_database(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # as any other process does that makes it at this moment
    with ThreadPoolExecutor(1) as thread:
        opening = thread.submit(Database, tmp_path / "x.db", MIGRATIONS)
        try:
            with pytest.raises(TimeoutError):
                opening.result(timeout=0.3)
        finally:
            other.close()
        opened = opening.result(timeout=30)
    opened.close()


SUBSCRIPTIONS = [answer(TEAM, tag, status) for tag in (ALICE, BOB) for status in Status]


@examples(40)
@given(st.lists(st.sampled_from(SUBSCRIPTIONS), max_size=12))
def test_a_table_holds_the_last_value_of_each_key(values: list[Subscription]) -> None:
    with scratch() as home:
        database = state.open_state(home / "state.db")
        for value in values:
            with database.transaction() as tx:
                state.subscriptions.put(tx, value)
        with database.reading() as tx:
            found = state.subscriptions.all(tx, team=TEAM.id)
            one = [state.subscriptions.get(tx, TEAM.id, PROJECT, s.member) for s in found]
        database.close()

    assert found == sorted({v.member: v for v in values}.values(), key=lambda s: s.member)
    assert one == found


def test_writing_an_equal_value_does_not_change_data_version(tmp_path: Path) -> None:
    mine, watcher = (state.open_state(tmp_path / "state.db") for _ in range(2))
    before = watcher.data_version()
    versions = []
    for status in (Status.OFFERED, Status.OFFERED, Status.ACCEPTED):
        with mine.transaction() as tx:
            state.subscriptions.put(tx, answer(TEAM, ALICE, status))
        versions.append(watcher.data_version())
    mine.close()
    watcher.close()

    assert before != versions[0] == versions[1] != versions[2]


def test_only_the_named_rows_are_dropped(tmp_path: Path) -> None:
    database = state.open_state(tmp_path / "state.db")
    mine, bobs = answer(TEAM, ALICE), answer(TEAM, BOB)
    with database.transaction() as tx:
        state.subscriptions.put(tx, mine, bobs)
        state.subscriptions.drop(tx, team=TEAM.id, member=mine.member)
        assert state.subscriptions.all(tx) == [bobs]
    database.close()


def test_a_repeated_event_is_stored_once(tmp_path: Path) -> None:
    database = work.open_work(tmp_path / "work.db")
    at = datetime(2026, 5, 31, tzinfo=UTC)
    again = [("fault", "a", "x"), ("fault", "b", "x"), ("fault", "a", "y")] * 2
    happened = [
        *again,
        (EventType.FAULT_OVER, "a", "well"),
        ("fault", "a", "x"),
        ("fault", "b", "x"),
    ]
    with database.transaction() as tx:
        for what, who, why in happened:
            events.add_once(tx, Event(0, at, EventType(what), who, why))
        told = events.after(tx, 0)
        newer = events.after(tx, told[1].id)
    database.close()

    assert [(e.type, e.subject, e.payload) for e in told] == [*again[:3], *happened[6:8]]
    assert newer == told[2:]
    assert told[0].at == at


def test_events_are_found_by_what_they_are_about(tmp_path: Path) -> None:
    database = work.open_work(tmp_path / "work.db")
    at = datetime(2026, 5, 31, tzinfo=UTC)
    joined, refused = EventType.MEMBER_JOINED, EventType.ITEM_REFUSED
    told = [
        Event(0, at, joined, "bob.box", "", about=Topic("backend", "", "bob.box")),
        Event(0, at, refused, "bob.box", "x", True, Topic("backend", "h/acme/repo", "bob.box")),
        Event(0, at + timedelta(1), refused, "eve.pc", "x", True, Topic("home", "h/acme/repo")),
        Event(0, at + timedelta(1), EventType.FAULT, "Syncthing", "it ended", True),
    ]

    def found(**wanted: Any) -> list[int]:
        return [event.id for event in events.after(tx, 0, EventFilter(**wanted))]

    with database.transaction() as tx:
        for event in told:
            events.add(tx, event)
        assert found() == [1, 2, 3, 4]
        assert found(types=(refused, joined)) == [1, 2, 3]
        assert found(team="backend") == found(member="bob") == found(member="bob.box") == [1, 2]
        assert found(member="bo") == found(project="epo") == found(team="back") == []
        assert found(project="repo") == found(project="acme/repo") == [2, 3]
        assert found(since=at + timedelta(hours=1)) == [3, 4]
        assert found(types=(refused,), team="home", project="repo", member="eve") == [3]
        plan = tx.execute("EXPLAIN QUERY PLAN SELECT * FROM event WHERE team = 'x'").fetchone()
        assert "event_by_team" in plan["detail"]
    database.close()


def test_a_chunk_is_dropped_when_no_item_names_it_and_kept_when_one_names_it_again(
    tmp_path: Path,
) -> None:
    database = work.open_work(tmp_path / "work.db")

    def name(item: str, before: str, after: str, now_ms: int) -> list[tuple[str, str]]:
        with database.transaction() as tx:
            change = work.Named("f", item, frozenset(after), frozenset(before))
            work.put_chunks(tx, change, now_ms)
            return sorted(work.chunks_dropped_before(tx, now_ms + 1))

    assert name("one", "", "ab", 1000) == []
    assert name("two", "", "bc", 1001) == []
    assert name("one", "ab", "", 1002) == [("f", "a")]
    assert name("two", "bc", "ac", 1003) == [("f", "b")]
    database.close()


# In a process of its own, because what this is about ended the process.
_CLOSED_WHILE_BUSY = """
import sys, threading
from pathlib import Path
from karma_sync.store.database import Database

sys.setswitchinterval(1e-6)
store = Database(Path(sys.argv[1]), ["CREATE TABLE kept (value INTEGER)"])
begun, closed = threading.Event(), threading.Event()

def rows():
    while not closed.is_set():
        begun.set()
        yield (1,)

def work():
    with store.transaction() as tx:
        tx.executemany("INSERT INTO kept VALUES (?)", rows())

thread = threading.Thread(target=work)
thread.start()
begun.wait()
store.close()
closed.set()
thread.join()
again = Database(Path(sys.argv[1]), ["CREATE TABLE kept (value INTEGER)"])
with again.reading() as tx:
    print(tx.execute("SELECT count(*) > 0 FROM kept").fetchone()[0])
again.close()
"""


def test_a_transaction_in_which_its_database_is_closed_comes_to_its_end(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _CLOSED_WHILE_BUSY, str(tmp_path / "a.db")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
