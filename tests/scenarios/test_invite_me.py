"""`invite --me`: another machine of the same person, with all projects on both, after a yes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from karma_sync.store import state
from tests.scenarios.test_invite import code_in, joined, paste, reading, refusal, until_refused
from tests.scenarios.test_machines import author_of, machine, others
from tests.support.harness import PROJECT, Member, Result, until
from tests.support.town import Town, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")

TEAM = "alice-machines"


def asking(member: Member) -> Callable[[], list[dict[str, Any]]]:
    """The requests that wait for a yes."""
    return lambda: list(member.json("inbox")["asking"])


def answers(member: Member) -> dict[str, tuple[str, str]]:
    """By project of the own team, status and direction of this machine's answer."""
    found = member.json("subscription", "list")["subscriptions"]
    return {s["project"]: (s["status"], s["direction"]) for s in found if s["team"] == TEAM}


@dataclass(frozen=True)
class Two:
    """Two machines of alice's, each with a session of its own and a project of its own."""

    box: Member
    desk: Member
    sent: Session
    back: Session
    alone: Session
    invited: Result


@pytest.fixture(scope="module")
def two(town: Town) -> Two:
    box, desk = town.member("alice"), machine(town, "alice", "desk")
    up(box, desk)
    sent, back = box.write_session("on the box"), desk.write_session("on the desk")
    place = desk.clone("git@example.org:acme/alone.git", "alone")
    alone = desk.write_session("long ago, of the desk alone", cwd=place, days_ago=90)
    invited = box.run("invite", "--me", "--no-wait", "--yes")
    pasted = paste(desk, code_in(invited), "--me")
    assert f"{PROJECT}: 1 session of yours would be sent, to your other machine." in pasted.out
    assert "example.org/acme/alone: 1 session of yours would be sent" in pasted.out
    (asked,) = until(asking(box), "the desk asks")
    assert not joined(desk, TEAM), "before the yes"
    assert desk.peek(sent.id) is None
    assert asked["fingerprint"] == desk.json("code")["fingerprint"]
    box.run("invitation", "accept", asked["id"])
    until(lambda: joined(desk, TEAM), "the desk in the team")
    return Two(box, desk, sent, back, alone, invited)


def test_all_projects_of_both_are_on_both_without_a_further_command(two: Two) -> None:
    two.desk.until_readable(two.sent)
    two.box.until_readable(two.back, two.alone)

    assert answers(two.box) == {
        PROJECT: ("accepted", "both"),
        "example.org/acme/alone": ("accepted", "both"),
    }
    assert answers(two.desk) == answers(two.box)


def test_a_later_project_is_on_both_too(two: Two) -> None:
    later = {}
    for member, name in ((two.box, "later"), (two.desk, "latest")):
        place = member.clone(f"git@example.org:acme/{name}.git", name)
        later[name] = member.write_session(f"in {name}", cwd=place)

    two.desk.until_readable(later["later"])
    two.box.until_readable(later["latest"])


def test_the_two_are_one_person(two: Two) -> None:
    until(lambda: others(two.box).get("alice.desk", {}).get("agreed"), "the box knows")
    until(lambda: others(two.desk).get("alice.box", {}).get("agreed"), "the desk knows")

    assert author_of(two.box, two.back) == "alice"
    assert author_of(two.box, two.sent) == "you"
    assert two.box.run("machine", "list").out.count("yours") == 1
    refused = two.box.run("machine", "remove", "alice.desk", check=False)
    assert (refused.code, f"team remove alice.desk --team {TEAM}" in refused.err) == (6, True)


def test_a_machine_that_is_connected_is_told_from_one_that_was_seen_last(
    town: Town, two: Two
) -> None:
    until(lambda: others(two.box)["alice.desk"]["connected"], "the desk connected")
    assert re.search(r"alice\.desk +yours +now ", two.box.run("machine", "list").out)
    two.desk.down()
    until(lambda: not others(two.box)["alice.desk"]["connected"], "the desk away")

    assert others(two.box)["alice.desk"]["last_seen"]
    assert re.search(r"alice\.desk +yours +just now ", two.box.run("machine", "list").out)
    two.desk.up()


def test_the_code_says_how_long_it_is_good_and_that_it_waits_for_a_yes(two: Two) -> None:
    said = two.invited.out

    assert "another machine of yours, good for 15 minutes" in said
    assert "It joins after your yes here" in said
    assert f"{PROJECT}: 1 session of yours would be sent, to your other machine." in said
    (code,) = two.box.json("invite", "list")["invites"]
    assert (code["for_me"], code["confirm"], code["uses"]) == (True, True, 1)


