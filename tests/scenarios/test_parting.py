"""The end of a membership reaches all members, whoever is away at the time."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import How
from karma_sync.domain.team.subscription import Subscription
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of
from tests.support.schedule import copy_database


def keys(player: Player) -> set[str]:
    team = player.team()
    return {member.key for member in team.members} if team else set()


def test_the_leader_learns_who_left_while_it_was_away_though_who_knew_it_is_removed(
    here: MemoryTown,
) -> None:
    leader, knows, leaves = team_of(here, "alice", "bob", "carol")
    leader.member.kill()
    leaves.leave(retracted=True)
    here.settle()
    here.an_hour_passes()
    assert leaves.me.key not in keys(knows)
    leader.remove(knows, retracted=False)
    leader.member.up()
    here.settle()
    here.an_hour_passes()

    assert keys(leader) == {leader.me.key}
    assert leaves.member.json("team", "list")["teams"] == []


def test_who_is_leaving_is_not_put_into_the_team_again_unasked(here: MemoryTown) -> None:
    leader, other, leaves = team_of(here, "alice", "bob", "carol")
    leaves.member.offline()
    leaves.leave(retracted=False)
    here.settle()
    leader.remove(leaves, retracted=False)
    leader.member.run("team", "add", leaves.member.code, "--yes")
    here.settle()
    leaves.member.online()
    here.settle()
    here.an_hour_passes()

    assert keys(leaves) == set()
    assert leaves.me.key in keys(other)
    leaves.member.run("pair", leader.member.code)
    here.settle()
    here.an_hour_passes()
    assert keys(leaves) == keys(leader) == {p.me.key for p in (leader, other, leaves)}


@pytest.mark.parametrize("ends", ["removed", "left"])
def test_who_names_a_team_that_it_is_no_longer_in_is_told_why(here: MemoryTown, ends: str) -> None:
    leader, other = team_of(here, "alice", "bob")
    team = leader.team()
    assert team is not None
    if ends == "removed":
        leader.remove(other, retracted=False)
    else:
        other.leave(retracted=False)
    here.settle()

    for name in (team.name, team.id):
        refused = other.member.run("team", "leave", "--team", name, check=False)
        assert refused.code == 5
        assert "you are no longer in team backend: you" in refused.err
        assert ends in refused.err


# ---- a member that loses its database, or restores an older one


def restore(player: Player, copy: Path) -> None:
    """Have state.db as it was in this copy."""
    if player.member.is_up:
        player.member.kill()
    forget(player)
    shutil.copy(copy, player.member.paths.state_db)
    player.member.up()


def forget(player: Player) -> None:
    for path in player.member.paths.data.glob("state.db*"):
        path.unlink()


def copy_of(player: Player) -> Path:
    copy = player.member.folder / "copy.db"
    copy_database(player.member.paths.state_db, copy)
    return copy


def test_a_database_from_before_a_known_removal_makes_nobody_a_member_again(
    here: MemoryTown,
) -> None:
    leader, other, gone = team_of(here, "alice", "bob", "carol")
    copy = copy_of(gone)
    leader.remove(gone, retracted=False)
    here.settle()
    assert gone.team() is None
    restore(gone, copy)
    here.settle()
    here.an_hour_passes()

    assert gone.team() is None
    assert [former.how for former in gone.former()] == [How.REMOVED]
    assert gone.member.folders() == {}
    assert keys(leader) == keys(other) == {leader.me.key, other.me.key}


@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "unheard"])
def test_a_database_from_before_leaving_makes_nobody_a_member_again(
    here: MemoryTown, is_heard: bool
) -> None:
    leader, other, leaves = team_of(here, "alice", "bob", "carol")
    copy = copy_of(leaves)
    if not is_heard:
        leaves.member.offline()
    leaves.leave(retracted=True)
    here.settle()
    here.an_hour_passes()
    restore(leaves, copy)
    leaves.member.online()
    here.settle()
    here.an_hour_passes()

    assert leaves.team() is None
    assert keys(leader) == keys(other) == {leader.me.key, other.me.key}
    assert all(gone.removal.retracted for gone in leader.team().removed)  # type: ignore[union-attr] # it is in a team, and each is removed


@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
def test_who_loses_its_database_while_it_leaves_is_still_heard(
    here: MemoryTown, is_signed: bool
) -> None:
    leader, other, leaves = team_of(here, "alice", "bob", "carol")
    leaves.member.offline()
    if not is_signed:
        leaves.member.kill()
    leaves.leave(retracted=True)
    here.settle()
    if is_signed:
        leaves.member.kill()
    forget(leaves)
    leaves.member.online()
    leaves.member.up()
    here.settle()
    here.an_hour_passes()

    assert leaves.team() is None
    assert keys(leader) == keys(other) == {leader.me.key, other.me.key}
    assert leaves.member.json("team", "list")["teams"] == []


# ---- what a removed member took back before it knew


def declines(player: Player) -> None:
    player.move(PROJECT, Subscription.decline)


def narrows_with_its_items(player: Player) -> None:
    def change(mine: Subscription) -> Subscription:
        return mine.change(Direction.RECEIVE, mine.content).retract(1)

    player.move(PROJECT, change)


def leaves_with_its_items(player: Player) -> None:
    player.leave(retracted=True)


TAKES_BACK = [declines, narrows_with_its_items, leaves_with_its_items]


@pytest.mark.parametrize("takes_back", TAKES_BACK)
@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
def test_what_a_removed_member_took_back_before_it_knew_is_taken_back_from_all(
    here: MemoryTown, takes_back: Callable[[Player], None], is_signed: bool
) -> None:
    leader, other, gone, away = team_of(here, "alice", "bob", "carol", "dan")
    session = gone.member.write_session("by carol")
    here.settle()
    assert all(p.member.holds(session) for p in (leader, other, away))
    gone.member.kill()
    leader.remove(gone, retracted=False)
    here.settle()
    away.member.kill()
    gone.member.offline()
    if is_signed:
        gone.member.up()
    takes_back(gone)
    here.settle()
    assert other.member.holds(session)
    gone.member.online()
    if not is_signed:
        gone.member.up()
    here.settle()
    here.an_hour_passes()
    assert gone.team() is None
    gone.member.kill()  # so only the others can tell who was away
    away.member.up()
    here.settle()
    here.an_hour_passes()

    assert [p.member.peek(session.id) for p in (leader, other, away)] == [None] * 3
    team = leader.team()
    assert team is not None
    assert [each.removal.told for each in team.removed if each.removal] == [True]
    assert not any(f.startswith("ks-r-") for p in (leader, other) for f in p.member.folders())


def test_what_a_removed_member_did_not_take_back_stays(here: MemoryTown) -> None:
    leader, other, gone = team_of(here, "alice", "bob", "carol")
    session = gone.member.write_session("by carol")
    here.settle()
    gone.member.kill()
    leader.remove(gone, retracted=False)
    here.settle()
    gone.member.up()
    here.settle()
    here.an_hour_passes()

    assert gone.team() is None
    assert leader.member.holds(session)
    assert other.member.holds(session)


# ---- who comes back while the others still share the team's documents with it


def refusals(player: Player) -> list[str]:
    """The events that tell of something that was refused."""
    lines = player.member.run("events", "--json").lines
    return [each["payload"] for each in map(json.loads, lines) if each["bad"]]


def test_who_comes_back_within_minutes_sees_no_refusal_and_no_invitation_before_it_is_invited(
    here: MemoryTown,
) -> None:
    leader, _, leaves = team_of(here, "alice", "bob", "carol")
    leaves.leave(retracted=False)
    here.settle()
    assert leaves.team() is None
    leaves.member.run("pair", leader.member.code)
    here.settle()
    here.minute_passes()
    here.settle()
    inbox = leaves.member.json("inbox")
    assert (inbox["fetching"], inbox["invitations"]) == (0, [])
    assert refusals(leaves) == []
    leader.member.run("team", "add", leaves.member.code, "--yes")
    here.settle()

    assert leaves.team() is not None
    assert refusals(leaves) == []


def test_who_leaves_one_of_two_teams_with_the_same_member_is_not_said_to_be_unpaired(
    here: MemoryTown,
) -> None:
    leader, leaves = team_of(here, "alice", "bob")
    leader.member.run("team", "create", "second")
    leader.member.run("team", "add", leaves.member.code, "--team", "second", "--yes")
    leaves.member.run("pair", leader.member.code)
    here.settle()
    for team in ("backend", "second"):
        before = "unpaired" in leaves.member.run("events").out
        leaves.member.run("team", "leave", "--team", team, "--yes")
        here.settle()

        after = "unpaired" in leaves.member.run("events").out
        assert (before, after) == (False, team == "second")
    assert leaves.member.rest("config/devices")[1:] == []
