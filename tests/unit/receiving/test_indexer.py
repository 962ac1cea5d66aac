"""The index follows the library: what grew is added, what is gone can be found nowhere any more."""

from pathlib import Path

import pytest

from karma_sync.agents.claude.passages import ClaudePassages
from karma_sync.channel.layout import chunk_name, kept_item
from karma_sync.domain.mesh.channels import Kept
from karma_sync.redact.redactor import Redacted
from karma_sync.store import record_ids, search_index
from tests.support.builders import (
    ALICE,
    PROJECT,
    Desk,
    Shelf,
    Swapping,
    record,
    said,
)
from tests.unit.receiving.test_importer import CHANNEL, TEAM, lines, take

SECRET = "quetzalcoatl"


class Cutting(Swapping):
    """Counts its cuts under another name than the word that it cuts."""

    def text(self, raw: bytes) -> Redacted:
        return Redacted(super().text(raw).data, {"word": raw.count(SECRET.encode())})


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bob")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Alice's session has a word of its own in the first chunk, and one in its end."""
    desk = Desk(tmp_path / "alice", CHANNEL, Swapping({}))
    desk.write(said(f"begin {SECRET}") + lines("common") + said("the finale"))
    desk.package()
    return desk


def passages(shelf: Shelf) -> list[tuple[int, ...]]:
    with shelf.store.reading() as tx:
        return [tuple(row) for row in tx.execute("SELECT * FROM passage WHERE file > 0")]


def grow(desk: Desk, shelf: Shelf, content: bytes) -> None:
    desk.append(content)
    desk.package()
    take(shelf, desk)


def on_disk(shelf: Shelf, word: str) -> list[str]:
    """The files of the library, the database's among them, that hold a word."""
    assert shelf.importer.scrub()
    found = (path for path in shelf.root.rglob("*") if path.is_file())
    return [path.name for path in found if word.encode() in path.read_bytes()]


def test_what_is_imported_is_found(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)

    assert shelf.finds(SECRET) == ["s1"]
    assert shelf.finds("finale") == ["s1"]
    assert shelf.finds("nowhere") == []
    [hit] = shelf.search("finale").hits
    content = shelf.read()
    assert b"the finale" in content[hit.at : hit.at + hit.size]
    assert (hit.field, hit.path, hit.snippet) == ("prompt", "transcript.jsonl", "the finale")


