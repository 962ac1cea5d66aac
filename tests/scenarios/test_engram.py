"""Observations go to a real Engram and come from it; needs the one that KARMA_SYNC_ENGRAM names."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from karma_sync.agents.engram.chunks import FolderChunks
from tests.scenarios.test_observations import add, raw_outbox, titles
from tests.support.harness import Member, until
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.real_engram import RealEngram, real_engram
from tests.support.town import found_team, share, up

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[MemoryMember, MemoryMember]]:
    here = MemoryTown(tmp_path)
    try:
        a, b = here.member("alice"), here.member("bob")
        up(a, b)
        found_team(a, b)
        share(a, b)
        b.run("observation", "share", "repo", "--yes")
        yield a, b
    finally:
        here.close()


@pytest.fixture
def engram(pair: tuple[MemoryMember, MemoryMember]) -> RealEngram:
    return real_engram(pair[0].folder, "alice-at-home")


def handed_over(member: Member) -> dict[str, object]:
    """Export into the repository's own folder."""
    return member.json("observation", "export", "--engram", str(member.repo), "--private")


def test_engram_takes_over_what_is_new_and_each_once(
    pair: tuple[MemoryMember, MemoryMember], engram: RealEngram
) -> None:
    a, b = pair
    add(b, "Fixed N+1")
    until(lambda: titles(a) == {"Fixed N+1"}, "the first at A")

    assert handed_over(a)["observations_exported"] == 1
    assert "Imported 1 new chunk" in engram.run(a.repo, "sync", "--import")
    assert handed_over(a)["is_empty"] is True
    assert "Already up to date" in engram.run(a.repo, "sync", "--import")

    second = add(b, "Chose SQLite")
    until(lambda: len(titles(a)) == 2, "the second at A")
    assert handed_over(a)["observations_exported"] == 1
    engram.run(a.repo, "sync", "--import")
    assert [row["title"] for row in engram.rows()] == ["Fixed N+1", "Chose SQLite"]
    assert all(row["content"].endswith("(by bob)") for row in engram.rows())
    assert "Chose SQLite" in engram.run(a.repo, "search", "sqlite")

    b.run("observation", "delete", second)
    until(lambda: len(titles(a)) == 1, "the deletion at A")
    assert handed_over(a)["mutations_exported"] == 1
    engram.run(a.repo, "sync", "--import")
    kept = ["Fixed N+1"] if engram.knows_mutations else ["Fixed N+1", "Chose SQLite"]
    assert [row["title"] for row in engram.rows()] == kept


def test_the_chunks_of_both_have_the_same_ids_and_neither_hides_the_others(
    pair: tuple[MemoryMember, MemoryMember], engram: RealEngram
) -> None:
    """Engram exports by the time of the newest chunk: ours must not hide what it saved before."""
    a, b = pair
    add(b, "by bob")
    until(lambda: titles(a) == {"by bob"}, "the observation at A")
    engram.run(a.repo, "save", "saved before", "in Engram alone", "--project", "repo")

    ours = handed_over(a)["chunk_id"]
    engram.run(a.repo, "sync", "--project", "repo")

    store = FolderChunks(a.repo / ".engram")
    entries = store.read_manifest().chunks
    assert [entry.created_by for entry in entries] == ["alice.box", "alice-at-home"]
    assert entries[0].id == ours
    for entry in entries:
        raw = gzip.decompress(store.chunk_path(entry.id).read_bytes())
        assert hashlib.sha256(raw).hexdigest()[:8] == entry.id
        json.loads(raw)
    [theirs] = store.read_chunk(entries[1].id).observations
    assert theirs["title"] == "saved before"


def test_what_engram_took_over_is_not_sent_and_what_it_saved_is(
    pair: tuple[MemoryMember, MemoryMember], engram: RealEngram
) -> None:
    """Echo: export, Engram imports, our Engram source sends nothing of it."""
    a, b = pair
    session = a.write_session("it tells where the repository lies")
    until(lambda: b.peek(session.id), "the session at B")
    add(b, "by bob")
    until(lambda: titles(a) == {"by bob"}, "the observation at A")
    handed_over(a)
    engram.run(a.repo, "sync", "--import")
    engram.run(a.repo, "save", "by alice", "what alice learned", "--project", "repo")
    engram.run(a.repo, "save", "for alice", "her own", "--project", "repo", "--scope", "personal")
    engram.run(a.repo, "sync", "--project", "repo")  # it exports what it imported as well

    a.run("observation", "share", "repo", "--yes", "--author", "alice-at-home")
    until(lambda: titles(b) == {"by bob", "by alice"}, "what Engram saved at B")

    outbox = raw_outbox(a)
    assert b"by alice" in outbox
    for needle in (b"by bob", b"for alice", b"her own"):
        assert needle not in outbox
