"""Two machines of one person that exchange pairing codes: no secret passes between them."""

from dataclasses import dataclass

import pytest

from karma_sync.domain.team.pairing_code import decode
from karma_sync.store import state
from tests.scenarios.test_invite import joined, reading
from tests.scenarios.test_machines import machine, others
from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")

TEAM = "alice-machines"


@dataclass(frozen=True)
class Two:
    """Alice's two machines; each typed `machine add` with the other's code, `first` first."""

    first: Member
    second: Member
    sent: Session
    back: Session


@pytest.fixture(scope="module", params=["the founder types first", "the founder types last"])
def two(request: pytest.FixtureRequest, town: Town) -> Two:
    number = "" if request.param.endswith("first") else "2"
    pair = machine(town, "alice", f"box{number}"), machine(town, "alice", f"desk{number}")
    up(*pair)
    by_key = sorted(pair, key=_key)
    first, second = by_key if request.param.endswith("first") else reversed(by_key)
    sent, back = first.write_session("on the first"), second.write_session("on the second")
    first.run("machine", "add", second.code, "--yes")
    second.run("machine", "add", "-", "--yes", stdin=first.code)
    return Two(first, second, sent, back)


def _key(member: Member) -> str:
    return decode(member.code).key


def test_all_projects_of_both_are_on_both(two: Two) -> None:
    two.second.until_readable(two.sent)
    two.first.until_readable(two.back)

    for member in (two.first, two.second):
        (answer,) = member.json("subscription", "list")["subscriptions"]
        assert (answer["team"], answer["project"]) == (TEAM, PROJECT)
        assert (answer["status"], answer["direction"]) == ("accepted", "both")


def test_they_are_one_person(two: Two) -> None:
    for member, other in ((two.first, two.second), (two.second, two.first)):
        until(lambda m=member, o=other: others(m).get(o.tag, {}).get("agreed"), "one person")  # type: ignore[misc] # mypy cannot infer a lambda with a default


def test_a_third_one_comes_with_an_invitation_code(two: Two, town: Town) -> None:
    third = town.member(two.first.tag.replace(".", "-") + "-third")
    refused = two.first.run("machine", "add", third.code, "--yes", check=False)

    assert (refused.code, "karma-sync invite --me" in refused.err) == (6, True)


def test_who_typed_it_takes_no_other_team_for_that_of_its_machines(town: Town) -> None:
    """The other machine adds it to a team with others first: that is asked about, as ever."""
    pair = machine(town, "alice", "box3"), machine(town, "alice", "desk3")
    up(*pair)
    founder, waits = sorted(pair, key=_key)
    waits.write_session("stays here")
    waits.run("machine", "add", founder.code, "--yes")
    founder.run("team", "create", "backend")
    founder.run("team", "add", waits.code, "--yes")
    until(lambda: waits.json("inbox")["invitations"], "an invitation that waits for an answer")

    assert not joined(waits)
    founder.run("machine", "add", waits.code, "--yes")
    until(lambda: joined(waits, TEAM), "in the team of the two machines")
    assert not joined(waits)
    with reading(waits) as tx:
        assert [policy.team for policy in state.policies.all(tx)] == [
            team.id for team in state.teams.all(tx)
        ]


def test_nothing_is_done_without_a_yes(town: Town) -> None:
    pair = machine(town, "alice", "box4"), machine(town, "alice", "desk4")
    one, other = pair
    one.write_session("to be shown")
    unasked = one.run("machine", "add", other.code, check=False)

    assert (unasked.code, f"{PROJECT}: 1 session of yours would be sent" in unasked.out) == (
        8,
        True,
    )
    with reading(one) as tx:
        assert state.pairings.all(tx) == []
        assert state.teams.all(tx) == []
        assert state.policies.all(tx) == []
