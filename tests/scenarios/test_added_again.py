"""The rest of a member that left or was removed, for those it is added to again, or is not."""

import pytest

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import Status
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


def statuses(reader: Player, member: Player) -> set[Status]:
    """The answers of this member, as far as the reader knows."""
    return {each.status for each in reader.answers() if each.member == member.me.key}


def events_about(reader: Player, member: Player) -> list[str]:
    said = reader.member.run("events").lines
    return [line.split("  ")[1] for line in said if f": {member.member.tag}: " in line]


@pytest.mark.parametrize("leaves", [False, True], ids=["removed", "left"])
def test_the_leader_counts_no_answer_from_before_a_member_was_added_again(
    here: MemoryTown, leaves: bool
) -> None:
    leader, gone, other = team_of(here, "alice", "bob", "carol")
    assert statuses(leader, gone) == {Status.ACCEPTED}
    if leaves:
        gone.leave(retracted=False)
    else:
        leader.remove(gone, retracted=False)
    here.settle()
    here.an_hour_passes()
    assert gone.team() is None
    before = events_about(leader, gone)
    gone.member.offline()
    leader.admit(gone)
    here.settle()

    for reader in (leader, other):
        assert statuses(reader, gone) <= {Status.OFFERED}
    assert events_about(leader, gone)[len(before) :] == [f"added: {gone.me.tag}: team backend"]


def devices(reader: Player) -> set[str]:
    return {device["deviceID"] for device in reader.member.rest("config/devices")}


@pytest.mark.parametrize("options", [(), ("--stolen",)], ids=["told", "stolen"])
def test_who_was_added_by_its_contact_is_no_contact_again_after_its_removal(
    here: MemoryTown, options: tuple[str, ...]
) -> None:
    leader, other = (Player(here.member(user).up()) for user in ("alice", "bob"))
    leader.found()
    other.member.run("pair", leader.member.code)
    here.settle()
    (contact,) = leader.member.json("inbox")["contacts"]
    leader.member.run("team", "add", contact["id"], "--yes")
    here.settle()
    assert other.team() is not None
    leader.member.run("team", "remove", other.member.tag, "--yes", *options)
    here.settle()
    here.an_hour_passes()

    assert leader.member.json("inbox")["contacts"] == []
    assert other.me.device not in devices(leader)


def test_a_guest_is_no_contact(here: MemoryTown) -> None:
    leader, guest = (Player(here.member(user).up()) for user in ("alice", "bob"))
    leader.found()
    leader.share(PROJECT)
    guest.member.run("pair", leader.member.code)
    here.settle()
    (contact,) = leader.member.json("inbox")["contacts"]
    leader.member.run("team", "guest", guest.member.code, "--project", PROJECT, "--yes")

    assert leader.member.json("inbox")["contacts"] == []
    refused = leader.member.run("invitation", "accept", contact["id"], check=False)
    assert "is in team backend" in refused.err


@pytest.mark.parametrize("asks", ["pairing", "contact"])
def test_no_member_keeps_the_device_of_a_removed_one_by_which_it_came_into_the_team(
    here: MemoryTown, asks: str
) -> None:
    """A member may have come into the team by a former leader whose laptop was stolen."""
    former, other, newcomer = (Player(here.member(u).up()) for u in ("alice", "bob", "carol"))
    former.found()
    former.admit(other)
    here.settle()
    if asks == "pairing":
        former.admit(newcomer)
        here.settle()
    else:
        former.member.run("team", "add", newcomer.member.code, "--yes")
        here.settle()
        for contact in newcomer.member.json("inbox")["contacts"]:
            newcomer.member.run("invitation", "accept", contact["id"])
        here.settle()
        (invitation,) = newcomer.member.json("inbox")["invitations"]
        newcomer.member.run("invitation", "accept", invitation["id"])
        here.settle()
    former.member.run("team", "successors", other.member.tag, "--yes")
    here.settle()
    former.member.kill()
    other.member.run("team", "take-over", "--yes")
    other.member.run("team", "remove", former.member.tag, "--stolen", "--yes")
    here.settle()
    here.an_hour_passes()

    assert newcomer.team() is not None
    for reader in (other, newcomer):
        assert former.me.device not in devices(reader)


@pytest.mark.parametrize("says_more", [False, True], ids=["said all", "says more"])
def test_a_removal_that_a_takeover_undoes_leaves_the_member_as_it_was(
    here: MemoryTown, says_more: bool
) -> None:
    leader, successor, member = team_of(here, "alice", "bob", "carol")
    leader.member.run("team", "successors", successor.me.tag, "--yes")
    here.settle()
    leader.member.offline()
    leader.remove(member, retracted=False)
    here.settle()
    successor.member.run("team", "take-over", "--yes")
    if says_more:
        member.move(PROJECT, lambda mine: mine.change(Direction.RECEIVE, mine.content))
    here.settle()
    leader.member.online()
    here.settle()
    here.an_hour_passes()

    session = leader.member.write_session("by who led")
    here.settle()
    found = leader.team()
    assert found is not None
    assert [each.tag for each in found.members if each.active] == [
        player.me.tag for player in (leader, successor, member)
    ]
    assert statuses(leader, member) == {Status.ACCEPTED}
    assert member.member.holds(session)
    assert f"{successor.me.tag} took over backend" in leader.member.run("status").out
    (told,) = leader.member.json("status")["taken_over"]
    assert (told["team"], told["by"]) == ("backend", successor.me.tag)
    assert "took over" not in successor.member.run("status").out
