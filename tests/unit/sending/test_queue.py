"""The queue of sessions to send: changed ones first, each at its pace, no wait for a large one."""

from collections import deque
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.session.source_files import SourceFile, SourceSession, Stat
from karma_sync.runtime.worker import Wake
from karma_sync.sending.queue import Cost, Pace, SendQueue
from karma_sync.sending.scheduler import SendRequests
from tests.support.builders import examples


def session(name: str, size: int) -> SourceSession:
    file = SourceFile("transcript.jsonl", Path(name), Stat(size, 0, 0))
    return SourceSession("claude-code", name, Path(), (file,))


def queue_of(*sessions: SourceSession) -> SendQueue:
    """A queue with these sessions as its backlog; nothing of them is packaged yet."""
    queue = SendQueue(lambda session: session.size)
    queue.replace_backlog(sessions)
    return queue


LARGE, SMALL, OTHER = session("large", 900), session("small", 10), session("other", 20)


def test_a_session_that_leaves_in_steps_lets_all_others_go_first() -> None:
    queue = queue_of(LARGE, SMALL)
    assert queue.next(0.0) is LARGE
    queue.finish()
    queue.requeue(LARGE, 600)
    queue.add_changed(OTHER, 0.0)

    assert [queue.next(0.0) for _ in range(3)] == [OTHER, SMALL, LARGE]
    assert queue.wait(0.0) is None


def test_the_backlog_counts_the_session_in_hand() -> None:
    queue = queue_of(LARGE, SMALL)
    assert queue.backlog == (2, 910)
    queue.next(0.0)
    assert queue.backlog == (2, 910)
    queue.finish()
    queue.requeue(LARGE, 600)
    assert queue.backlog == (2, 610)
    queue.next(0.0)
    assert queue.next(0.0) is LARGE
    assert queue.backlog == (1, 600)


def test_a_session_that_changes_while_it_waits_is_checked_once() -> None:
    queue = queue_of(SMALL, LARGE)
    grown = session("large", 950)
    queue.add_changed(grown, 0.0)

    assert [queue.next(0.0), queue.next(0.0)] == [grown, SMALL]
    assert queue.next(0.0) is None
    queue.finish()
    assert queue.backlog == (0, 0)


CHEAP = Cost(wire=40_000, cpu_s=0.01)


def write(queue: SendQueue, moments: list[float], cost: Cost) -> list[float]:
    """When a session that changes at these moments is packaged, each time at this cost."""
    packaged = []
    clock = 0.0
    waiting = deque(moments)
    while waiting or queue.wait(clock) is not None:
        due = queue.wait(clock)
        if waiting and (due is None or waiting[0] <= clock + due):
            clock = waiting.popleft()
            queue.add_changed(SMALL, clock)
            continue
        clock += due or 0.0
        if queue.next(clock):
            queue.finish()
            queue.record_packaged(SMALL, clock, cost)
            packaged.append(clock)
    return packaged


def gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


def every(seconds: float, until: float) -> list[float]:
    return [seconds * n for n in range(int(until / seconds) + 1)]


def test_a_busy_session_is_packaged_once_a_second_as_long_as_that_is_cheap() -> None:
    assert set(gaps(write(queue_of(), every(0.25, 180.0), CHEAP))) == {1.0}


@pytest.mark.parametrize(
    ("cost", "pause_s"),
    [
        (Cost(), 1.0),
        (Cost(wire=64_000, cpu_s=0.02), 1.0),
        (Cost(wire=128_000), 2.0),
        (Cost(cpu_s=0.06), 3.0),
        (Cost(wire=128_000, cpu_s=0.06), 3.0),
        (Cost(wire=10_000_000, cpu_s=9.0), 5.0),
    ],
)
def test_a_session_that_costs_more_is_packaged_less_often(cost: Cost, pause_s: float) -> None:
    moments = write(queue_of(), every(0.25, 60.0), cost)

    assert cost.pause_s == pytest.approx(pause_s)
    # the first packaging is no append, and of two the lesser cost of CPU counts
    assert gaps(moments)[2:-1] == pytest.approx([pause_s] * (len(moments) - 4))


def test_one_packaging_that_costs_much_does_not_slow_a_session_down() -> None:
    pace = Pace(0.0).after_packaging(1.0, Cost(cpu_s=0.01)).after_packaging(2.0, Cost(cpu_s=0.09))
    assert pace.pause_s == 1.0

    assert pace.after_packaging(3.0, Cost(cpu_s=0.08)).pause_s == pytest.approx(4.0)


def test_an_expensive_session_that_falls_quiet_is_packaged_at_once() -> None:
    moments = write(queue_of(), [*every(0.5, 20.0), 300.0], Cost(wire=320_000))

    assert moments[-2:] == [21.0, 300.0], "a second after the last change, and after a rest"
    assert set(gaps(moments[1:-2])) == {5.0}


def test_the_pauses_between_slow_writes_are_not_taken_for_silence() -> None:
    """Otherwise a line every 1.5 s would be packaged at each line, whatever that costs."""
    moments = write(queue_of(), every(1.5, 90.0), Cost(wire=320_000))

    assert min(gaps(moments)[3:-1]) == 5.0


def test_after_a_rest_a_session_is_packaged_at_once() -> None:
    queue = queue_of()
    write(queue, every(0.5, 20.0), Cost(wire=320_000))
    queue.add_changed(SMALL, 60.0)

    assert queue.wait(60.0) == 0.0


@examples()
@given(
    st.lists(st.floats(0.01, 20.0), max_size=60),
    st.floats(0.0, 500_000.0),
    st.floats(0.0, 0.3),
)
def test_no_change_waits_longer_than_five_seconds_or_makes_two_packagings_in_one(
    waits: list[float], wire: float, cpu_s: float
) -> None:
    changes = list(accumulate(waits))
    moments = write(queue_of(), changes, Cost(int(wire), cpu_s))

    assert all(gap >= 1.0 - 1e-6 for gap in gaps(moments))
    for change in changes:
        assert any(change <= moment <= change + 5.0 + 1e-6 for moment in moments)


def test_a_pass_that_failed_is_asked_for_again_without_waking_the_thread() -> None:
    wake = Wake()
    requests = SendRequests(wake, lambda path: path)
    requests.take()
    requests.put_back_pass()

    assert not wake.wait(0), "the thread pauses before it tries again"
    assert requests.take().everything
