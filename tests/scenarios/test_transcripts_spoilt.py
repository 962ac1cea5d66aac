"""Transcripts that are cut short, replaced, torn, huge or closed to us: the others flow on."""

import json
import os
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from karma_sync.errors import Stuck
from tests.support.faults import Unprivileged, without_privileges
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up
from tests.support.transcripts import Session, lines

pytestmark = pytest.mark.daemon

TORN = 40  # bytes that a torn last line lacks


@dataclass(frozen=True)
class Pair:
    """Two members that share a project; permissions hold for A, whoever runs this."""

    a: Member
    b: Member

    def known(self, *said: str) -> Session:
        """A session of A's that has arrived at B."""
        session = self.a.write_session(*said)
        self.b.until_readable(session)
        return session

    def others_flow(self) -> None:
        """Wait for a new session of A to arrive: by then, all that A wrote before was looked at."""
        self.b.until_readable(self.a.write_session("another one"))


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    without_privileges()
    a, b = town.member("alice", kind=Unprivileged), town.member("bob")
    up(a, b)
    found_team(a, b)
    share(a, b)
    return Pair(a, b)


def test_a_transcript_that_was_cut_short_ends_at_the_peer_as_it_is(pair: Pair) -> None:
    session = pair.known(*(f"line {n} " + "x" * 2000 for n in range(400)))
    whole = session.content
    os.truncate(session.path, whole.rindex(b"\n", 0, len(whole) // 3) + 1)
    pair.b.until_readable(session)
    session.append("and on from there")
    pair.b.until_readable(session)


def test_a_transcript_that_was_written_anew_ends_at_the_peer_as_it_is(pair: Pair) -> None:
    session = pair.known(*(f"first {n} " + "x" * 2000 for n in range(200)))
    other = pair.a.write_session(*(f"second {n} " + "y" * 3000 for n in range(150)))
    content = other.content.replace(other.id.encode(), session.id.encode())
    session.path.write_bytes(content)  # the same file
    pair.b.until_readable(session)
    beside = session.path.with_suffix(".new")
    beside.write_bytes(content[: content.index(b"\n") + 1])
    beside.replace(session.path)  # another file under its name
    pair.b.until_readable(session)


def test_a_transcript_in_whose_place_a_directory_lies_stays_at_the_peer_as_it_was(
    pair: Pair,
) -> None:
    session = pair.known("before")
    content = session.content
    session.path.unlink()
    session.path.mkdir()
    (session.path / "inside.jsonl").write_text('{"type": "user"}\n')
    pair.others_flow()
    assert pair.b.raw(session.id) == content
    assert pair.a.run("status", "--check").code == 0

    shutil.rmtree(session.path)
    session.path.write_bytes(content)
    session.append("it is a file again")
    pair.b.until_readable(session)


def test_transcripts_that_vanish_while_they_are_read_hold_nothing_up_and_leave_no_fault(
    pair: Pair,
) -> None:
    model = pair.known("a model")
    grows = pair.known("it grows")
    stop = threading.Event()
    content = model.content * 50

    def come_and_go() -> None:
        number = 0
        while not stop.is_set():
            path = model.path.with_name(f"00000000-0000-4000-8000-{number % 20:012}.jsonl")
            path.write_bytes(content)
            stop.wait(0.01)
            path.unlink()
            number += 1

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for n in range(5):
            grows.append(f"meanwhile {n}")
            pair.b.until_readable(grows)
    finally:
        stop.set()
        thread.join()
    pair.others_flow()

    until(lambda: not pair.a.json("status")["stuck"], "nothing stuck at A")


def test_a_torn_last_line_arrives_when_it_is_whole(pair: Pair) -> None:
    session = pair.known("before")
    before = session.content
    more = lines(session.id, session.cwd, ("torn in two",), datetime.now(UTC))
    with session.path.open("ab") as out:
        out.write(more[:-TORN])
    pair.others_flow()
    whole_lines = (before + more[:-TORN]).rindex(b"\n") + 1
    until(
        lambda: pair.b.peek(session.id) == (before + more)[:whole_lines],
        "the whole lines, and nothing of the torn one, at B",
    )
    with session.path.open("ab") as out:
        out.write(more[-TORN:])
    pair.b.until_readable(session)


def test_a_line_of_six_megabytes_arrives(pair: Pair) -> None:
    session = pair.known("before")
    line = {"type": "user", "sessionId": session.id, "cwd": str(session.cwd)}
    with session.path.open("ab") as out:
        out.write(json.dumps(line | {"text": "q7 " * 2_000_000}).encode() + b"\n")
    session.append("after it")
    pair.b.until_readable(session)


def test_a_tool_result_that_is_too_large_stays_here_and_its_session_does_not(pair: Pair) -> None:
    session = pair.known("before")
    session.beside("tool-results/small.txt", b"small")
    for name in ("large.txt", "large2.txt"):
        path = session.path.with_suffix("") / "tool-results" / name
        with path.open("wb") as out:
            out.truncate(64_000_001)
    for said in ("after it", "and once more"):
        session.append(said)
        pair.b.until_readable(session)
    until(
        lambda: pair.b.peek(session.id, "tool-results/small.txt") == b"small", "the small one at B"
    )

    assert pair.b.peek(session.id, "tool-results/large.txt") is None
    told = [line for line in pair.a.run("events").lines if "larger than 64 MB" in line]
    assert sorted(line.split(": ")[2] for line in told) == [
        "'tool-results/large.txt'",
        "'tool-results/large2.txt'",
    ]
    assert pair.a.run("status", "--check").code == 0


def test_a_transcript_that_is_closed_to_us_is_named_and_arrives_when_it_is_open(
    pair: Pair,
) -> None:
    session = pair.known("before")
    before = session.content
    session.append("while it was closed")
    session.path.chmod(0)
    session.append("and more")  # by root, or by whoever had it open before
    failed = until(lambda: pair.a.json("status")["projects"][0]["failed"], "a failure at A")
    checked = pair.a.run("status", "--check", check=False)
    pair.others_flow()
    here = pair.b.peek(session.id)
    session.path.chmod(0o644)
    pair.b.until_readable(session)

    assert list(failed) == [session.id]
    assert "Permission denied" in failed[session.id]
    assert str(session.path) in failed[session.id]
    assert (checked.code, session.id in checked.err) == (Stuck.exit_code, True)
    assert here
    assert here.startswith(before)
    until(lambda: not pair.a.json("status")["stuck"], "nothing stuck at A")


@pytest.mark.parametrize("folder", ["", "tool-results", "tool-results/deep"])
def test_a_folder_of_a_session_that_is_closed_to_us_is_named_and_arrives_when_it_is_open(
    pair: Pair, folder: str
) -> None:
    session = pair.known("before")
    inside = session.path.with_suffix("") / "tool-results" / "deep"
    inside.mkdir(parents=True, exist_ok=True)
    (inside / "out.txt").write_bytes(b"what a tool said")
    name = "tool-results/deep/out.txt"
    until(lambda: pair.b.peek(session.id, name), "what a tool said at B")
    closed = session.path.with_suffix("") / folder
    closed.chmod(0)
    session.append("while it was closed")
    failed = until(lambda: pair.a.json("status")["projects"][0]["failed"], "a failure at A")
    checked = pair.a.run("status", "--check", check=False)
    pair.others_flow()
    at_peer = pair.b.peek(session.id, name)
    closed.chmod(0o755)
    pair.b.until_readable(session)

    assert at_peer == pair.b.peek(session.id, name) == b"what a tool said"
    assert list(failed) == [session.id]
    assert f"Permission denied: '{closed}'" in failed[session.id]
    assert (checked.code, session.id in checked.err) == (Stuck.exit_code, True)
    until(lambda: not pair.a.json("status")["stuck"], "nothing stuck at A")


def test_a_project_directory_that_is_closed_to_us_is_named_and_holds_nothing_up(
    pair: Pair,
) -> None:
    closed = pair.a.claude / "projects" / "-closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    pair.others_flow()
    pair.a.run("subscription", "pause", "repo")
    pair.a.run("subscription", "resume", "repo")  # has it look at all sessions
    pair.others_flow()
    faults = pair.a.json("status")["faults"]
    listed = pair.a.run("session", "list").out
    commands = (("project", "scan"), ("subscription", "change", "repo", "--dry-run"))
    said = [pair.a.run(*command).err for command in commands]
    closed.rmdir()

    assert "kept" not in listed  # nobody can tell what the agent deleted
    assert [f"{closed} cannot be read: its sessions are left out" in each for each in said] == [
        True,
        True,
    ]

    assert faults == {str(closed): "its sessions cannot be read: Permission denied"}
    assert pair.a.run("status", "--check").code == 0
