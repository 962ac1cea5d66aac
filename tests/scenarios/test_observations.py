"""Observations are shared with their author: those alone that may leave, and after consent."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from karma_sync.domain.session.manifest import join_item, split_item
from karma_sync.signing import PayloadType, open_envelope
from tests.support.engram_home import EngramHome, row, write_chunk
from tests.support.evil import Evil, item_file
from tests.support.harness import Member, until
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.town import found_team, share, up

STATUS = ("local", "remote", "pending", "imports", "unasked")


def add(member: Member, title: str, *more: str) -> str:
    """Save an observation of one's own; its id."""
    text = f"the text of {title}"
    args = ("--type", "bugfix", "--title", title, "--content", text, *more)
    found: str = member.json("observation", "add", *args)["id"]
    return found


def titles(member: Member, *filters: str) -> set[str]:
    """The titles of the observations that a member reads."""
    found = member.json("observation", "list", "--private", *filters)["observations"]
    return {each["title"] for each in found}


def raw_outbox(member: MemoryMember) -> bytes:
    """All bytes of a member's outboxes, with every frame unpacked."""
    found = []
    for box in member.outboxes():
        for path in (p for p in box.rglob("*") if p.is_file()):
            raw = path.read_bytes()
            found.append(raw)
            frame = raw.partition(b"\n")[2] if path.suffix == ".ks" else raw
            if path.suffix in (".ks", ".zst") and frame:
                found.append(zstandard.ZstdDecompressor().decompress(frame))
    return b"\n".join(found)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[MemoryMember, MemoryMember]]:
    here = MemoryTown(tmp_path)
    try:
        a, b = here.member("alice"), here.member("bob")
        up(a, b)
        found_team(a, b)
        share(a, b)
        yield a, b
    finally:
        here.close()


