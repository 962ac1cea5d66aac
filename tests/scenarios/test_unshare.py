"""A session is called back: it goes from every disk, also at who was away, and stays gone."""

from typing import Any

import pytest

from tests.support.disks import places_of
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")

NEEDLE = "the-plan-that-nobody-may-see"
OTHER = "what-may-stay"
LONG = 700_000  # bytes: full chunks, and an end


def called_back(member: Member) -> list[dict[str, Any]]:
    """The recalls that `status` lists."""
    return [c for p in member.json("status")["projects"] for c in p["called_back"]]


def confirmed(member: Member, what: str) -> set[str]:
    """The members that confirmed everything of that kind."""
    found = [set(c["confirmed"]) for c in called_back(member) if c["what"] == what]
    return set.intersection(*found) if found else set()


def ledger(member: Member, session: Session) -> dict[str, Any]:
    (found,) = (s for s in member.json("sent")["sent"] if s["session"] == session.id)
    return dict(found)


class Story:
    def __init__(self, members: list[Member], secret: Session, other: Session) -> None:
        self.members = members
        self.secret = secret
        self.other = other


@pytest.fixture(scope="module")
def story(town: Town) -> Story:
    a, b, c = members = town.members("alice", "bob", "carol")
    secret = a.write_session(NEEDLE, f"{NEEDLE} {'x' * LONG}", odd=False)
    secret.beside("subagents/agent-1.jsonl", f'{{"say": "{NEEDLE}"}}\n'.encode())
    other = a.write_session(OTHER, odd=False)
    found_team(a, b, c)
    share(a, b, c)
    for member in (b, c):
        member.until_readable(secret, other)
    for member in members:
        assert places_of([NEEDLE.encode()], member.home)
    c.down()
    a.run("session", "unshare", secret.id[:8])
    return Story(members, secret, other)


def test_it_goes_from_every_disk_and_stays_gone(story: Story) -> None:
    a, b, c = story.members
    until(lambda: confirmed(a, "retracted") == {b.tag}, "B confirms, C is away")
    (said,) = called_back(a)
    assert places_of([NEEDLE.encode()], b.folder) == []
    assert places_of([OTHER.encode()], b.folder)
    for shared in (a.paths.folders, a.paths.library, a.paths.syncthing):  # not what it reads from
        assert places_of([NEEDLE.encode()], shared) == []
    assert said["waiting"] == [c.tag]
    assert f"1 of 2 confirmed, the others last seen: {c.tag}" in a.run("status").out
    assert places_of([NEEDLE.encode()], c.home), "C has it still: it is off"

    a.down()  # C must learn it from B
    c.up()
    until(lambda: not places_of([NEEDLE.encode()], c.home), "gone at C")
    a.up()
    until(lambda: confirmed(a, "retracted") == {b.tag, c.tag}, "C confirms")

    for member in story.members:
        folder = member.paths.folders if member is a else member.folder
        assert places_of([NEEDLE.encode()], folder) == []
        assert member.peek(story.other.id) == story.other.content
        assert [s["id"] for s in member.sessions()] == [story.other.id]
    withdrawn = ledger(a, story.secret)
    assert withdrawn["withdrawn"]
    assert all(d["gone"] for d in withdrawn["to"])
    assert len(withdrawn["to"]) == 2
    assert a.json("status")["stuck"] == b.json("status")["stuck"] == []


def test_what_is_written_to_it_later_does_not_leave(story: Story) -> None:
    a, b, _ = story.members
    story.secret.append("and more of it")
    story.other.append("goes on")
    b.until_readable(story.other)

    assert places_of([b"and more of it"], a.paths.folders) == []
    assert b.peek(story.secret.id) is None


def test_a_lost_database_does_not_let_it_leave_again(story: Story) -> None:
    a, b, _ = story.members
    a.down()
    for name in ("state.db", "work.db"):
        for path in a.home.glob(f"{name}*"):
            path.unlink()
    a.up()
    story.other.append("after the loss")
    b.until_readable(story.other)

    assert places_of([NEEDLE.encode()], a.paths.folders) == []
    until(lambda: len(confirmed(a, "retracted")) == 2, "found again from outbox and receipts")


def test_what_is_shared_again_arrives_again(story: Story) -> None:
    a, b, c = story.members
    a.run("session", "unshare", story.secret.id[:8], "--undo", "--yes")

    for member in (b, c):
        member.until_readable(story.secret)
    assert [said for said in called_back(a) if said["what"] == "retracted"] == []
    assert [p for folder in a.outboxes() for p in folder.glob("retracted/*.json")] == []
