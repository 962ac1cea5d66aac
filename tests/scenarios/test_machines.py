"""Two machines of one person in a team: both must say so, and nobody else's word counts."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


def machine(town: Town, user: str, name: str) -> Member:
    """A further machine of a user who has a `box`; its daemon is not up yet."""
    found = town.member(f"{user}-{name}")
    found.run("rename", "--user", user, "--machine", name)
    found.tag = f"{user}.{name}"
    return found


def author_of(member: Member, session: Session) -> str:
    """The name of a session's author in the list of sessions."""
    line = next(line for line in member.run("session", "list").lines if session.id[:4] in line)
    return next(word for word in line.split() if word.split(".")[0] in ("alice", "you", "rosa"))


def others(member: Member) -> dict[str, Any]:
    """The other machines in `machine list`, by tag."""
    return {m["tag"]: m for m in member.json("machine", "list")["others"]}


def tags_of(member: Member) -> set[str]:
    """The members of its only team, as a member sees it."""
    return {m["tag"] for m in member.json("team", "show")["members"]}


def claims(member: Member) -> list[dict[str, Any]]:
    """The members in this member's inbox that are said to be another machine of it."""
    return list(member.json("inbox")["machines"])


@dataclass(frozen=True)
class Three:
    """Bob leads; alice has two machines in his team. Each machine sent one session."""

    bob: Member
    box: Member
    desk: Member
    first: Session
    second: Session


@pytest.fixture(scope="module")
def three(town: Town) -> Three:
    bob, box = town.member("bob"), town.member("alice")
    desk = machine(town, "alice", "desk")
    up(bob, box, desk)
    found_team(bob, box, desk)
    share(bob, box, desk)
    first, second = box.write_session("on the box"), desk.write_session("on the desk")
    for member in (bob, box, desk):
        member.until_readable(first, second)
    return Three(bob, box, desk, first, second)


def test_two_members_with_one_user_name_are_two_until_both_say_otherwise(three: Three) -> None:
    bob, box, desk = three.bob, three.box, three.desk
    assert author_of(bob, three.first) == "alice.box"
    assert author_of(box, three.second) == "alice.desk"

    refused = box.run("machine", "add", "alice.desk", check=False)
    assert (refused.code, "--yes" in refused.err) == (8, True)
    assert others(box) == {}
    box.run("machine", "add", "alice.desk", "--yes")
    (asked,) = until(lambda: claims(desk), "the desk is asked")
    assert (asked["tag"], asked["by_leader"]) == ("alice.box", False)
    assert asked["fingerprint"] == box.json("code")["fingerprint"]
    assert "alice.box is said to be another machine of yours" in desk.run("status").out
    assert author_of(bob, three.first) == "alice.box", "one side alone does not count"
    assert others(box)["alice.desk"]["agreed"] is False

    desk.run("invitation", "accept", asked["id"])
    until(lambda: author_of(bob, three.first) == "alice", "one name at a third member")
    assert author_of(bob, three.second) == "alice"
    assert author_of(box, three.second) == "alice"
    assert author_of(box, three.first) == "you"
    assert others(desk)["alice.box"]["agreed"] is True
    said = bob.run("events", "--type", "machine added").lines
    assert len(said) == 1
    assert "another machine of alice.box" in said[0]


def test_taken_back_by_one_they_are_two_again(three: Three) -> None:
    three.box.run("machine", "remove", "alice.desk")

    until(lambda: author_of(three.bob, three.first) == "alice.box", "two names")
    assert others(three.box) == {}
    assert "machine removed" in three.bob.run("events").out
    three.box.run("machine", "add", "alice.desk", "--yes")
    until(lambda: author_of(three.bob, three.first) == "alice", "one name again")


def test_a_database_that_is_lost_keeps_what_was_said(three: Three) -> None:
    three.desk.down()
    for path in three.desk.paths.state_db.parent.glob("state.db*"):
        path.unlink()
    three.desk.up()

    until(lambda: others(three.desk).get("alice.box", {}).get("agreed"), "the machine")
    assert author_of(three.bob, three.first) == "alice"