def test_nothing_leaves_before_a_person_was_shown_it(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    a.write_session("a session to wait for")
    add(a, "Fixed N+1")
    until(lambda: b.json("session", "list")["sessions"], "a session at B")

    assert b"Fixed N+1" not in raw_outbox(a)
    assert a.run("observation", "share", "repo", check=False).code == 8
    shown = a.run("observation", "share", "repo", "--dry-run").out
    assert "1 observation: bugfix 1" in shown
    assert "bob.box" in shown
    counts = a.json("observation", "status")
    assert {name: counts[name] for name in STATUS} == {
        "local": 1,
        "remote": 0,
        "pending": 1,
        "imports": {},
        "unasked": ["example.org/acme/repo"],
    }


def test_it_is_shared_edited_and_deleted_with_its_authors_name(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    saved = add(a, "Fixed N+1 query in UserList")
    a.run("observation", "share", "repo", "--yes")
    until(lambda: titles(b) == {"Fixed N+1 query in UserList"}, "the observation at B")

    line = b.run("observation", "list").out
    assert "[bugfix] Fixed N+1 query in UserList (by alice)" in line
    assert "(by" not in a.run("observation", "list").out
    assert "the text of Fixed" in b.run("observation", "show", saved[:10]).out
    assert "UserList" in b.run("observation", "search", "userlist").out
    assert titles(b, "--author", "alice", "--type", "bugfix") == titles(b)
    assert titles(b, "--author", "bob") == set()
    counts = b.json("observation", "status")
    assert (counts["local"], counts["remote"], counts["pending"]) == (0, 1, 0)
    assert counts["imports"] == {"imported": 1, "skipped": 0}

    everywhere = b.run("search", "userlist", "type:bugfix", "is:observation").out
    assert "[bugfix] Fixed N+1 query in UserList (by alice)" in everywhere
    found = b.json("search", "is:observation", "type:bugfix", "by:alice", "--private")
    assert [each["id"] for each in found["observations"]] == [saved]
    assert found["hits"] == []
    assert b.json("search", "userlist", "--private")["observations"]
    assert not b.json("search", "userlist", "type:decision", "--private")["observations"]

    a.run("observation", "delete", saved)
    until(lambda: titles(b) == set(), "the deletion at B")


def test_scope_personal_is_not_in_the_raw_outbox(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    engram = EngramHome(a.folder / "engram")
    engram.session("s1", a.repo)
    engram.save("shared thing")
    engram.save("personal thing", "needle-of-engram", scope="personal")
    add(a, "mine alone", "--personal")
    a.run("observation", "share", "repo", "--yes")
    until(lambda: titles(b) == {"shared thing"}, "the observation at B")

    outbox = raw_outbox(a)
    assert b"shared thing" in outbox
    for needle in (b"personal thing", b"needle-of-engram", b"mine alone"):
        assert needle not in outbox


def test_what_engram_got_from_others_is_not_in_the_raw_outbox(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    """Echo protection: what an imported chunk brought is not sent on, nor what nobody can tell."""
    a, b = pair
    engram = EngramHome(a.folder / "engram")
    engram.session("s1", a.repo)
    engram.save("mine", created_at="2026-11-25 12:00:00")
    foreign = row("by a stranger")
    chunk = write_chunk(a.repo / ".engram", [foreign], "stranger")
    engram.insert("sync_chunks", chunk_id=chunk, imported_at="2026-11-21 12:00:00")
    engram.save("by a stranger", foreign["content"])
    engram.insert("sync_chunks", chunk_id="0badcafe", imported_at="2026-11-22 12:00:00")
    engram.save("older than a chunk that is gone")
    a.run("observation", "share", "repo", "--yes", "--author", "alice-at-home")
    until(lambda: titles(b) == {"mine"}, "the observation at B")

    outbox = raw_outbox(a)
    assert b"stranger" not in outbox
    assert b"older than a chunk" not in outbox
    stays = a.run("observation", "share", "repo", "--dry-run").out
    assert "not-mine 1" in stays
    assert "author-unknown 1" in stays


def test_a_name_is_mine_only_after_a_yes(pair: tuple[MemoryMember, MemoryMember]) -> None:
    a, b = pair
    session = a.write_session("it tells where the repository lies")
    until(lambda: b.peek(session.id), "the session at B")
    write_chunk(a.repo / ".engram", [row("saved as carol")], "carol")
    a.run("observation", "share", "repo", "--yes")
    named = ("observation", "share", "repo", "--author", "carol")

    assert "saved as carol" in a.run(*named, "--dry-run").out
    refused = a.run(*named, check=False)
    assert refused.code == 8
    assert "saved as carol" in refused.out
    add(a, "to wait for")
    until(lambda: titles(b) == {"to wait for"}, "the observation at B")
    assert b"saved as carol" not in raw_outbox(a)

    a.run(*named, "--yes")
    until(lambda: titles(b) == {"to wait for", "saved as carol"}, "what the name brought at B")


def test_a_switch_stops_all_of_it_at_once(pair: tuple[MemoryMember, MemoryMember]) -> None:
    a, b = pair
    a.run("observation", "share", "repo", "--yes")
    add(a, "first")
    until(lambda: titles(b) == {"first"}, "the observation at B")
    with a.paths.settings.open("a") as settings:
        settings.write("\n[observations]\nshare = false\n")
    add(a, "second")
    session = a.write_session("a session to wait for")
    until(lambda: b.peek(session.id), "the session at B")

    assert b"second" not in raw_outbox(a)
    refused = a.run("observation", "share", "repo", check=False)
    assert refused.code == 6
    assert "observations-off" in refused.err


def test_withheld_stays_and_unshared_goes_everywhere(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    a.run("observation", "share", "repo", "--yes")
    kept = add(a, "kept here")
    a.run("observation", "withhold", kept)
    taken = add(a, "taken back")
    until(lambda: titles(b) == {"taken back"}, "the observation at B")
    a.run("observation", "unshare", taken)
    until(lambda: titles(b) == set(), "its deletion at B")

    assert b"kept here" not in raw_outbox(a)
    assert "withheld" in a.run("observation", "preview", kept).out
    assert a.run("observation", "unshare", taken, "--undo", check=False).code == 8
    a.run("observation", "unshare", taken, "--undo", "--yes")
    until(lambda: titles(b) == {"taken back"}, "the observation at B again")


def test_a_withheld_session_is_not_let_go_with_the_observations(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    hidden = a.write_session("a session that stays")
    a.run("session", "withhold", hidden.id)

    undone = a.run("observation", "withhold", hidden.id, "--undo", check=False)

    assert undone.code == 5
    last = a.write_session("a session to wait for")
    until(lambda: b.peek(last.id), "the last session at B")
    assert b.peek(hidden.id) is None
    assert b"a session that stays" not in raw_outbox(a)


def test_a_member_that_wants_only_sessions_sets_observations_aside(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    b.run("subscription", "change", "repo", "--content", "sessions", "--yes")
    a.run("observation", "share", "repo", "--yes")
    add(a, "not for bob")
    session = a.write_session("a session to wait for")
    until(lambda: b.peek(session.id), "the session at B")

    assert titles(b) == set()
    assert b.run("status", "--check", check=False).code == 0
    b.run("subscription", "change", "repo", "--content", "sessions,observations", "--yes")
    until(lambda: titles(b) == {"not for bob"}, "the observation at B")


def test_an_item_of_a_kind_that_only_later_versions_know_disturbs_nobody(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    session = a.write_session("of a kind that everybody knows")
    until(lambda: b.peek(session.id), "the session at B")
    (outbox,) = a.outboxes()
    later = "9" * 32
    evil = Evil(a)
    known = item_file(outbox, session.id, evil.key.public).read_bytes()
    envelope, tails = split_item(known)
    payload = json.loads(open_envelope(envelope, evil.key.public, PayloadType.MANIFEST))
    payload |= {"kind": "diagrams", "item": later, "session": None}
    signed = evil.key.sign(PayloadType.MANIFEST, json.dumps(payload).encode())
    evil.write(outbox.name, f"items/{later}.ks", join_item(signed, tails))
    evil.announce(outbox.name)
    seen = b.paths.folder(outbox.name) / "items" / f"{later}.ks"
    until(seen.exists, "the item at B")
    evil.stop()
    a.up()
    after = a.write_session("written after it")
    until(lambda: b.peek(after.id), "the next session at B")

    assert b.run("status", "--check", check=False).code == 0
    assert b.json("status")["projects"][0]["refused"] == {}
    assert b.peek(session.id)


def test_observations_can_be_shared_and_sessions_kept(
    pair: tuple[MemoryMember, MemoryMember],
) -> None:
    a, b = pair
    a.run("subscription", "change", "repo", "--content", "observations", "--yes")
    a.run("observation", "share", "repo", "--yes")
    session = a.write_session("a session that stays")
    add(a, "an observation that leaves")
    until(lambda: titles(b) == {"an observation that leaves"}, "the observation at B")

    assert not b.peek(session.id)
    assert b"a session that stays" not in raw_outbox(a)


def test_unrelated_projects_leak_nothing(pair: tuple[MemoryMember, MemoryMember]) -> None:
    a, b = pair
    other = a.clone("git@example.org:acme/secret.git", "secret")
    engram = EngramHome(a.folder / "engram")
    engram.session("s1", a.repo)
    engram.session("s2", other, "secret")
    engram.save("of the project")
    engram.save("of another project", session_id="s2", project="secret")
    engram.save("of another project by name", session_id="none", project="secret")
    engram.save("of no known project", session_id="none", project="who-knows")
    write_chunk(a.repo / ".engram", [row("in the folder", project="secret")], "alice")
    add(a, "added elsewhere", "--project", "example.org/acme/secret")
    a.run("observation", "share", "repo", "--yes", "--author", "alice")
    until(lambda: titles(b) == {"of the project"}, "the observation at B")

    outbox = raw_outbox(a)
    for needle in (b"another project", b"no known", b"in the folder", b"added elsewhere"):
        assert needle not in outbox


def test_what_is_imported_is_shared_as_ones_own(pair: tuple[MemoryMember, MemoryMember]) -> None:
    a, b = pair
    a.run("observation", "share", "repo", "--yes")
    old = a.folder / "old-laptop"
    write_chunk(old / ".engram", [row("from the old laptop")], "old-me")
    write_chunk(old / ".engram", [row("by a colleague")], "colleague")
    command = ("observation", "import", "--engram", str(old), "--project", "repo")

    assert a.run(*command, "--author", "old-me", check=False).code == 8
    result = a.json(*command, "--author", "old-me", "--yes")
    assert (result["chunks_imported"], result["observations_imported"]) == (1, 1)
    until(lambda: titles(b) == {"from the old laptop"}, "what was imported at B")
    assert a.json(*command, "--author", "old-me", "--yes")["chunks_skipped"] == 2
    b.run("decline", "repo")
    refused = b.run(*command, check=False)
    assert (refused.code, "no-subscription" in refused.err) == (6, True)


def test_accepting_twice_is_once(pair: tuple[MemoryMember, MemoryMember]) -> None:
    a, b = pair
    add(a, "once")
    for _ in range(2):
        a.run("observation", "share", "repo", "--yes")
    until(lambda: titles(b) == {"once"}, "the observation at B")

    assert len(b.json("observation", "list", "--private")["observations"]) == 1
    assert json.loads(a.run("observation", "status", "--json").out)["pending"] == 0


def test_alone_ones_own_are_counted_and_found(here: MemoryTown) -> None:
    emma = here.member("emma")
    add(emma, "Fixed alone")

    counts = emma.json("observation", "status")
    assert (counts["local"], counts["remote"], counts["pending"]) == (1, 0, 0)
    assert emma.json("observation", "status", "--project", "other", "--private")["local"] == 0
    assert "Next: karma-sync observation list --mine" in emma.run("observation", "list").out
    assert "Fixed alone" in emma.run("observation", "list", "--mine").out
