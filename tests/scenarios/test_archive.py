"""The archive keeps own sessions, alone or in a team; nothing of it gets into an outbox."""

import hashlib
import json
import shutil

import pytest

from tests.support.disks import places_of
from tests.support.harness import PROJECT, REMOTE, Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

PRIVATE = "what-only-the-archive-may-have"


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    return town.pair()


def until_archived(member: Member, *sessions: Session) -> None:
    """Wait until the archive has these sessions as they are on the agent's disk."""
    for session in sessions:
        until(lambda s=session: _raw_archived(member, s) == s.content, f"{session.id} archived")  # type: ignore[misc] # mypy cannot infer a lambda with a default


def _raw_archived(member: Member, session: Session) -> bytes | None:
    done = member._execute(("session", "show", session.id, "--archived", "--raw"))
    return done.stdout if done.returncode == 0 else None


def _swept(session: Session) -> bytes:
    """The transcript, after the agent deleted the session."""
    content = session.content
    session.path.unlink()
    shutil.rmtree(session.path.with_suffix(""), ignore_errors=True)
    return content


def _listed(member: Member, session: Session) -> dict[str, object]:
    return next(s for s in member.listed() if s["id"] == session.id)


def test_nothing_of_the_archive_is_in_an_outbox_or_in_the_library(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    session = a.write_session(f"<private>{PRIVATE}</private> hello")
    withheld = a.write_withheld(f"{PRIVATE} too")
    b_has = until(lambda: b.peek(session.id), "the session at bob") or b""
    until_archived(a, session, withheld)

    assert PRIVATE.encode() not in b_has
    assert PRIVATE.encode() in (_raw_archived(a, session) or b"")
    for place in (a.paths.folders, a.paths.library, a.paths.syncthing, b.home):
        assert places_of([PRIVATE.encode()], place) == []


def test_no_file_of_the_archive_is_linked_and_no_hash_is_shared(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    plain = a.write_session("x" * 700_000, odd=False)  # full chunks, with nothing cut in them
    b.until_readable(plain)
    until_archived(a, plain)
    archive = [p for p in a.paths.archive.rglob("*") if p.is_file()]

    assert archive
    assert {p.stat().st_nlink for p in archive} == {1}
    others = [p for root in (a.paths.folders, a.paths.library) for p in root.rglob("*")]
    chunks = {p.stem for p in others if p.suffix == ".zst"}
    assert chunks
    raw = b"".join(p.read_bytes() for p in archive)
    assert not any(name.encode() in raw for name in chunks)
    content = plain.content
    names = {hashlib.sha256(content[at : at + 2**18]).hexdigest() for at in (0, 2**18)}
    assert names <= chunks, "the outbox is named by what the archive holds too"


def test_a_swept_session_is_listed_and_shown_and_comes_back_and_stays_here(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    session = a.write_session(f"{PRIVATE} of another repository", cwd=a.folder / "notes")
    until_archived(a, session)
    content = _swept(session)

    listed = _listed(a, session)
    assert listed["archived"] is True
    assert listed["source"] == "deleted"
    assert "only here" in a.run("session", "show", session.id[:8]).out
    found = a.run("search", "--regex", f"{PRIVATE} of an[a-z]+ repo").out
    assert found.startswith(f"{session.id[:4]}")
    assert f", {str(a.folder)[:50]}" in found, "it belongs to no project: the directory is named"
    assert a.raw(session.id) == content

    done = a.run("session", "restore", session.id[:8])
    assert "is back" in done.out
    assert f"claude --resume {session.id}" in done.out
    assert session.content == content


def test_a_restored_session_of_the_project_stays_here_until_it_is_shared(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    place = a.clone(REMOTE, "kept-here")
    a.run("exclude", str(place))
    session = a.write_session("restored and shared later", cwd=place)
    until_archived(a, session)
    assert b.peek(session.id) is None
    content = _swept(session)
    a.run("exclude", "--remove", str(place), "--yes")

    a.run("session", "restore", session.id)
    last = a.write_session("a later session that leaves")
    b.until_readable(last)
    assert b.peek(session.id) is None

    a.run("session", "share", session.id, "--yes")
    b.until_readable(session)
    assert session.content == content


def test_a_restored_session_that_is_out_stays_out_unchanged(pair: tuple[Member, Member]) -> None:
    a, b = pair
    session = a.write_session("out already")
    b.until_readable(session)
    until_archived(a, session)
    content = _swept(session)
    before = _listed(b, session)

    a.run("session", "restore", session.id)
    last = a.write_session("a later one")
    b.until_readable(last)
    assert _listed(b, session) == before
    session.append("resumed")
    last.append("more")
    b.until_readable(last)

    assert b.peek(session.id) == content


def test_restoring_what_the_agent_has_changes_nothing(pair: tuple[Member, Member]) -> None:
    a, _ = pair
    session = a.write_session("still there")
    until_archived(a, session)

    done = a.run("session", "restore", session.id, check=False)

    assert done.code == 6
    assert "the agent has session" in done.err
    held = a.json("session", "list")["held"]
    assert session.id not in {one["session"] for one in held}


def test_a_purged_session_is_forgotten_for_good(pair: tuple[Member, Member]) -> None:
    a, _ = pair
    session = a.write_session("zebra-finch", cwd=a.folder / "notes")
    until_archived(a, session)

    refused = a.run("session", "purge", session.id, check=False)
    assert refused.code == 8
    assert _raw_archived(a, session) == session.content
    a.run("session", "purge", session.id, "--yes")
    session.append("more of it")
    marker = a.write_session("a marker", cwd=a.folder / "notes")
    until_archived(a, marker)

    assert _raw_archived(a, session) is None
    assert session.id not in {s["id"] for s in a.listed()}
    assert places_of([b"zebra-finch"], a.paths.archive) == []
    assert session.id.encode() not in b"".join(
        p.read_bytes() for p in a.paths.archive.rglob("*.pack")
    )


def test_purge_takes_the_key_that_json_gives_and_minds_the_agent(
    pair: tuple[Member, Member],
) -> None:
    a, _ = pair
    session = a.write_session("by its key", cwd=a.folder / "notes")
    until_archived(a, session)
    key = str(_listed(a, session)["key"])

    wrong = a.run("session", "purge", key, "--agent", "codex", "--yes", check=False)
    assert wrong.code == 5
    a.run("session", "purge", key, "--agent", "claude-code", "--yes")

    assert _raw_archived(a, session) is None


def test_unshare_and_redact_tell_that_the_archive_has_it(pair: tuple[Member, Member]) -> None:
    a, b = pair
    session = a.write_session("called back")
    b.until_readable(session)
    until_archived(a, session)

    told = a.run("session", "unshare", session.id)
    redacted = a.run("redact", "--literal", stdin="some-text-nobody-has")

    assert f"session purge {session.id[:8]}" in told.out
    assert "archive" in redacted.out


def test_status_tells_what_the_archive_holds_and_offers_to_purge(
    pair: tuple[Member, Member],
) -> None:
    a, _ = pair
    place = a.folder / "purged-project"
    sessions = [a.write_session(f"session {n}", cwd=place) for n in range(2)]
    other = a.write_session("of another project")
    until_archived(a, other, *sessions)
    shutil.rmtree(sessions[0].path.parent)  # as `claude project purge` does
    a.down()
    a.up()  # it looks at everything, as it does every ten minutes

    until(lambda: a.json("status")["archive"]["purged"], "the purge is noticed")
    shown = a.run("status").out
    assert f"session purge --directory {place}" in shown
    a.run("session", "purge", "--directory", str(place), "--yes")

    assert a.json("status")["archive"]["purged"] == []
    assert _raw_archived(a, other) == other.content


def test_only_in_scope(pair: tuple[Member, Member]) -> None:
    a, _ = pair
    here = a.write_session("in the repository")
    there = a.write_session("elsewhere", cwd=a.folder / "notes")
    until_archived(a, here, there)

    def ids(*options: str) -> set[str]:
        return {s["id"] for s in a.json("session", "list", *options)["sessions"]}

    assert {here.id, there.id} <= ids()
    assert there.id not in ids("--project", PROJECT)
    assert there.id not in ids("--team", "backend")
    assert there.id not in ids("--agent", "codex")
    assert {here.id, there.id} <= ids("--agent", "claude-code")


def test_a_config_that_turns_it_off_is_obeyed_and_told(town: Town) -> None:
    member = town.member("olga")
    config = member.paths.settings
    config.write_text(config.read_text().replace('archive = "all"', 'archive = "off"'))
    member.up()
    session = member.write_session("hello")

    def passed() -> bool:
        return bool(member.json("status")["daemon"])

    until(passed, "the daemon is up")
    assert _raw_archived(member, session) is None
    assert not member.paths.archive_db.exists()
    assert json.loads(member.run("status", "--json").out)["archive"]["keep"] == "off"
