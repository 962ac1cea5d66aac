"""A member restores an older copy: its last word holds, not that of the copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import Status, Subscription
from tests.scenarios.test_machines import machine
from tests.scenarios.test_schedules import RESTORES, declines, retracts, with_a_session
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of
from tests.support.schedule import OTHER, Schedule
from tests.support.town import found_team, share

MOVED = "example.org/acme/moved"


def status_of(player: Player, project: str) -> Status:
    """The member's own answer to a project."""
    return next(a.status for a in player.standing()[1] if a.project == project)


@RESTORES
@pytest.mark.parametrize("takes_back", [retracts, declines])
def test_what_was_taken_back_after_it_was_added_again_goes(
    here: MemoryTown,
    takes_back: Callable[[Schedule, Player], None],
    restores: Callable[[Schedule, Player], None],
) -> None:
    schedule = with_a_session(here)
    _, reader, author, _ = schedule.players
    schedule.copy(author)
    schedule.remove(author, retracted=False)
    schedule.settle()
    schedule.admit(author)
    schedule.settle()
    schedule.answer(author, PROJECT, "accept", Direction.BOTH)
    schedule.settle()
    assert reader.member.holds(schedule.written[0].session)
    reader.member.kill()
    takes_back(schedule, author)
    schedule.settle()
    restores(schedule, author)
    schedule.finish()

    assert reader.member.peek(schedule.written[0].session.id) is None
    schedule.check()


def test_what_another_machine_took_back_of_a_removed_one_goes(here: MemoryTown) -> None:
    leader, box, away = (here.member(user).up() for user in ("bob", "alice", "carol"))
    desk = machine(here, "alice", "desk").up()
    found_team(leader, box, desk, away)
    share(leader, box, desk, away)
    box.run("machine", "add", "alice.desk", "--yes")
    here.settle()
    desk.run("machine", "add", "alice.box", "--yes")
    session = desk.write_session("on the desk")
    here.settle()
    schedule = Schedule(here, [Player(leader), Player(box)])
    leader.run("team", "remove", "alice.desk", "--yes")
    here.settle()
    schedule.copy(schedule.players[1])
    assert away.holds(session)
    away.down()
    box.run("team", "retract", "alice.desk", "--yes")
    here.settle()
    schedule.restore(schedule.players[1])
    here.settle()
    away.up()
    here.settle()

    assert leader.peek(session.id) is None
    assert away.peek(session.id) is None


@RESTORES
def test_an_unshared_session_leaves_through_no_later_channel(
    here: MemoryTown, restores: Callable[[Schedule, Player], None]
) -> None:
    schedule = with_a_session(here)
    reader, _, author, _ = schedule.players
    schedule.copy(author)
    author.member.run("session", "unshare", schedule.written[0].session.id)
    schedule.settle()
    retracts(schedule, author)
    schedule.settle()
    restores(schedule, author)
    if status_of(author, PROJECT) is Status.PAUSED:
        author.move(PROJECT, Subscription.resume)
    schedule.answer(author, PROJECT, "change", Direction.BOTH)
    other = author.member.write_session("written since")
    schedule.settle()

    assert reader.member.holds(other)
    assert reader.member.peek(schedule.written[0].session.id) is None


def test_a_decline_that_nobody_heard_holds_against_a_policy(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    schedule = Schedule(here, [a, b])
    a.share(OTHER)
    here.settle()
    a.accept(OTHER, Direction.BOTH)
    here.settle()
    schedule.copy(b)
    b.member.down()
    b.member.run("decline", "docs", "--yes")
    session = b.member.write_session("declined", cwd=schedule.places[b][OTHER])
    schedule.restore(b)
    b.member.run("team", "policy", "--accept", "all", "--direction", "both", "--yes")
    here.settle()

    assert status_of(b, OTHER) is Status.DECLINED
    assert a.member.peek(session.id) is None


def test_a_directory_that_was_mapped_before_is_not_sent_again(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    schedule = Schedule(here, [a, b])
    place = b.member.clone(None, "plain")
    b.map(place, PROJECT)
    schedule.copy(b)
    b.member.run("project", "map", str(place), "--remove")
    session = b.member.write_session("not of a project any more", cwd=place)
    schedule.restore(b)
    here.settle()

    assert a.member.peek(session.id) is None


def test_a_directory_that_was_mapped_since_is_still_sent(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    schedule = Schedule(here, [a, b])
    place = b.member.clone(None, "plain")
    schedule.copy(b)
    b.map(place, PROJECT)
    session = b.member.write_session("of the project now", cwd=place)
    schedule.restore(b)
    here.settle()

    assert a.member.holds(session)


def test_a_name_that_was_agreed_to_before_is_not_sent_again(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    schedule = Schedule(here, [a, b])
    place = b.member.clone("git@example.org:acme/moved.git", "moved")
    named = ("project", "alias", MOVED, "--project", PROJECT)
    for player in (a, b):
        player.member.run(*named, "--yes")
        here.settle()
    schedule.copy(b)
    b.member.run(*named, "--remove", "--yes")
    session = b.member.write_session("under a name that was taken back", cwd=place)
    here.settle()
    assert a.member.peek(session.id) is None
    schedule.restore(b)
    here.settle()

    assert a.member.peek(session.id) is None


# ---- all of the home is a copy of an earlier day: only the others know what its person said since


def leaves_with_its_items(schedule: Schedule, author: Player) -> None:
    schedule.leave(author, retracted=True)


def unshares(schedule: Schedule, author: Player) -> None:
    schedule.unshare(schedule.written[0])


def restore_home(schedule: Schedule, player: Player, copy: Path) -> None:
    """Put all of a member's files back, and have its daemon work before anybody can be heard."""
    player.member.down()
    shutil.rmtree(player.member.home)
    shutil.copytree(copy, player.member.home, symlinks=True)
    player.member.up()
    player.member.work_off()
    for _ in range(2):
        schedule.settle()
        schedule.town.an_hour_passes()


@pytest.mark.parametrize("is_away", [True, False])
@pytest.mark.parametrize("takes_back", [retracts, declines, unshares, leaves_with_its_items])
def test_what_was_taken_back_goes_though_the_whole_home_is_older(
    here: MemoryTown, takes_back: Callable[[Schedule, Player], None], is_away: bool
) -> None:
    schedule = with_a_session(here)
    leader, reader, author, _ = schedule.players
    author.member.down()
    copy = author.member.folder / "earlier"
    shutil.copytree(author.member.home, copy, symlinks=True)
    author.member.up()
    schedule.settle()
    if is_away:
        reader.member.kill()
    takes_back(schedule, author)
    schedule.settle()
    restore_home(schedule, author, copy)
    schedule.finish()

    for each in (leader, reader):
        assert each.member.peek(schedule.written[0].session.id) is None, each.me.tag


@pytest.mark.parametrize("verb", ["pause", "change"])
def test_who_sent_no_more_does_not_send_though_the_whole_home_is_older(
    here: MemoryTown, verb: str
) -> None:
    schedule = with_a_session(here)
    leader, _, author, _ = schedule.players
    author.member.down()
    copy = author.member.folder / "earlier"
    shutil.copytree(author.member.home, copy, symlinks=True)
    author.member.up()
    schedule.settle()
    schedule.answer(author, PROJECT, verb, Direction.RECEIVE)
    schedule.settle()
    restore_home(schedule, author, copy)
    session = author.member.write_session("written since")
    schedule.finish()

    assert leader.member.peek(session.id) is None
    assert leader.member.holds(schedule.written[0].session)
