"""A second process reads what is indexed; whatever happens to it, the index is the same."""

import fcntl
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.channel.layout import chunk_name, kept_item
from karma_sync.receiving import index_ahead
from karma_sync.receiving.index_ahead import AheadEnded, IndexAhead
from karma_sync.receiving.indexer import Indexer
from karma_sync.store import library
from karma_sync.store.search_index import Extracted
from tests.support.builders import Desk, Shelf, Swapping, said
from tests.support.harness import until
from tests.unit.receiving.test_importer import CHANNEL, lines

SESSIONS = [f"s{number}" for number in range(1, 8)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """One session a batch: the first process indexes one, and the second one reads the others."""
    monkeypatch.setattr("karma_sync.receiving.indexer._BATCH_BYTES", 1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Sessions with a full chunk, a subagent and a torn last line."""
    desk = Desk(tmp_path_factory.mktemp("alice"), CHANNEL, Swapping({}))
    for name in SESSIONS:
        text = said(f"begin {name}") + lines(f"common 検索 {name}") + said(f"the end of {name}")
        desk.write(text, f"{name}.jsonl")
        desk.write(said(f"delegated by {name}"), f"{name}/subagents/agent-1.jsonl")
        desk.package(name)
    return desk


@pytest.fixture
def shelf(tmp_path: Path, desk: Desk) -> Shelf:
    """A library that has everything, of which nothing is indexed."""
    shelf = Shelf(tmp_path / "bob")
    for name in SESSIONS:
        shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item(name))
    return shelf


@pytest.fixture
def indexer(shelf: Shelf) -> Iterator[Indexer]:
    indexer = Indexer(shelf.root, EXTRACTORS, much=0)
    yield indexer
    indexer.close()


def other_processes() -> list[psutil.Process]:
    """The processes that read ahead for this process."""
    return [p for p in psutil.Process().children() if index_ahead.__name__ in p.cmdline()]


def completed(shelf: Shelf, indexer: Indexer, between: Callable[[], object] = lambda: None) -> None:
    while indexer.complete(shelf.store):
        between()


def index(shelf: Shelf) -> dict[str, list[tuple[object, ...]]]:
    """Everything that the index has stored but the words."""
    tables = ("passage", "record_id", "record_copy", "search_file", "activity_usage")
    with shelf.store.reading() as tx:
        return {
            name: [tuple(row) for row in tx.execute(f"SELECT * FROM {name}")]  # noqa: S608 ours
            for name in tables
        }


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose content came from the second process."""
    found: list[str] = []
    pieces = IndexAhead.pieces

    def counted(self: IndexAhead, path: str) -> Iterator[Extracted]:
        yield from pieces(self, path)
        found.append(path)

    monkeypatch.setattr(IndexAhead, "pieces", counted)
    return found


def test_the_index_is_the_same(
    shelf: Shelf, indexer: Indexer, desk: Desk, tmp_path: Path, taken: list[str]
) -> None:
    alone = Shelf(tmp_path / "carol")
    for name in SESSIONS:
        alone.importer.import_item(CHANNEL, desk.outbox.path, desk.item(name))

    completed(alone, alone.indexer)

    completed(shelf, indexer)

    assert index(shelf) == index(alone)
    for word in ("begin", "delegated", "検索", "end"):
        assert shelf.finds(word) == alone.finds(word) != []
    assert len(taken) == 2 * (len(SESSIONS) - 1)
    assert other_processes() == []


def test_the_index_is_the_same_however_much_of_a_file_is_stored_at_a_time(
    shelf: Shelf, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_chunk = Shelf(tmp_path / "carol")
    for name in SESSIONS:
        by_chunk.importer.import_item(CHANNEL, desk.outbox.path, desk.item(name))
    completed(shelf, shelf.indexer)
    monkeypatch.setattr("karma_sync.store.search_index._PIECE_BYTES", 1)

    completed(by_chunk, by_chunk.indexer)

    assert index(by_chunk) == index(shelf)
    assert by_chunk.finds("end") == shelf.finds("end") != []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a pipe has the size it has")
def test_the_second_process_goes_on_while_nobody_reads(shelf: Shelf, desk: Desk) -> None:
    reader = IndexAhead(shelf.root, shelf.store.path)
    try:
        reader.request((CHANNEL.id, desk.item(name)) for name in SESSIONS)

        until(lambda: _waiting_bytes(reader) > 65_536, "more than a usual pipe takes")
    finally:
        reader.close()


def _waiting_bytes(reader: IndexAhead) -> int:
    found = fcntl.ioctl(reader._process.answers, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(found, sys.byteorder)


def test_few_bytes_start_no_process(shelf: Shelf) -> None:
    few = Indexer(shelf.root, EXTRACTORS)
    few.complete(shelf.store)

    assert other_processes() == []


def test_a_process_that_is_killed_leaves_the_rest_to_the_first_one(
    shelf: Shelf, indexer: Indexer
) -> None:
    def kill() -> None:
        for process in other_processes():
            process.kill()

    completed(shelf, indexer, kill)

    assert sorted(shelf.finds("begin")) == SESSIONS
    assert other_processes() == []


@pytest.mark.parametrize("part", ["chunk", "end"])
def test_a_damaged_session_is_left_out_alone(
    shelf: Shelf, indexer: Indexer, desk: Desk, part: str
) -> None:
    manifest = desk.manifest("s3")
    sha = next(iter(manifest.chunks()))
    place = kept_item(shelf.root, CHANNEL.id, manifest.item, manifest.revision)
    (shelf.root / chunk_name(sha) if part == "chunk" else place).unlink()

    completed(shelf, indexer)

    assert sorted(shelf.finds("begin")) == [name for name in SESSIONS if name != "s3"]


def test_what_is_gone_meanwhile_is_not_indexed(shelf: Shelf, indexer: Indexer, desk: Desk) -> None:
    assert indexer.complete(shelf.store)
    with shelf.store.reading() as tx:
        missing = library.unindexed(tx)
    gone = missing[-1][1]
    with shelf.store.transaction() as tx:
        library.drop_item(tx, CHANNEL.id, gone, desk.manifest("s1").revision)

    completed(shelf, indexer)

    [name] = [name for name in SESSIONS if desk.item(name) == gone]
    assert sorted(shelf.finds("begin")) == [each for each in SESSIONS if each != name]


def test_a_request_to_a_dead_process_says_so(shelf: Shelf) -> None:
    reader = IndexAhead(shelf.root, shelf.store.path)
    [process] = other_processes()
    process.kill()
    process.wait()
    try:
        with pytest.raises(AheadEnded):
            reader.request([("folder", "item")])
            reader.begin("folder", "item", 1)
    finally:
        reader.close()
