"""Whose turn it is: what changed comes before the backlog, and none waits for a large session."""

from pathlib import Path

from karma_sync.domain.session.source_files import SourceFile, SourceSession, Stat
from karma_sync.sending.queue import SendQueue


def session(name: str, size: int) -> SourceSession:
    file = SourceFile("transcript.jsonl", Path(name), Stat(size, 0, 0))
    return SourceSession("claude-code", name, Path(), (file,))


def queue_of(*sessions: SourceSession) -> SendQueue:
    """A backlog of which nothing left yet."""
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


def test_what_is_left_is_counted_in_hand_and_between_two_steps() -> None:
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


def test_a_session_that_changes_while_it_waits_is_looked_at_once_as_it_is_now() -> None:
    queue = queue_of(SMALL, LARGE)
    grown = session("large", 950)
    queue.add_changed(grown, 0.0)

    assert [queue.next(0.0), queue.next(0.0)] == [grown, SMALL]
    assert queue.next(0.0) is None
    queue.finish()
    assert queue.backlog == (0, 0)