def test_the_own_team_takes_in_nobody_else_and_is_no_default(town: Town, two: Two) -> None:
    other = town.member("eve")
    for command in (
        ("team", "add", other.code, "--team", TEAM, "--yes"),
        ("invite", "--team", TEAM, "--no-wait", "--yes"),
    ):
        refused = two.box.run(*command, check=False)
        assert (refused.code, "karma-sync invite --me" in refused.err) == (6, True), refused
    for options in (("--uses", "2"), ("--expires", "1h"), ("--team", TEAM)):
        assert two.box.run("invite", "--me", *options, "--yes", check=False).code == 2
    two.box.run("team", "create", "backend")
    two.box.run("project", "share", ".", "--yes")
    (shared,) = [
        s for s in two.box.json("subscription", "list")["subscriptions"] if s["team"] == "backend"
    ]
    assert shared["project"] == PROJECT
    leads = two.desk.run("invite", "--me", "--no-wait", "--yes", check=False)
    assert (leads.code, "alice.box" in leads.err) == (12, True)


def test_a_code_for_a_machine_and_one_for_a_member_do_not_pass_for_each_other(
    town: Town, two: Two
) -> None:
    mallory = town.member("mallory").up()
    code = code_in(two.box.run("invite", "--me", "--no-wait", "--yes"))
    paste(mallory, code)
    assert until_refused(mallory) == "machine"
    assert "mallory.box" not in str(two.box.json("team", "show", "--team", TEAM))

    plain = code_in(two.box.run("invite", "--team", "backend", "--no-wait", "--yes"))
    paste(mallory, plain, "--me")
    until(lambda: refusal(mallory) == "not-machine", "refused")
    paste(mallory, plain)
    until(lambda: joined(mallory), "as a member")
    assert others(two.box).keys() == {"alice.desk"}


def test_a_no_lets_nobody_in(town: Town, two: Two) -> None:
    lap = machine(town, "alice", "lap")
    lap.up()
    paste(lap, code_in(two.box.run("invite", "--me", "--no-wait", "--yes")), "--me")
    (asked,) = until(asking(two.box), "the laptop asks")
    two.box.run("invitation", "decline", asked["id"])

    assert until_refused(lap) == "declined"
    assert not joined(lap, TEAM)
    with reading(lap) as tx:
        assert state.policies.all(tx) == []


def test_without_a_yes_nothing_is_shared(town: Town) -> None:
    alone = town.member("solo").up()
    alone.write_session("it stays")
    refused = alone.run("invite", "--me", "--no-wait", check=False)

    assert (refused.code, "--yes" in refused.err) == (8, True)
    assert f"{PROJECT}: 1 session of yours would be sent" in refused.out
    with reading(alone) as tx:
        assert (state.teams.all(tx), state.policies.all(tx)) == ([], [])


def test_one_that_only_receives_sends_nothing(town: Town) -> None:
    box, desk = town.member("gina"), machine(town, "gina", "desk")
    up(box, desk)
    sent, kept = box.write_session("sent"), desk.write_session("it stays on the desk")
    code = code_in(box.run("invite", "--me", "--no-wait", "--yes"))
    paste(desk, code, "--me", "--direction", "receive")
    (asked,) = until(asking(box), "the desk asks")
    box.run("invitation", "accept", asked["id"])

    desk.until_readable(sent)
    found = desk.json("subscription", "list")["subscriptions"]
    assert [(s["status"], s["direction"]) for s in found] == [("accepted", "receive")]
    assert box.peek(kept.id) is None


def test_a_third_machine_is_one_of_all(town: Town, two: Two) -> None:
    third = machine(town, "alice", "pad")
    third.up()
    paste(third, code_in(two.box.run("invite", "--me", "--no-wait", "--yes")), "--me")
    (asked,) = until(asking(two.box), "the third asks")
    two.box.run("invitation", "accept", asked["id"])

    third.until_readable(two.sent, two.back, two.alone)
    for member, count in ((two.box, 2), (two.desk, 2), (third, 2)):
        until(
            lambda m=member: [o["agreed"] for o in others(m).values()].count(True),  # type: ignore[misc] # mypy cannot infer a lambda with a default
            f"{count} others of {member.tag}",
        )
    until(lambda: all(o["agreed"] for o in others(two.desk).values()), "all three")
    assert author_of(third, two.back) == "alice"