def test_a_grown_session_indexes_only_what_is_new(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    shelf.search("x")
    before = passages(shelf)
    for number in range(3):
        grow(desk, shelf, said(f"appended{number}"))
    grow(desk, shelf, lines("much", 400) + said("appended3"))

    assert passages(shelf)[: len(before)] == before
    assert len(passages(shelf)) == len(before) + 3 + 400 + 1
    for number in range(4):
        [hit] = shelf.search(f"appended{number}").hits
        assert f"appended{number}".encode() in shelf.read()[hit.at : hit.at + hit.size]


def test_a_line_without_an_end_is_found_once_it_is_whole(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    shelf.search("x")
    last = said("unfinished business")
    grow(desk, shelf, last[:-1])
    grow(desk, shelf, b"\n" + said("more"))

    assert len(shelf.search("business").hits) == 1
    assert shelf.search("business").hits[0].more == 0
    assert shelf.finds("more") == ["s1"]


def test_a_rewound_session_is_found_by_what_it_says_now(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    assert shelf.finds(SECRET) == ["s1"]
    desk.write(said("another beginning") + lines("common") + said("the finale"))
    desk.package()
    take(shelf, desk)

    assert shelf.finds(SECRET) == []
    assert shelf.finds("another beginning") == ["s1"]
    assert on_disk(shelf, SECRET) == []


def test_what_is_redacted_later_is_nowhere_any_more(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    assert shelf.finds(SECRET) == ["s1"]
    assert "library.db" in on_disk(shelf, SECRET)
    desk.restart(Cutting({SECRET.encode(): b"[REDACTED:word]"}, version="swap-2"))
    desk.package()
    take(shelf, desk)

    assert shelf.finds(SECRET) == []
    assert shelf.finds("finale") == ["s1"]
    assert on_disk(shelf, SECRET) == []


def test_a_title_that_is_redacted_later_is_nowhere_any_more(shelf: Shelf, desk: Desk) -> None:
    titled = record(type="custom-title", customTitle=f"about {SECRET}", sessionId="s1")
    desk.write(said("plain") + titled)
    desk.package()
    take(shelf, desk)
    assert shelf.finds(SECRET) == ["s1"]
    desk.restart(Cutting({SECRET.encode(): b"[REDACTED:word]"}, version="swap-2"))
    desk.package()
    take(shelf, desk)

    assert shelf.finds(SECRET) == []
    assert on_disk(shelf, SECRET) == []


def retract(shelf: Shelf, desk: Desk) -> None:
    item = desk.item()
    desk.packager.retract(CHANNEL, item, desk.outbox)
    assert shelf.importer.retract(CHANNEL, desk.outbox.path, item)


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_retracted_session_is_nowhere_any_more(
    shelf: Shelf, desk: Desk, is_indexed: bool
) -> None:
    desk.write(said("stays") + lines("common"), "s2.jsonl")
    desk.package("s2")
    take(shelf, desk)
    shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item("s2"))
    if is_indexed:
        assert sorted(shelf.finds("common")) == ["s1", "s2"]
    retract(shelf, desk)

    assert shelf.finds("common") == ["s2"]
    assert shelf.finds(SECRET) == []
    assert on_disk(shelf, SECRET) == []


def test_a_channel_that_is_withdrawn_is_nowhere_any_more(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    assert shelf.finds(SECRET) == ["s1"]
    shelf.importer.forget_all_but(Kept(TEAM.id, PROJECT, ALICE))

    assert shelf.finds(SECRET) == []
    assert passages(shelf) == []
    assert on_disk(shelf, SECRET) == []


def test_text_that_can_no_longer_be_read_is_forgotten_all_the_same(
    shelf: Shelf, desk: Desk
) -> None:
    """The words are taken out by the text; without it the channel's table is made again."""
    desk.write(said("stays") + lines("common"), "s2.jsonl")
    desk.package("s2")
    take(shelf, desk)
    shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item("s2"))
    assert sorted(shelf.finds("common")) == ["s1", "s2"]
    sha = next(iter(desk.manifest().chunks()))
    (shelf.root / chunk_name(sha)).unlink()
    retract(shelf, desk)

    assert shelf.finds("common") == ["s2"]
    assert shelf.finds("stays") == ["s2"]
    assert shelf.finds(SECRET) == []
    assert on_disk(shelf, SECRET) == []


def test_an_item_whose_files_are_damaged_does_not_stop_the_others(shelf: Shelf, desk: Desk) -> None:
    desk.write(said("stays"), "s2.jsonl")
    desk.package("s2")
    take(shelf, desk)
    shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item("s2"))
    manifest = desk.manifest()
    kept_item(shelf.root, CHANNEL.id, manifest.item, manifest.revision).unlink()

    assert shelf.finds("stays") == ["s2"]
    assert not shelf.importer.complete_index()


def test_sessions_that_arrived_together_are_written_into_the_index_at_once(
    shelf: Shelf, desk: Desk
) -> None:
    sessions = [f"s{number}" for number in range(1, 6)]
    for name in sessions:
        desk.write(said(f"word of {name}"), f"{name}.jsonl")
        desk.package(name)
        shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item(name))

    assert not shelf.importer.complete_index()

    assert set(shelf.finds("word")) == set(sessions)
    with shelf.store.reading() as tx:
        # what lies above the first 37 bits of a row's number is its segment (sqlite.org/fts5.html)
        [row] = tx.execute("SELECT count(DISTINCT id >> 37) AS n FROM search_1_data WHERE id > 10")
        assert row["n"] == 1


def test_what_was_indexed_by_earlier_rules_is_indexed_again(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    assert shelf.finds(SECRET) == ["s1"]
    with shelf.store.transaction() as tx:
        tx.execute("UPDATE search_channel SET version = 'earlier'")
        tx.execute("DELETE FROM search_1 WHERE 0")
    again = Shelf(shelf.root.parent)

    assert again.finds(SECRET) == ["s1"]
    with again.store.reading() as tx:
        version = f"{ClaudePassages.version} records-3"
        assert search_index.outdated_channels(tx, version) == []
    assert len(again.search(SECRET).hits) == 1


def test_a_subagent_is_searched_and_other_files_are_not(shelf: Shelf, desk: Desk) -> None:
    desk.write(said("delegated"), "s1/subagents/agent-1.jsonl")
    desk.write(b"only the pattern search reads this", "s1/tool-results/note.txt")
    desk.append(said("once more"))
    desk.package()
    take(shelf, desk)

    [hit] = shelf.search("delegated").hits
    assert hit.path == "subagents/agent-1.jsonl"
    assert shelf.finds("pattern") == []


def test_the_title_is_found_and_is_only_what_it_is_now(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    shelf.search("x")
    grow(desk, shelf, record(type="custom-title", customTitle="first name", sessionId="s1"))
    assert shelf.search("first name").hits[0].field == "title"
    grow(desk, shelf, record(type="custom-title", customTitle="second name", sessionId="s1"))

    assert [hit.field for hit in shelf.search("second name").hits] == ["title"]
    assert shelf.finds("first name") == []


def test_the_ids_of_records_are_known_as_long_as_their_item(shelf: Shelf, desk: Desk) -> None:
    desk.append(said("hello", uuid="u1"))
    desk.package()
    take(shelf, desk)
    assert shelf.finds("hello") == ["s1"]  # the index is complete
    with shelf.store.reading() as tx:
        before = record_ids.places(tx, ["u1", "u1", "another"])
    retract(shelf, desk)

    with shelf.store.reading() as tx:
        assert record_ids.places(tx, ["u1"]) == []
        assert tx.execute("SELECT * FROM record_id").fetchall() == []
    assert len(before) == 1
