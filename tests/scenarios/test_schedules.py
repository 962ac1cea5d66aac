"""Team life by chance: in the end each reads exactly what the standings say, byte for byte."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.domain.team.direction import Direction
from tests.support.harness import PROJECT
from tests.support.led_schedule import LedSchedule
from tests.support.memory_town import MemoryTown
from tests.support.players import Player
from tests.support.schedule import OTHER, Schedule
from tests.support.sound import assert_sound

USERS = ("alice", "bob", "carol", "dan")
STEPS = 30


def play(folder: Path, seed: int) -> None:
    """Play one schedule, and say how to repeat it if something is wrong in the end."""
    folder.mkdir()
    (folder / "seed").write_text(f"{seed}\n")  # it is kept where a run is ended before its report
    town = MemoryTown(folder)
    try:
        schedule = LedSchedule(town, [Player(town.member(user).up()) for user in USERS], seed)
        schedule.begin()
        try:
            schedule.run(STEPS)
            schedule.check()
            for player in schedule.players:
                assert_sound(player.member)
        except BaseException:
            print(f"seed {seed}", *schedule.done, sep="\n")
            raise
    finally:
        town.close()


def seed_of(number: int) -> int:
    """A new seed each time, or the one that KARMA_SYNC_SEED names and those after it."""
    named = os.environ.get("KARMA_SYNC_SEED")
    return int(named) + number if named else random.SystemRandom().randrange(1 << 32)


def play_some(folder: Path, numbers: range) -> None:
    """Play one schedule for each of these numbers, and keep nothing of those that went well."""
    for number in numbers:
        play(folder / "town", seed_of(number))
        shutil.rmtree(folder / "town")


@pytest.mark.parametrize("part", range(5))
def test_in_the_end_each_reads_exactly_what_the_standings_say(tmp_path: Path, part: int) -> None:
    play_some(tmp_path, range(10 * part, 10 * part + 10))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(20))
def test_a_thousand_schedules(tmp_path: Path, part: int) -> None:
    play_some(tmp_path, range(50 * part, 50 * part + 50))


def with_a_session(here: MemoryTown) -> Schedule:
    """A team in which all have the session that its third member wrote."""
    schedule = Schedule(here, [Player(here.member(user).up()) for user in USERS])
    schedule.begin()
    schedule.write(schedule.players[2], PROJECT, "by the author")
    schedule.settle()
    return schedule


# ---- what was taken back while a reader was away, by acts that are not left to chance


def declines(schedule: Schedule, author: Player) -> None:
    schedule.answer(author, PROJECT, "decline", Direction.BOTH)


def declines_and_sends_again(schedule: Schedule, author: Player) -> None:
    for verb in ("decline", "reopen", "accept"):
        schedule.answer(author, PROJECT, verb, Direction.BOTH)
        schedule.settle()


def leaves_with_its_items(schedule: Schedule, author: Player) -> None:
    schedule.leave(author, retracted=True)


def is_removed_with_its_items(schedule: Schedule, author: Player) -> None:
    schedule.remove(author, retracted=True)


def is_removed_and_sends_again(schedule: Schedule, author: Player) -> None:
    schedule.remove(author, retracted=False)
    schedule.settle()
    schedule.admit(author)
    schedule.settle()
    schedule.answer(author, PROJECT, "accept", Direction.BOTH)


def pauses(schedule: Schedule, reader: Player) -> None:
    schedule.answer(reader, PROJECT, "pause", Direction.BOTH)


def leaves(schedule: Schedule, reader: Player) -> None:
    schedule.leave(reader, retracted=False)


@pytest.mark.parametrize("closes", [pauses, leaves])
@pytest.mark.parametrize(
    "takes_back",
    [
        declines,
        declines_and_sends_again,
        is_removed_with_its_items,
        is_removed_and_sends_again,
    ],
)
def test_who_closes_a_path_while_away_need_not_keep_what_was_taken_back(
    here: MemoryTown,
    takes_back: Callable[[Schedule, Player], None],
    closes: Callable[[Schedule, Player], None],
) -> None:
    schedule = with_a_session(here)
    _, reader, author, _ = schedule.players
    assert reader.member.holds(schedule.written[0].session)
    reader.member.kill()
    takes_back(schedule, author)
    schedule.settle()
    closes(schedule, reader)
    schedule.finish()

    assert reader.member.peek(schedule.written[0].session.id) is None
    schedule.check()


def test_who_left_before_may_keep_what_is_taken_back_twice(here: MemoryTown) -> None:
    schedule = with_a_session(here)
    _, reader, author, _ = schedule.players
    leaves(schedule, reader)
    schedule.finish()
    declines(schedule, author)
    schedule.settle()
    is_removed_with_its_items(schedule, author)
    schedule.finish()

    assert reader.member.holds(schedule.written[0].session)
    schedule.check()


def leaves_after_its_removal(schedule: Schedule) -> None:
    leader, _, author, _ = schedule.players
    leader.member.kill()
    author.member.kill()
    schedule.remove(author, retracted=False)
    leaves_with_its_items(schedule, author)


def declines_before_its_removal(schedule: Schedule) -> None:
    leader, other, author, _ = schedule.players
    leader.member.offline()
    declines(schedule, author)
    schedule.settle()
    for knows in (other, author):
        schedule.remove(knows, retracted=False)
    schedule.settle()


@pytest.mark.parametrize("happens", [leaves_after_its_removal, declines_before_its_removal])
def test_what_only_a_removed_member_knows_is_heard_by_all(
    here: MemoryTown, happens: Callable[[Schedule], None]
) -> None:
    schedule = with_a_session(here)
    leader, _, author, _ = schedule.players
    happens(schedule)
    schedule.finish()

    assert author.team() is None
    assert leader.member.peek(schedule.written[0].session.id) is None
    schedule.check()


@pytest.mark.parametrize("retracted", [True, False])
def test_what_a_removed_member_sends_before_it_hears_of_that_is_taken_back_too(
    here: MemoryTown, *, retracted: bool
) -> None:
    schedule = with_a_session(here)
    leader, reader, author, _ = schedule.players
    leader.member.offline()
    schedule.remove(author, retracted=True)
    schedule.write(author, PROJECT, "sent by a removed member")
    schedule.settle()
    assert reader.member.holds(schedule.written[-1].session)
    schedule.leave(author, retracted=retracted)
    schedule.finish()

    assert reader.member.peek(schedule.written[-1].session.id) is None
    schedule.check()


# ---- what an author took back, and sent, after it made the copy that it restores


def sends_again_and_pauses(schedule: Schedule, author: Player) -> None:
    schedule.answer(author, PROJECT, "retract", Direction.BOTH)
    schedule.settle()
    schedule.answer(author, PROJECT, "change", Direction.BOTH)
    schedule.settle()
    schedule.answer(author, PROJECT, "pause", Direction.BOTH)


def retracts(schedule: Schedule, author: Player) -> None:
    schedule.answer(author, PROJECT, "retract", Direction.BOTH)


def restores_the_database(schedule: Schedule, author: Player) -> None:
    schedule.restore(author)


def restores_its_limits_too(schedule: Schedule, author: Player) -> None:
    author.member.kill()
    schedule.restore_limits(author)
    schedule.restore(author)


RESTORES = pytest.mark.parametrize("restores", [restores_the_database, restores_its_limits_too])


@RESTORES
def test_what_was_sent_again_stays_after_an_older_copy_was_restored(
    here: MemoryTown, restores: Callable[[Schedule, Player], None]
) -> None:
    schedule = with_a_session(here)
    leader, _, author, _ = schedule.players
    schedule.copy(author)
    sends_again_and_pauses(schedule, author)
    schedule.settle()
    restores(schedule, author)
    schedule.finish()

    assert leader.member.holds(schedule.written[0].session)
    schedule.check()


@RESTORES
@pytest.mark.parametrize("takes_back", [retracts, declines, declines_and_sends_again])
def test_what_was_taken_back_goes_after_an_older_copy_was_restored(
    here: MemoryTown,
    takes_back: Callable[[Schedule, Player], None],
    restores: Callable[[Schedule, Player], None],
) -> None:
    schedule = with_a_session(here)
    _, reader, author, _ = schedule.players
    schedule.copy(author)
    reader.member.kill()
    pauses(schedule, reader)
    takes_back(schedule, author)
    schedule.settle()
    restores(schedule, author)
    schedule.finish()

    assert reader.member.peek(schedule.written[0].session.id) is None
    schedule.check()


@RESTORES
def test_what_was_first_sent_and_taken_back_after_the_copy_goes(
    here: MemoryTown, restores: Callable[[Schedule, Player], None]
) -> None:
    schedule = with_a_session(here)
    _, reader, author, _ = schedule.players
    schedule.copy(author)
    for player in (reader, author):
        schedule.answer(player, OTHER, "accept", Direction.BOTH)
    schedule.write(author, OTHER, "of another project")
    schedule.settle()
    assert reader.member.holds(schedule.written[-1].session)
    reader.member.kill()
    schedule.answer(author, OTHER, "decline", Direction.BOTH)
    schedule.settle()
    restores(schedule, author)
    schedule.finish()

    assert reader.member.peek(schedule.written[-1].session.id) is None
    schedule.check()
