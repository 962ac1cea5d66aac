"""An import takes over what is surely one's own, each observation once, and says what it left."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from karma_sync.agents.engram.chunks import FolderChunks, MemoryChunks
from karma_sync.agents.engram.taking import ImportResult, taken
from karma_sync.agents.observations import OwnObservations
from karma_sync.errors import BadInput, Conflict
from karma_sync.service.sessions.take_over import require_importing
from tests.support.builders import PROJECT
from tests.support.engram_home import row, write_chunk

LATER = datetime(2027, 1, 1, tzinfo=UTC)
ME, NAMES = frozenset({"alice"}), frozenset({"repo"})


def test_an_import_counts_what_it_took_and_what_it_left_and_why(tmp_path: Path) -> None:
    engram = tmp_path / ".engram"
    mine = [row("one"), row("two"), row("private", scope="personal"), row("far", project="far")]
    lists = {"sessions": [{"id": "s1"}], "prompts": [{"id": 1, "content": "what I asked"}]}
    write_chunk(engram, mine, "alice", **lists)
    write_chunk(engram, [row("theirs")], "bob")
    write_chunk(engram, [row("whose")], "")
    lost, bad = (write_chunk(engram, [row(name)], "alice") for name in ("lost", "bad"))
    FolderChunks(engram).chunk_path(lost).unlink()
    FolderChunks(engram).chunk_path(bad).write_bytes(b"no gzip")

    new = taken(FolderChunks(engram), ME, NAMES, {})

    assert sorted(each.title for each in new.found) == ["one", "two"]
    assert new.result.to_fields() == {
        "chunks_imported": 1,
        "chunks_skipped": 4,
        "sessions_imported": 0,
        "observations_imported": 2,
        "prompts_imported": 0,
        "reasons": {"author-unknown": 1, "damaged": 1, "missing": 1, "not-mine": 1},
        "refused": {"other-project": 1, "personal-scope": 1},
    }


def test_the_same_again_imports_nothing_and_an_edit_only_itself(tmp_path: Path) -> None:
    engram, own = tmp_path / ".engram", OwnObservations(tmp_path / "own.jsonl")
    write_chunk(engram, [row("one"), row("two")], "alice")
    own.add_all(taken(FolderChunks(engram), ME, NAMES, own.versions()).found, PROJECT)

    again = taken(FolderChunks(engram), ME, NAMES, own.versions())
    assert (again.found, again.result.reasons) == ([], {"already-imported": 1})
    own.delete(row("two")["sync_id"], LATER)
    assert not taken(FolderChunks(engram), ME, NAMES, own.versions()).found

    write_chunk(engram, [row("one", content="edited", revision_count=2)], "alice")
    edited = taken(FolderChunks(engram), ME, NAMES, own.versions())
    assert [each.content for each in edited.found] == ["edited"]
    own.add_all(edited.found, PROJECT)
    assert [each.record.content for each in own.read().found] == ["edited"]


def test_a_deletion_follows_and_one_of_what_is_not_here_is_nothing(tmp_path: Path) -> None:
    engram, own = tmp_path / ".engram", OwnObservations(tmp_path / "own.jsonl")
    write_chunk(engram, [row("one")], "alice")
    own.add_all(taken(FolderChunks(engram), ME, NAMES, own.versions()).found, PROJECT)
    gone = [
        {"entity": "observation", "entity_key": key, "op": "delete", "payload": "{}"}
        | {"occurred_at": "2026-11-21 12:00:00"}
        for key in (row("one")["sync_id"], "obs-never-here")
    ]
    write_chunk(engram, [], "alice", mutations=gone)

    new = taken(FolderChunks(engram), ME, NAMES, own.versions())
    own.add_all(new.found, PROJECT)

    assert own.read().found == []
    assert set(own.versions()) == {row("one")["sync_id"]}


def test_an_empty_store_gives_an_empty_result() -> None:
    assert taken(MemoryChunks(), ME, NAMES, {}).result == ImportResult(reasons={}, refused={})


def test_without_a_subscription_nothing_is_opened() -> None:
    """The store is not even asked for: it is made after this."""
    for is_on, code in ((True, "no-subscription"), (False, "observations-off")):
        with pytest.raises(Conflict, match=code):
            require_importing([], is_on=is_on)


def test_all_or_nothing_is_saved_and_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    own, engram = OwnObservations(tmp_path / "own.jsonl"), tmp_path / ".engram"
    write_chunk(engram, [row("one"), row("two")], "alice")
    one, two = taken(FolderChunks(engram), ME, NAMES, {}).found
    own.add(one, PROJECT)
    with own.path.open("ab") as torn:
        torn.write(b'{"id": "half')
    with pytest.raises(BadInput):
        own.add_all([two, two.changed(id="x", content="x" * 1_000_001)], PROJECT)

    own.add(two, PROJECT)

    assert {each.record.id for each in own.read().found} == {one.id, two.id}
