"""The ledger tells who has what, what stays with others, what is gone: after any loss."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.scenarios.test_unshare import called_back, confirmed, ledger
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

WORD = "a-word-that-got-out"


@dataclass
class Story:
    """A sends three sessions to B and C; the tests go on from one another."""

    a: Member
    b: Member
    c: Member
    sessions: list[Session]


@pytest.fixture(scope="module")
def story(town: Town) -> Story:
    a, b, c = town.members("alice", "bob", "carol")
    sessions = [a.write_session(f"{n} says {WORD}", odd=False) for n in ("one", "two", "three")]
    found_team(a, b, c)
    share(a, b, c)
    for member in (b, c):
        member.until_readable(*sessions)
    until(lambda: len(_confirmed(a, sessions[0])) == 2, "both confirm")
    return Story(a, b, c, sessions)


def test_who_is_away_has_not_confirmed_what_came_since(story: Story) -> None:
    a, b, c = story.a, story.b, story.c
    one, two, _ = story.sessions
    c.down()
    one.append("more")
    until(lambda: _confirmed(a, one) == {b.tag}, "B confirms what was appended")

    assert _confirmed(a, two) == {b.tag, c.tag}
    assert _receivers(a)[c.tag]["items"] == 2
    assert _line(a, one).endswith(f"{b.tag}, not yet {c.tag}")


def test_nobody_has_confirmed_more_than_there_is(story: Story) -> None:
    a, c = story.a, story.c
    three = story.sessions[2]
    a.run("session", "unshare", three.id)
    until(lambda: confirmed(a, "retracted") == {story.b.tag}, "B confirms")

    assert f"{c.tag} has confirmed 1 of 2; last seen" in a.run("status").out
    assert f"withdrawn; gone at {story.b.tag}, not yet {c.tag}" in _line(a, three)


def test_what_is_unshared_is_not_said_to_leave(story: Story) -> None:
    a, three = story.a, story.sessions[2]
    (way,) = a.json("session", "preview", three.id)["ways"]
    refused = a.run("session", "share", three.id, "--yes", check=False)
    shown = a.run("subscription", "change", "repo", "--dry-run").out

    assert (way["outcome"], way["why"]) == ("unshared", "you unshared it")
    assert refused.code == 6
    assert f"try: karma-sync session unshare {three.id} --undo" in refused.err
    assert "sends now:   2 sessions" in shown
    assert "stays here:  1 session that you unshared" in shown


def test_who_has_not_confirmed_a_redaction_is_told_after_the_loss_of_every_database(
    story: Story,
) -> None:
    a, b, c = story.a, story.b, story.c
    a.run("redact", "--literal", stdin=WORD)
    until(lambda: confirmed(a, "redacted anew") == {b.tag}, "B confirms")
    before = {s["session"]: _facts(s) for s in a.json("sent")["sent"]}
    assert set(before) == {session.id for session in story.sessions}

    for store in (a.paths.state_db, a.paths.library_db, a.paths.work_db):
        a.down()
        for path in store.parent.glob(f"{store.name}*"):
            path.unlink()
        a.up()
        until(lambda: _facts_of(a) == before, f"the ledger after the loss of {store.name}")
        until(lambda: confirmed(a, "redacted anew") == {b.tag}, "B has confirmed")
        (said,) = (each for each in called_back(a) if each["what"] == "redacted anew")
        assert (said["sessions"], said["waiting"]) == (2, [c.tag])

    c.up()
    until(lambda: confirmed(a, "redacted anew") == {b.tag, c.tag}, "C confirms")
    until(lambda: confirmed(a, "retracted") == {b.tag, c.tag}, "C confirms the other too")


def test_who_sends_no_more_is_told_that_what_left_stays(story: Story) -> None:
    a, b = story.a, story.b
    one = story.sessions[0]
    until(lambda: _confirmed(a, one) == {b.tag, story.c.tag}, "all confirm")
    done = a.run("subscription", "change", "repo", "--direction", "receive")
    until(lambda: not a.outboxes(), "the outbox is gone")

    assert "Sent sessions stay with their receivers" in done.out
    assert _line(a, one).endswith(f"kept by {b.tag}, {story.c.tag}; no more of it is sent")
    assert ledger(a, one)["state"] == "stays"
    assert b.peek(one.id)
    refused = a.run("session", "unshare", one.id, check=False)
    assert refused.code == 6
    assert "--direction receive --retract" in refused.err
    told = a.run("redact", "--literal", stdin="another text").out
    assert "what you sent stays with the receivers, until you type" in told


def test_what_left_is_taken_back_though_nothing_is_sent_any_more(story: Story) -> None:
    a, b, c = story.a, story.b, story.c
    one = story.sessions[0]
    wrong = a.run("subscription", "change", "repo", "--direction", "both", "--retract", check=False)
    assert wrong.code == 2
    c.down()
    a.run("subscription", "change", "repo", "--direction", "receive", "--retract")
    until(lambda: b.peek(one.id) is None, "it is gone at B")
    until(lambda: confirmed(a, "withdrawn") == {b.tag}, "B confirms, C is away")

    assert f"1 of 2 confirmed, the others last seen: {c.tag}" in a.run("status").out
    assert f"withdrawn; gone at {b.tag}, not yet {c.tag}" in _line(a, one)
    c.up()
    until(lambda: confirmed(a, "withdrawn") == {b.tag, c.tag}, "C confirms")
    assert c.peek(one.id) is None
    assert a.run("session", "unshare", one.id, check=False).code == 6


def test_a_decline_is_confirmed_too(story: Story) -> None:
    a, b, c = story.a, story.b, story.c
    two = story.sessions[1]
    a.run("subscription", "change", "repo", "--direction", "both", "--yes")
    until(lambda: b.peek(two.id) and c.peek(two.id), "sent anew")
    until(lambda: called_back(a) == [], "what is gone everywhere needs no line any more")
    until(lambda: _open(a, two)["to"] and _has_all(_open(a, two)), "all confirm")
    asked = a.run("decline", "repo", check=False)
    assert (asked.code, "that you sent will be withdrawn everywhere" in asked.out) == (8, True)
    assert a.json("subscription", "list")["subscriptions"][0]["status"] == "accepted"
    a.run("decline", "repo", "--yes")
    until(lambda: confirmed(a, "withdrawn") == {b.tag, c.tag}, "both confirm")

    assert b.peek(two.id) is None
    assert c.peek(two.id) is None
    rows = [s for s in a.json("sent")["sent"] if s["session"] == two.id]
    assert {row["state"] for row in rows} == {"withdrawn"}
    assert all(d["gone"] for row in rows for d in row["to"])


def test_what_a_crash_left_of_a_closed_channel_is_deleted(story: Story) -> None:
    b = story.b
    b.down()
    left = b.paths.folders / f"ks-c-{'a' * 26}" / "items"
    left.mkdir(parents=True)
    (left / "withdrawn.ks").write_text("what the daemon was killed before it could delete")
    b.up()
    until(lambda: not left.parent.exists(), "that it is gone")

    assert {path.name for path in b.paths.folders.glob("ks-c-*")} <= b.folders().keys()


def test_a_pause_holds_back_a_withdrawal_and_the_command_says_so(story: Story) -> None:
    b, c = story.b, story.c
    session = b.write_session("mine", odd=False)
    c.until_readable(session)
    b.run("subscription", "pause", "repo")

    told = b.run("session", "unshare", session.id).out
    assert "is paused: the other members hear of it when you resume" in told
    b.run("subscription", "resume", "repo")
    until(lambda: c.peek(session.id) is None, "it is gone at C")


def _confirmed(member: Member, session: Session) -> set[str]:
    return {d["tag"] for d in ledger(member, session)["to"] if d["confirmed"]}


def _receivers(member: Member) -> dict[str, Any]:
    (project,) = member.json("status")["projects"]
    return dict(project["receivers"])


def _line(member: Member, session: Session) -> str:
    return next(line for line in member.run("sent").lines if line.startswith(session.id[:8]))


def _facts(row: dict[str, Any]) -> tuple[Any, ...]:
    """The facts of a row that no loss may change.

    The size and the cuts of a withdrawn session are lost with work.db.
    """
    if row["withdrawn"]:
        return (row["state"], row["to"])
    return (row["state"], row["size"], row["cuts"], row["to"])


def _facts_of(member: Member) -> dict[str, tuple[Any, ...]]:
    return {s["session"]: _facts(s) for s in member.json("sent")["sent"]}


def _open(member: Member, session: Session) -> dict[str, Any]:
    rows = (s for s in member.json("sent")["sent"] if s["session"] == session.id)
    return next((row for row in rows if row["state"] == "out"), {"to": []})


def _has_all(row: dict[str, Any]) -> bool:
    return all(d["confirmed"] for d in row["to"])


def test_what_was_confirmed_before_a_decline_still_counts(town: Town) -> None:
    a, b = town.members("gil", "hal")
    found_team(a, b, name="later")
    share(a, b)
    kept, gone = a.write_session("kept"), a.write_session("withdrawn")
    b.until_readable(kept, gone)
    a.run("session", "unshare", gone.id)
    until(lambda: _by_session(a, gone)["gone"], "the withdrawal is confirmed")
    until(lambda: _by_session(a, kept)["confirmed"], "the other one too")
    b.down()

    a.run("decline", "repo", "--yes")

    assert _by_session(a, gone) == {"tag": b.tag, "confirmed": False, "gone": True}
    assert _by_session(a, kept) == {"tag": b.tag, "confirmed": True, "gone": False}


def _by_session(member: Member, session: Session) -> dict[str, Any]:
    """The confirmation of a session by its one receiver."""
    (row,) = (s for s in member.json("sent")["sent"] if s["session"] == session.id)
    (to,) = row["to"]
    return dict(to)
