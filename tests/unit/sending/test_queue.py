"""Whose turn it is: what changed comes before the backlog, and none waits for a large session."""

from pathlib import Path

from karma_sync.domain.session.source_files import SourceFile, SourceSession, Stat
from karma_sync.sending.queue import SendQueue


def session(name: str, size: int) -> SourceSession:
    file = SourceFile("transcript.jsonl", Path(name), Stat(size, 0, 0))
    return SourceSession("claude-code", name, Path(), (file,))


def outgoing_of(*sessions: SourceSession) -> SendQueue:
    """A backlog of which nothing left yet."""
    outgoing = SendQueue(lambda session: session.size)
    outgoing.all_of(sessions)
    return outgoing


LARGE, SMALL, OTHER = session("large", 900), session("small", 10), session("other", 20)


def test_a_session_that_leaves_in_steps_lets_all_others_go_first() -> None:
    outgoing = outgoing_of(LARGE, SMALL)
    assert outgoing.next(0.0) is LARGE
    outgoing.looked()
    outgoing.goes_on(LARGE, 600)
    outgoing.changed(OTHER, 0.0)

    assert [outgoing.next(0.0) for _ in range(3)] == [OTHER, SMALL, LARGE]
    assert outgoing.wait(0.0) is None


def test_what_is_left_is_counted_in_hand_and_between_two_steps() -> None:
    outgoing = outgoing_of(LARGE, SMALL)
    assert outgoing.backlog == (2, 910)
    outgoing.next(0.0)
    assert outgoing.backlog == (2, 910)
    outgoing.looked()
    outgoing.goes_on(LARGE, 600)
    assert outgoing.backlog == (2, 610)
    outgoing.next(0.0)
    assert outgoing.next(0.0) is LARGE
    assert outgoing.backlog == (1, 600)


def test_a_session_that_changes_while_it_waits_is_looked_at_once_as_it_is_now() -> None:
    outgoing = outgoing_of(SMALL, LARGE)
    grown = session("large", 950)
    outgoing.changed(grown, 0.0)

    assert [outgoing.next(0.0), outgoing.next(0.0)] == [grown, SMALL]
    assert outgoing.next(0.0) is None
    outgoing.looked()
    assert outgoing.backlog == (0, 0)
