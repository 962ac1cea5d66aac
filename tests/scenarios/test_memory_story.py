"""Teams in one process, with Syncthings in memory: what the daemon's parts do together."""

import random
from itertools import pairwise

import pytest

from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.sound import assert_sound
from tests.support.town import found_team, share
from tests.support.transcripts import Session


def team_of(here: MemoryTown, count: int) -> list[MemoryMember]:
    """So many members whose daemons are up, who share a project in both directions."""
    everybody = [here.member(f"m{number}").up() for number in range(count)]
    found_team(*everybody)
    share(*everybody)
    here.settle()
    return everybody


def test_sessions_of_both_are_read_by_the_other_byte_for_byte(here: MemoryTown) -> None:
    a, b = team_of(here, 2)
    mine, yours = a.write_session("why?"), b.write_session("because", "of that")
    here.settle()

    assert b.holds(mine)
    assert a.holds(yours)
    assert (a.failures, b.failures) == ([], [])

    mine.append("and then?")
    here.settle()

    assert b.holds(mine)


def test_a_team_that_is_at_rest_asks_syncthing_to_change_nothing(here: MemoryTown) -> None:
    everybody = team_of(here, 3)
    everybody[0].write_session("something")
    here.settle()
    before = [member.syncthing.writes for member in everybody]
    for _ in range(3):
        here.minute_passes()
        here.settle()

    assert [member.syncthing.writes for member in everybody] == before


def test_who_was_cut_off_catches_up(here: MemoryTown) -> None:
    a, b = team_of(here, 2)
    b.offline()
    here.settle()
    session, other = a.write_session("while B was away"), b.write_session("while alone")
    here.settle()

    assert not b.holds(session)
    assert not a.holds(other)

    b.online()
    here.settle()

    assert b.holds(session)
    assert a.holds(other)


def test_who_was_killed_at_any_moment_goes_on_where_it_was(here: MemoryTown) -> None:
    """Each round of work may be its last one."""
    a, b = team_of(here, 2)
    sessions = []
    for rounds in range(8):
        sessions.append(a.write_session(f"before round {rounds}", "x" * 20_000))
        for member in (a, b):
            member.watch()
        for _ in range(rounds):
            here.network.settle()
            a.work()
            b.work()
        victim = (a, b)[rounds % 2]
        victim.kill()
        here.settle()
        victim.up()
    here.settle()

    assert b.holds(*sessions)
    for member in (a, b):
        assert_sound(member)


def happens(chance: random.Random, member: MemoryMember, sessions: list[Session]) -> None:
    """One of what can happen to a member; what the agent writes is added to `sessions`."""
    kind = chance.randrange(6)
    if kind == 0:
        (member.kill if member.is_up else member.up)()
    elif kind == 1:
        member.offline()
    elif kind == 2:
        member.online()
    elif kind == 3 and sessions:
        chance.choice(sessions).append(f"more {chance.random()}")
    else:
        sessions.append(member.write_session(f"said {chance.random()}"))


def test_members_who_come_and_go_by_chance_agree_in_the_end(here: MemoryTown) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 to be repeated
    everybody = team_of(here, 4)
    sessions: list[Session] = []
    for _ in range(30):
        happens(chance, chance.choice(everybody), sessions)
        here.settle()
    for member in everybody:
        member.online()
        if not member.is_up:
            member.up()
    here.settle()

    for member in everybody:
        assert member.holds(*sessions), member.tag
        assert_sound(member)


@pytest.mark.parametrize(
    "count",
    [5, pytest.param(20, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.slow)],
)
@pytest.mark.timeout(3600)
def test_all_of_a_team_read_what_all_others_wrote(here: MemoryTown, count: int) -> None:
    everybody = team_of(here, count)
    sessions = [member.write_session(f"by {member.tag}") for member in everybody]
    here.settle()

    for member in everybody:
        assert member.holds(*sessions), member.tag
        assert member.failures == []
    for one, other in pairwise(everybody):
        assert len(one.folders()) == len(other.folders())
