"""Withdrawn items go also from members that were away, whatever happened since."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import Subscription
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of
from tests.support.schedule import Schedule


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


# ---- single sessions, taken back before the channel was closed


def narrows(a: Player, b: Player) -> None:
    b.move(PROJECT, lambda s: s.change(Direction.RECEIVE, s.content))


def leaves(a: Player, b: Player) -> None:
    b.leave(retracted=False)


def is_removed(a: Player, b: Player) -> None:
    a.remove(b, retracted=False)


def sees_it_unshared(a: Player, b: Player) -> None:
    a.member.run("project", "unshare", PROJECT, "--yes")


def sees_it_shared_again(a: Player, b: Player) -> None:
    sees_it_unshared(a, b)
    a.share(PROJECT)


CLOSES = pytest.mark.parametrize(
    "closes", [narrows, leaves, is_removed, sees_it_unshared, sees_it_shared_again]
)


class Unshared:
    """Carol is away since before Bob unshared one of two sessions that all have."""

    def __init__(self, here: MemoryTown) -> None:
        self.here = here
        self.a, self.b, self.c = team_of(here, "alice", "bob", "carol")
        self.gone, self.kept = (self.b.member.write_session(each) for each in ("one", "two"))
        here.settle()
        self.schedule = Schedule(here, [self.a, self.b, self.c])
        self.schedule.copy(self.b)
        assert self.c.member.holds(self.gone, self.kept)
        self.c.member.offline()
        self.b.member.run("session", "unshare", self.gone.id)
        here.settle()

    def end(self) -> None:
        """Carol comes back."""
        self.here.settle()
        self.c.member.online()
        self.here.settle()

    def check(self) -> None:
        """Everybody has the one, and nobody the other."""
        for each in (self.a, self.c):
            assert each.member.peek(self.gone.id) is None, each.me.tag
            assert each.member.holds(self.kept), each.me.tag


@pytest.fixture
def unshared(here: MemoryTown) -> Unshared:
    return Unshared(here)


@CLOSES
def test_an_unshared_session_goes_though_its_channel_is_closed(
    unshared: Unshared, closes: Callable[[Player, Player], None]
) -> None:
    closes(unshared.a, unshared.b)
    unshared.end()

    unshared.check()


@pytest.mark.parametrize("reopens", [True, False])
def test_an_unshared_session_goes_from_who_declined_the_project(
    here: MemoryTown, reopens: bool
) -> None:
    _, b, c = team_of(here, "alice", "bob", "carol")
    gone, kept = (b.member.write_session(each) for each in ("one", "two"))
    here.settle()
    c.move(PROJECT, Subscription.decline)
    if reopens:
        c.move(PROJECT, Subscription.reopen)
    here.settle()
    assert c.member.holds(gone, kept)
    b.member.run("session", "unshare", gone.id)
    here.settle()

    assert c.member.peek(gone.id) is None
    assert c.member.holds(kept)


@pytest.mark.parametrize("names", [("state.db",), ("work.db",), ("state.db", "work.db")])
@pytest.mark.parametrize("lost", [True, False])
def test_an_unshared_session_goes_though_its_author_lost_a_database(
    unshared: Unshared, names: Sequence[str], lost: bool
) -> None:
    narrows(unshared.a, unshared.b)
    unshared.here.settle()
    if lost:
        unshared.schedule.lose(unshared.b, names)
    else:
        unshared.schedule.restore(unshared.b, names)
    unshared.end()

    unshared.check()


def test_an_unshared_session_goes_though_its_channel_was_closed_and_opened(
    unshared: Unshared,
) -> None:
    narrows(unshared.a, unshared.b)
    unshared.here.settle()
    unshared.b.move(PROJECT, lambda s: s.change(Direction.BOTH, s.content))
    unshared.end()
    unshared.here.an_hour_passes()

    unshared.check()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_session_that_is_shared_again_comes_again(unshared: Unshared, is_new: bool) -> None:
    b = unshared.b
    narrows(unshared.a, b)
    unshared.here.settle()
    b.member.run("session", "unshare", unshared.gone.id, "--undo", "--yes")
    if is_new:
        b.move(PROJECT, Subscription.decline)
        b.move(PROJECT, Subscription.reopen)
        b.accept(PROJECT, Direction.BOTH)
    else:
        b.move(PROJECT, lambda s: s.change(Direction.BOTH, s.content))
    unshared.end()
    narrows(unshared.a, b)
    unshared.here.settle()

    for each in (unshared.a, unshared.c):
        assert each.member.holds(unshared.gone, unshared.kept)
