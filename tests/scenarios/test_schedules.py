"""Team life by chance: in the end each reads exactly what the standings say, byte for byte."""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.support.memory_town import MemoryTown
from tests.support.schedule import Schedule
from tests.support.sound import assert_sound

USERS = ("alice", "bob", "carol", "dan")
STEPS = 30


def play(folder: Path, seed: int) -> None:
    """Play one schedule, and say how to repeat it if something is wrong in the end."""
    folder.mkdir()
    town = MemoryTown(folder)
    try:
        schedule = Schedule(town, USERS, seed)
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
