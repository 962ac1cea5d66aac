"""A leader whose database is an old backup goes on from what it signed last, and not from that."""

import shutil

import pytest

from karma_sync.paths import metadata_folder
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of
from tests.support.schedule import Schedule


def devices(player: Player) -> set[str]:
    """The devices with which a member shares any folder of documents or of a channel."""
    return {
        device["deviceID"]
        for folder in player.member.rest("config/folders")
        if not folder["id"].startswith("ks-r-")
        for device in folder["devices"]
    }


@pytest.mark.parametrize("roster_is_lost", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_who_was_removed_after_the_backup_does_not_come_back(
    here: MemoryTown, roster_is_lost: bool
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    copy = a.member.folder / "state.db"
    a.member.down()
    shutil.copy(a.member.paths.state_db, copy)
    a.member.up()
    a.remove(b, retracted=False)
    here.settle()
    assert b.team() is None
    a.member.down()
    shutil.copy(copy, a.member.paths.state_db)
    team = c.team()
    assert team is not None
    if roster_is_lost:  # then it comes from the others
        folder = a.member.paths.folder(metadata_folder(team.id))
        (folder / f"roster/{a.me.key}.json").unlink()
    a.member.up()
    for _ in range(3):
        here.settle()
        here.an_hour_passes()
    session = a.member.write_session("after the backup")
    here.settle()

    for player in (a, c):
        team = player.team()
        assert team is not None
        assert {m.tag for m in team.members} == {"alice.box", "carol.box"}
        assert b.me.device not in devices(player)
    assert b.team() is None
    assert c.member.holds(session)
    assert b.member.peek(session.id) is None


@pytest.mark.parametrize("leads", ["transfer", "take-over"])
@pytest.mark.parametrize("roster_is_lost", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_who_led_only_after_the_backup_goes_on_to_lead(
    here: MemoryTown, leads: str, roster_is_lost: bool
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    a.member.run("team", "successors", "bob.box", "--yes")
    here.settle()
    schedule = Schedule(here, [a, b, c])
    schedule.copy(b)
    if leads == "transfer":
        a.member.run("team", "transfer", "bob.box", "--yes")
    else:
        b.member.run("team", "take-over", "--yes")
    here.settle()
    b.share("example.org/acme/since")
    here.settle()
    if roster_is_lost:  # then it comes from the others
        team = b.team()
        assert team is not None
        b.member.kill()
        (b.member.paths.folder(metadata_folder(team.id)) / f"roster/{b.me.key}.json").unlink()
    schedule.restore(b)
    for _ in range(2):
        here.settle()
        here.an_hour_passes()
    b.share("example.org/acme/later")
    here.settle()

    for player in (a, b, c):
        team = player.team()
        assert team is not None
        assert (team.leader, team.term) == (b.me.key, 3)
        assert {p.identity for p in team.projects} >= {
            "example.org/acme/since",
            "example.org/acme/later",
        }