def test_the_leader_asks_both_and_decides_nothing(town: Town, three: Three) -> None:
    """`team add --same-person` is a question to the two; a no holds."""
    laptop = machine(town, "alice", "lap")
    laptop.up()
    laptop.run("pair", three.bob.code)
    three.bob.run("team", "add", laptop.code, "--same-person", "--yes")
    (asked,) = until(lambda: claims(three.box), "the box is asked")
    assert (asked["tag"], asked["by_leader"]) == ("alice.lap", True)
    assert len(until(lambda: claims(laptop), "the laptop is asked")) == 2

    three.box.run("invitation", "decline", asked["id"])
    laptop.run("machine", "add", "alice.box", "--yes")
    laptop.run("machine", "add", "alice.desk", "--yes")
    (at_desk,) = until(lambda: [c for c in claims(three.desk) if not c["by_leader"]], "its word")
    three.desk.run("invitation", "accept", at_desk["id"])
    until(lambda: others(laptop)["alice.desk"]["agreed"], "the desk agreed")
    assert claims(three.box) == [], "a no is not asked again"
    assert others(laptop)["alice.box"]["agreed"] is False
    assert author_of(three.bob, three.second) == "alice.desk", "three machines, and one says no"


def test_a_stranger_with_the_same_user_name_is_refused_without_one_of_that_name(
    town: Town, three: Three
) -> None:
    other = town.member("zoe")
    refused = three.bob.run("team", "add", other.code, "--same-person", "--yes", check=False)

    assert (refused.code, "no member zoe" in refused.err) == (5, True)
    both = ("--same-person", "--replace", "--yes")
    assert three.bob.run("team", "add", other.code, *both, check=False).code == 2
    assert three.box.run("machine", "add", "nobody.here", "--yes", check=False).code == 5
    assert three.box.run("machine", "add", "alice.box", "--yes", check=False).code == 2


def test_another_machine_takes_back_what_a_removed_one_sent(town: Town) -> None:
    """And so does the leader, later; nobody else can."""
    rosa, box = town.member("tom"), town.member("rosa")
    desk = machine(town, "rosa", "desk")
    up(rosa, box, desk)
    found_team(rosa, box, desk, name="ended")
    share(rosa, box, desk)
    sent = {m.tag: m.write_session(f"by {m.tag}") for m in (rosa, box, desk)}
    for member in (rosa, box, desk):
        member.until_readable(*sent.values())
    box.run("machine", "add", "rosa.desk", "--yes")
    desk.run("machine", "add", "rosa.box", "--yes")
    until(lambda: author_of(rosa, sent["rosa.box"]) == "rosa", "one person")
    rosa.run("team", "remove", "rosa.desk", "--yes")
    until(lambda: "rosa.desk" not in tags_of(box), "removed")
    assert rosa.peek(sent["rosa.desk"].id), "what it sent stays"

    box.run("team", "retract", "rosa.desk", "--yes")
    for member in (rosa, box):
        until(lambda m=member: m.peek(sent["rosa.desk"].id) is None, f"gone at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert member.peek(sent["rosa.box"].id)
    again = box.run("team", "retract", "rosa.desk", "--yes", check=False)
    assert (again.code, "taken back before" in again.err) == (6, True)
    assert box.run("team", "retract", "nobody.box", "--yes", check=False).code == 5


def test_who_is_no_machine_of_the_removed_one_takes_nothing_back(town: Town) -> None:
    lead, gone, other = (town.member(name) for name in ("lena", "max", "nils"))
    up(lead, gone, other)
    found_team(lead, gone, other, name="kept")
    share(lead, gone, other)
    sent = gone.write_session("it stays until the leader says so")
    for member in (lead, other):
        member.until_readable(sent)
    lead.run("team", "remove", "max", "--yes")
    until(lambda: "max.box" not in tags_of(other), "removed")

    refused = other.run("team", "retract", "max.box", "--yes", check=False)
    assert (refused.code, "another machine of max.box's person" in refused.err) == (12, True)
    assert other.peek(sent.id)
    asks = lead.run("team", "retract", "max.box", check=False)
    assert (asks.code, lead.peek(sent.id) is not None) == (8, True)
    lead.run("team", "retract", "max.box", "--yes")
    for member in (lead, other):
        until(lambda m=member: m.peek(sent.id) is None, f"gone at {member.tag}")  # type: ignore[misc] # as above
