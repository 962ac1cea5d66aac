"""Engram's files are read as they are found, and written as Engram reads them."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from karma_sync.agents.engram.chunks import (
    BadChunk,
    Chunk,
    ChunkEntry,
    ChunkManifest,
    ChunkNotFound,
    ChunkStore,
    FolderChunks,
    MemoryChunks,
)
from karma_sync.agents.engram.export import HandedOver, export
from karma_sync.agents.engram.source import EngramFolder, EngramSource
from karma_sync.domain.session.observation import StayReason
from karma_sync.errors import Conflict
from karma_sync.library.observations import Observations
from karma_sync.service.sessions.hand_over import HandOver, hand_over, summary
from karma_sync.store.read_only import reading_only
from tests.support.builders import ALICE, BOB, NOW, Shelf
from tests.support.engram_home import NEW, OLD, EngramHome, row, write_chunk
from tests.support.observing import saved


def source(tmp_path: Path, *authors: str) -> EngramSource:
    """Engram as it stands in `tmp_path`, with one repository."""
    folders = [EngramFolder(tmp_path / "repo")]
    names = frozenset(authors)
    return EngramSource(tmp_path / "engram", lambda: folders, lambda: names, reading_only)


# ---- the store of chunks: one contract for all


def _exported(tmp_path: Path) -> ChunkStore:
    store = FolderChunks(tmp_path / ".engram")
    export(store, [HandedOver(saved(BOB), "bob", "repo")], ALICE, "2026-11-20T12:00:00Z")
    return store


STORES: dict[str, Callable[[Path], ChunkStore]] = {
    "a folder": lambda path: FolderChunks(path / ".engram"),
    "an export": _exported,
    "memory": lambda path: MemoryChunks(),
}


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
def test_every_store_keeps_the_same_contract(
    tmp_path: Path, make: Callable[[Path], ChunkStore]
) -> None:
    store = make(tmp_path)
    before = store.read_manifest()
    assert before.version == 1

    chunk = Chunk(observations=(row("one"),))
    chunk_id = store.write_chunk(chunk)
    assert store.write_chunk(chunk) == chunk_id
    store.write_manifest(before.with_entry(ChunkEntry(chunk_id, "me", memories=1)))

    assert store.read_chunk(chunk_id).observations == chunk.observations
    assert [entry.id for entry in store.read_manifest().chunks][-1] == chunk_id
    for unknown in ("0badcafe", "../../etc", ""):
        with pytest.raises(ChunkNotFound):
            store.read_chunk(unknown)


def test_a_manifest_that_is_not_there_reads_as_empty_version_1(tmp_path: Path) -> None:
    assert FolderChunks(tmp_path).read_manifest() == ChunkManifest(1, ())
    assert summary(FolderChunks(tmp_path)).to_fields() == {
        "version": 1,
        "chunks": 0,
        "sessions": 0,
        "memories": 0,
        "prompts": 0,
        "created_by": {},
    }


# ---- the source


@pytest.mark.parametrize("schema", [OLD, NEW], ids=["early 2026", "late 2026"])
def test_a_database_of_any_schema_is_read(tmp_path: Path, schema: str) -> None:
    engram = EngramHome(tmp_path / "engram", schema)
    fields: dict[str, Any] = {"session_id": "s1", "type": "bugfix", "title": "t", "content": "c"}
    more = {} if schema == OLD else {"updated_at": "2026-02-01 10:00:00"}
    engram.session("s1", tmp_path / "repo")
    engram.insert("observations", **fields, created_at="2026-02-01 10:00:00", **more)

    [found] = source(tmp_path).read().found

    assert (found.record.title, found.directories) == ("t", (str(tmp_path / "repo"),))
    assert found.record.id.startswith("d-")
    assert found.record.created == "2026-02-01T10:00:00Z"


def test_updates_and_deletions_of_the_database_are_seen(tmp_path: Path) -> None:
    engram = EngramHome(tmp_path / "engram")
    engram.save("kept")
    engram.save("gone")
    reader = source(tmp_path)
    before, stamp = {e.record.title: e.record.version for e in reader.read().found}, reader.stamp()
    engram.execute("UPDATE observations SET revision_count = 2 WHERE title = 'kept'")
    engram.execute("UPDATE observations SET deleted_at = '2026-11-21' WHERE title = 'gone'")

    after = {e.record.title: e.record.version for e in reader.read().found}

    assert reader.stamp() != stamp
    assert after == {"kept": before["kept"] + 1}


def test_of_a_folder_the_chunks_of_ones_own_names_count(tmp_path: Path) -> None:
    engram = tmp_path / "repo" / ".engram"
    write_chunk(engram, [row("mine"), row("personal", scope="personal")], "alice")
    write_chunk(engram, [row("theirs")], "bob")

    held = {e.record.title: e.stays for e in source(tmp_path, "alice").read().found}

    assert held == {"mine": None, "personal": StayReason.PERSONAL}
    assert source(tmp_path).read().found == []
    assert source(tmp_path).created_by() == ["alice", "bob"]


def test_ones_own_mutations_are_included(tmp_path: Path) -> None:
    engram = tmp_path / "repo" / ".engram"
    first, second = row("first"), row("second")
    write_chunk(engram, [first, second], "alice")

    def mutation(op: str, of: dict[str, Any], **payload: object) -> dict[str, object]:
        changed = {"sync_id": of["sync_id"], "project": "repo", "type": "decision", **payload}
        return {
            "entity": "observation",
            "entity_key": of["sync_id"],
            "op": op,
            "payload": json.dumps(changed),
            "occurred_at": "2026-11-22 12:00:00",
        }

    edits = [mutation("upsert", first, title="edited", content="x"), mutation("delete", second)]
    write_chunk(engram, [], "alice", mutations=edits)

    assert [e.record.title for e in source(tmp_path, "alice").read().found] == ["edited"]


@pytest.mark.parametrize(
    "raw",
    [b"no gzip", gzip.compress(b"no JSON"), gzip.compress(b"[1, 2]"), gzip.compress(b"{}")[:-9]],
    ids=["no gzip", "no JSON", "a list", "torn"],  # gzip writes the time into what it makes
)
def test_a_damaged_chunk_is_said_and_the_others_count(tmp_path: Path, raw: bytes) -> None:
    engram = tmp_path / "repo" / ".engram"
    write_chunk(engram, [row("good")], "alice")
    (engram / "chunks" / "deadbeef.jsonl.gz").write_bytes(raw)

    content = source(tmp_path, "alice").read()

    assert [e.record.title for e in content.found] == ["good"]
    assert not content.whole
    assert "deadbeef" in content.problems[0]


@pytest.mark.parametrize("manifest", ["", "<<<<<<< HEAD", "[]", '{"chunks": 3}', '{"chunks": [3]}'])
def test_with_a_damaged_manifest_nothing_counts_as_ones_own(tmp_path: Path, manifest: str) -> None:
    engram = tmp_path / "repo" / ".engram"
    write_chunk(engram, [row("whose?")], "alice")
    (engram / "manifest.json").write_text(manifest)

    assert source(tmp_path, "alice").read().found == []


def test_a_locked_or_damaged_database_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "engram").mkdir()
    (tmp_path / "engram" / "engram.db").write_bytes(b"no database at all" * 100)

    content = source(tmp_path).read()

    assert (content.found, content.whole) == ([], False)
    assert "cannot be read" in content.problems[0]


@pytest.mark.parametrize(
    "odd",
    [
        {"created_at": ["a", "list"]},
        {"created_at": "yesterday", "updated_at": None},
        {"revision_count": "many"},
        {"title": {"an": "object"}, "topic_key": 7},
        {"sync_id": "../../etc/passwd"},
        {"sync_id": None, "session_id": None},
        {"content": None, "scope": None},
        {"title": "x" * 5_000},
    ],
)
def test_odd_fields_of_a_row_neither_crash_nor_lose_others(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    write_chunk(tmp_path / "repo" / ".engram", [row("odd") | odd, row("good")], "alice")

    content = source(tmp_path, "alice").read()

    assert "good" in {e.record.title for e in content.found}
    assert len(content.found) == 2
    assert content.whole


def test_ten_megabytes_stay_and_are_said(tmp_path: Path) -> None:
    engram = EngramHome(tmp_path / "engram")
    engram.save("huge", "x" * 10_000_000)
    engram.save("a megabyte", "x" * 1_000_000)

    held = {e.record.title: e.stays for e in source(tmp_path).read().found}

    assert held == {"huge": StayReason.TOO_LARGE, "a megabyte": None}


@pytest.mark.parametrize(
    "name", ["Cobies__gentle-ai", "DaniloMValladarez__engram", "Drakk3__drakk3-assistant"]
)
def test_what_people_published_is_read(corpus: Path, tmp_path: Path, name: str) -> None:
    folder = EngramFolder(corpus / "engram" / name)
    everybody = EngramSource(
        tmp_path / "none", lambda: [folder], lambda: frozenset(names), reading_only
    )
    names: set[str] = set()
    names |= set(everybody.created_by())

    content = everybody.read()

    assert names
    assert content.found
    assert not [e for e in content.found if e.stays is StayReason.MALFORMED]
    personal = [e for e in content.found if e.record.scope == "personal"]
    assert all(e.stays is StayReason.PERSONAL for e in personal)


# ---- the hand-over


def handed(*found: tuple[int, str]) -> list[HandedOver]:
    """Observations by bob, by number and text."""
    return [HandedOver(saved(BOB, n, content=text), "bob", "repo") for n, text in found]


def test_export_counts_what_it_wrote_and_a_second_adds_only_what_is_new(tmp_path: Path) -> None:
    store = FolderChunks(tmp_path / ".engram")
    first = export(store, handed((1, "a"), (2, "b")), ALICE, "2026-11-20T12:00:00Z")
    again = export(store, handed((1, "a"), (2, "b")), ALICE, "2026-11-20T12:01:00Z")
    last = export(store, handed((1, "edited"), (3, "c")), ALICE, "2026-11-20T12:02:00Z")

    assert first.to_fields() | {"chunk_id": ""} == {
        "chunk_id": "",
        "sessions_exported": 1,
        "observations_exported": 2,
        "prompts_exported": 0,
        "mutations_exported": 0,
        "is_empty": False,
    }
    assert (again.is_empty, again.chunk_id) == (True, "")
    assert (last.observations_exported, last.mutations_exported) == (1, 2)  # an edit, a deletion
    rows = [r for e in store.read_manifest().chunks for r in store.read_chunk(e.id).observations]
    assert sorted(r["sync_id"] for r in rows) == ["obs-0001", "obs-0002", "obs-0003"]
    assert all("(by bob)" in r["content"] for r in rows)
    assert {e.created_by for e in store.read_manifest().chunks} == {ALICE}


def test_an_export_makes_no_manifest_newer_or_engram_would_leave_out_what_it_saved_before(
    tmp_path: Path,
) -> None:
    store = MemoryChunks()
    export(store, handed((1, "a")), ALICE, "2026-11-20T12:00:00Z")
    assert [e.created_at for e in store.manifest.chunks] == ["1970-01-01T00:00:00Z"]

    store.write_manifest(store.manifest.with_entry(ChunkEntry("0badcafe", "x", "2026-05-01")))
    export(store, handed((1, "a"), (2, "b")), ALICE, "2026-11-20T12:00:00Z")
    assert max(e.created_at for e in store.manifest.chunks) == "2026-05-01"


def test_a_mutation_has_all_that_engram_requires_although_a_record_is_empty(
    tmp_path: Path,
) -> None:
    """Late versions refuse to export into a folder that has a chunk with less."""
    store = MemoryChunks()
    empty = {"type": "", "title": " ", "content": "", "topic": "", "tool": ""}
    for text in ("first", " "):
        own = HandedOver(saved(BOB, 1, **(empty | {"content": text})), "", "repo")
        result = export(store, [own], ALICE, "2026-11-20T12:00:00Z")

    [mutation] = store.chunks[result.chunk_id].mutations
    payload = json.loads(mutation["payload"])
    required = ("sync_id", "session_id", "type", "title", "content", "scope")
    assert all(payload[name].strip() for name in required)
    assert mutation["entity_key"] == payload["sync_id"]
    assert store.chunks[result.chunk_id].sessions[0]["directory"]


def test_what_others_put_into_the_folder_is_neither_changed_nor_deleted(tmp_path: Path) -> None:
    engram = tmp_path / ".engram"
    write_chunk(engram, [row("theirs")], "somebody")

    assert export(FolderChunks(engram), [], ALICE, "2026-11-20T12:00:00Z").is_empty


def test_without_an_accepted_subscription_the_store_is_not_touched(tmp_path: Path) -> None:
    store, shelf = MemoryChunks(), Shelf(tmp_path)
    given = HandOver(Observations(shelf.library.store), shelf.scope, ALICE, str)
    for is_on, code in ((True, "no-subscription"), (False, "observations-off")):
        with pytest.raises(Conflict, match=code):
            hand_over(store, given, [], NOW, is_on=is_on)
    assert store.calls == 0


def test_echo_export_engram_imports_our_engram_source_sends_nothing(tmp_path: Path) -> None:
    """Observations that were handed over come back as rows of Engram, and stay here."""
    repository = tmp_path / "repo"
    store = FolderChunks(repository / ".engram")
    result = export(store, handed((1, "from bob")), ALICE, "2026-11-20T12:00:00Z")
    engram = EngramHome(tmp_path / "engram")
    for each in store.read_chunk(result.chunk_id).observations:
        fields = {k: v for k, v in each.items() if k not in ("id", "duplicate_count")}
        engram.insert("observations", **fields)
    engram.insert("sync_chunks", chunk_id=result.chunk_id, imported_at="2026-11-20 13:00:00")

    found = source(tmp_path, "alice").read().found

    assert [e.stays for e in found] == [StayReason.FOREIGN]


def test_what_a_stranger_nests_without_end_stops_no_export(tmp_path: Path) -> None:
    store = MemoryChunks()
    mutation = {
        "entity": "observation",
        "entity_key": "x",
        "op": "upsert",
        "payload": "[" * 200_000,
    }
    chunk_id = store.write_chunk(Chunk(mutations=(mutation,)))
    store.write_manifest(ChunkManifest(1, (ChunkEntry(chunk_id, "stranger"),)))

    assert export(store, handed((1, "mine")), ALICE, "2026-11-20T12:00:00Z").observations_exported


def test_a_chunk_that_was_imported_at_the_end_of_time_makes_all_rows_doubtful(
    tmp_path: Path,
) -> None:
    engram = EngramHome(tmp_path / "engram")
    engram.insert("sync_chunks", chunk_id="0badcafe", imported_at="9999-12-31 23:59:59")
    engram.save("anything")

    assert [e.stays for e in source(tmp_path).read().found] == [StayReason.UNKNOWN_AUTHOR]


def test_what_was_handed_over_is_never_ones_own(tmp_path: Path) -> None:
    """Neither under the own tag, which the export names, nor when its chunk is gone."""
    repository = tmp_path / "repo"
    store = FolderChunks(repository / ".engram")
    result = export(store, handed((1, "from bob")), ALICE, "2026-11-20T12:00:00Z")
    export(store, handed((1, "from bob, edited")), ALICE, "2026-11-20T12:00:00Z")
    engram = EngramHome(tmp_path / "engram")
    for each in store.read_chunk(result.chunk_id).observations:
        fields = {k: v for k, v in each.items() if k not in ("id", "duplicate_count")}
        engram.insert("observations", **fields)

    assert {e.stays for e in source(tmp_path, ALICE).read().found} == {StayReason.FOREIGN}
    rmtree(repository / ".engram")
    assert {e.stays for e in source(tmp_path, ALICE).read().found} == {StayReason.FOREIGN}


def test_a_chunk_that_is_damaged_raises_for_its_reader(tmp_path: Path) -> None:
    store = FolderChunks(tmp_path)
    (tmp_path / "chunks").mkdir()
    (tmp_path / "chunks" / "deadbeef.jsonl.gz").write_bytes(b"x")
    with pytest.raises(BadChunk):
        store.read_chunk("deadbeef")


def test_a_link_in_a_repository_leads_to_no_other_folder(tmp_path: Path) -> None:
    _exported(tmp_path)
    [chunk] = FolderChunks(tmp_path / ".engram").chunk_ids()
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    (whole / ".engram").symlink_to(tmp_path / ".engram")
    (part / ".engram").mkdir(parents=True)
    (part / ".engram" / "chunks").symlink_to(tmp_path / ".engram" / "chunks")

    for each in (whole, part):
        linked = FolderChunks(each / ".engram")
        assert linked.chunk_ids() == []
        for way in (linked.read_manifest, lambda: linked.read_chunk(chunk)):  # noqa: B023
            with pytest.raises(BadChunk, match="is a link"):
                way()


def test_a_small_chunk_does_not_fill_the_memory(tmp_path: Path) -> None:
    place = tmp_path / "chunks"
    place.mkdir()
    for name, raw in (
        ("0000000a", b'{"observations": ["' + b"x" * 40_000_000 + b'"]}'),
        ("0000000b", b'{"observations": [' + b"{}," * 2_000_000 + b"{}]}"),
    ):
        (place / f"{name}.jsonl.gz").write_bytes(gzip.compress(raw))
        tracemalloc.start()
        try:
            with pytest.raises(BadChunk):
                FolderChunks(tmp_path).read_chunk(name)
            assert tracemalloc.get_traced_memory()[1] < 80_000_000
        finally:
            tracemalloc.stop()
