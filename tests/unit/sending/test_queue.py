"""The queue of sessions to send: changed ones first, each at its pace, no wait for a large one."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.session.source_files import SourceFile, SourceSession, Stat
from karma_sync.runtime.worker import Wake
from karma_sync.sending.queue import Pace, SendQueue, after
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


def package_as_soon_as_due(start: float, seconds: float) -> list[float]:
    """The times at which a session that changes all the time is packaged."""
    pace, moments = after(None, start), [start]
    while pace.due() - start <= seconds:
        moments.append(pace.due())
        pace = after(pace, pace.due())
    return moments


def test_a_session_never_packaged_begins_to_be_busy_now() -> None:
    assert after(None, 100.0) == Pace(last=100.0, busy_since=100.0)


def test_a_busy_session_waits_a_second_and_after_half_a_minute_five() -> None:
    moments = package_as_soon_as_due(1000.0, 60.0)
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]

    assert gaps == [1.0] * 30 + [5.0] * 6


def test_after_a_rest_a_session_is_packaged_at_once_and_then_each_second() -> None:
    busy = Pace(last=1040.0, busy_since=1000.0)
    assert busy.due() == 1045.0

    rested = after(busy, 1060.0)
    assert rested == Pace(1060.0, 1060.0)
    assert rested.due() == 1061.0


def test_a_short_pause_does_not_make_a_busy_session_quiet() -> None:
    busy = Pace(last=1040.0, busy_since=1000.0)

    assert after(busy, 1049.0) == Pace(1049.0, 1000.0)


@examples()
@given(st.lists(st.floats(0.0, 60.0), max_size=60))
def test_two_packagings_of_one_session_are_at_least_a_second_apart(waits: list[float]) -> None:
    pace = after(None, 0.0)
    for wait in waits:
        now = pace.due() + wait
        assert now >= pace.last + 1.0
        pace = after(pace, now)
        assert pace.last == now
        assert pace.busy_since <= now


def test_a_pass_that_failed_is_asked_for_again_without_waking_the_thread() -> None:
    wake = Wake()
    requests = SendRequests(wake, lambda path: path)
    requests.take()
    requests.put_back_pass()

    assert not wake.wait(0), "the thread pauses before it tries again"
    assert requests.take().everything
