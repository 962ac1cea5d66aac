"""A member comes back after a week in which much happened: who leads, who is there, what was said.

A leads B, C, D and E. While E is away, E's last contact with the others is long gone: B takes over
from A, a member is removed, another one leaves and comes back, projects come and go, and 300
sessions are written.
"""

from dataclasses import dataclass

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up, wait_for_offer
from tests.support.transcripts import Session

pytestmark = [pytest.mark.memory, pytest.mark.slow]

SESSIONS = 300


@dataclass(frozen=True)
class Week:
    """The changes while E was away: `withdrawn` was unshared or retracted, `removed` is gone."""

    a: Member
    b: Member
    c: Member
    d: Member
    e: Member
    before: dict[str, Session]
    written: list[Session]
    withdrawn: list[Session]
    removed: Session


@pytest.fixture(scope="module")
def week(town: Town) -> Week:
    a, b, c, d, e = members = town.members("alice", "bob", "carol", "dave", "erin")
    found_team(*members)
    share(*members)
    before = {m.user: m.write_session(f"by {m.user}") for m in members}
    for member in members:
        member.until_readable(*before.values())
    a.run("team", "successors", "bob", "--yes")
    until(lambda: _roles(b)["bob.box"] == "successor 1", "B to know")
    e.down()

    a.down()
    b.run("team", "take-over", "--yes")
    b.run("team", "rename", "taken")
    until(lambda: _leader(c) == b.tag, "C follows")
    b.run("team", "remove", "carol", "--retract", "--yes")
    until(lambda: c.tag not in _roles(d), "C gone at D")
    until(lambda: not c.json("team", "list")["teams"], "C to know")
    removed = c.write_session("after the removal")
    a.up()
    until(lambda: _leader(a) == b.tag, "A steps down")
    docs = {m: m.clone("git@example.org:acme/docs.git", "docs") for m in (a, b, d)}
    b.run("project", "share", str(docs[b]), "--yes")
    for member in (a, d):
        wait_for_offer(member, "docs")
        member.run("accept", "docs", "--yes")
    by_day = (a, b, d)
    written = [by_day[n % 3].write_session(f"number {n}", odd=False) for n in range(SESSIONS)]
    for reader in by_day:
        reader.until_readable(written[-1], written[-2], written[-3], *written[::50])
    a.run("session", "unshare", before["alice"].id, "--yes")
    for reader in (b, d):
        until(lambda r=reader: r.peek(before["alice"].id) is None, f"withdrawn at {reader.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    return Week(a, b, c, d, e, before, written, [before["alice"], before["carol"]], removed)


def test_who_was_away_learns_all_of_it_and_reads_everything(week: Week) -> None:
    e, present = week.e, (week.a, week.b, week.d)
    own = e.write_session("by erin, offline")
    up(e)

    until(lambda: _leader(e) == week.b.tag, "E follows B")
    shown = e.json("team", "show")
    assert (shown["name"], shown["term"]) == ("taken", 3)
    assert set(_roles(e)) == {m.tag for m in (*present, e)}
    e.until_readable(*week.written)
    for member in present:
        member.until_readable(own)
    for session in week.withdrawn:
        until(lambda s=session: e.peek(s.id) is None, "what was withdrawn is gone at E")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    kept = {week.before["bob"].id, week.before["dave"].id, week.before["erin"].id, own.id}
    listed = e.json("session", "list", "--limit", "1000")["sessions"]
    assert {s["id"] for s in listed} == kept | {s.id for s in week.written}
    wait_for_offer(e, "docs")


def test_who_was_removed_meanwhile_is_no_peer_of_who_comes_back(week: Week) -> None:
    gone = week.c.json("code")["device"]
    until(lambda: gone not in _shared(week.e), "C in no folder at E")

    assert [m.peek(week.removed.id) for m in (week.a, week.b, week.d, week.e)] == [None] * 4
    after = week.e.write_session("after E came back")
    for reader in (week.a, week.b, week.d):
        reader.until_readable(after)
    assert week.c.peek(after.id) is None
    assert {s["author"] for s in week.c.sessions()} <= {week.c.tag}


def _roles(member: Member) -> dict[str, str]:
    return {m["tag"]: m["role"] for m in member.json("team", "show")["members"]}


def _leader(member: Member) -> str:
    (found,) = [tag for tag, role in _roles(member).items() if role == "leader"]
    return found


def _shared(member: Member) -> set[str]:
    """The devices with which a member shares folders of items or documents."""
    return {
        device["deviceID"]
        for folder in member.rest("config/folders")
        if not folder["id"].startswith("ks-r-")
        for device in folder["devices"]
    }
