"""Each folder has a turn once in ten minutes, and not all have it at the same time."""

from hypothesis import given
from hypothesis import strategies as st

from karma_sync.mesh.health.checker import CheckRequests, Turns
from karma_sync.runtime.worker import Wake
from tests.support.builders import examples
from tests.support.memory_town import MemoryTown
from tests.support.players import team_of

FOLDERS = [f"ks-c-{number:026}" for number in range(60)]


def test_sixty_folders_have_their_turns_spread_over_ten_minutes() -> None:
    turns = Turns(600.0)
    taken = {moment: turns.take(FOLDERS, float(moment)) for moment in range(0, 1800, 10)}
    firsts = [folder for moment, found in taken.items() if moment <= 600 for folder in found]

    assert sorted(firsts) == sorted(FOLDERS)
    assert max(len(found) for found in taken.values()) <= 10, "no burst"
    for folder in FOLDERS:
        assert sum(folder in found for found in taken.values()) in {2, 3, 4}


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
@examples(50)
def test_who_waits_as_long_as_it_says_misses_no_turn(steps: list[int]) -> None:
    turns = Turns(600.0)
    now, last = 0.0, dict.fromkeys(FOLDERS[:5], 0.0)
    for _ in steps:
        for folder in turns.take(FOLDERS[:5], now):
            assert now - last[folder] <= 600.0 + 1e-6
            last[folder] = now
        wait = turns.wait(now)
        assert wait is not None
        now += wait


def test_a_folder_that_is_gone_has_no_turn() -> None:
    turns = Turns(600.0)
    turns.take(FOLDERS[:1], 0.0)

    assert turns.take([], 10_000.0) == set()
    assert turns.wait(10_000.0) is None


def test_a_check_that_failed_is_asked_for_again_without_waking_the_thread() -> None:
    wake = Wake()
    requests = CheckRequests(wake)
    requests.take()
    requests.put_back_all()

    assert not wake.wait(0), "the thread pauses before it tries again"
    assert requests.take() is None, "all folders"


def test_a_file_that_vanishes_unnoticed_is_back_within_ten_minutes(here: MemoryTown) -> None:
    a, _ = team_of(here, "alice", "bob")
    a.member.write_session("hello")
    here.settle()
    (outbox,) = a.member.outboxes()
    (item,) = outbox.glob("items/*.ks")
    content = item.read_bytes()
    item.unlink()
    for _ in range(11):
        here.minute_passes()
        here.settle()

    assert item.read_bytes() == content
