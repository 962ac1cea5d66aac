"""Withdrawn items go also from members that were away, whatever happened since."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import Subscription
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


def declines_and_reopens(here: MemoryTown, a: Player, b: Player) -> None:
    b.move(PROJECT, Subscription.decline)
    here.settle()
    b.move(PROJECT, Subscription.reopen)


def retracts_and_leaves(here: MemoryTown, a: Player, b: Player) -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    b.move(PROJECT, lambda s: s.change(Direction.RECEIVE, s.content).retract(now_ms))
    here.settle()
    b.leave(retracted=False)


def retracts_and_is_removed(here: MemoryTown, a: Player, b: Player) -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    b.move(PROJECT, lambda s: s.change(Direction.RECEIVE, s.content).retract(now_ms))
    here.settle()
    a.remove(b, retracted=False)


def is_removed_with_its_items_and_added_again(here: MemoryTown, a: Player, b: Player) -> None:
    a.remove(b, retracted=True)
    here.settle()
    a.admit(b)


@pytest.mark.parametrize(
    "happens",
    [
        declines_and_reopens,
        retracts_and_leaves,
        pytest.param(retracts_and_is_removed, marks=pytest.mark.slow),
        is_removed_with_its_items_and_added_again,
    ],
)
def test_who_was_away_forgets_what_was_taken_back(
    here: MemoryTown, happens: Callable[[MemoryTown, Player, Player], None]
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    session, other = b.member.write_session("by bob"), a.member.write_session("by alice")
    here.settle()
    assert c.member.holds(session, other)
    c.member.offline()
    happens(here, a, b)
    here.settle()
    c.member.online()
    here.settle()

    assert c.member.peek(session.id) is None
    assert a.member.peek(session.id) is None
    assert c.member.holds(other)


def test_what_was_not_taken_back_stays_when_its_author_leaves(here: MemoryTown) -> None:
    _, b, c = team_of(here, "alice", "bob", "carol")
    session = b.member.write_session("by bob")
    here.settle()
    c.member.offline()
    b.leave(retracted=False)
    here.settle()
    c.member.online()
    here.settle()

    assert c.member.holds(session)
