"""What is heard of a member that left or was removed, whoever is away at the time."""

import shutil
from pathlib import Path

import pytest

from karma_sync.domain.team.member import How
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
