"""A daemon that is killed while it packages: nothing half-done, no revision given out twice."""

from datetime import UTC, datetime

import pytest

from tests.support.crashwalk import Walk
from tests.support.harness import Member
from tests.support.sound import assert_sound, until_same
from tests.support.town import Town

pytestmark = pytest.mark.daemon
_SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]  # some fifty starts of a daemon
# A chunk that is not durable yet, and a manifest in its place; the other steps are in
# test_crash_in_memory.py.
_FEW = r"before fsync folders/ks-c.*/chunks/.*zst|after replace folders/ks-c.*/items/.*ks"
_SHORT = (
    r"(before fsync|after replace) folders/ks-c.*/(chunks|items)/.*(zst|ks)"
    r"|work\.db in package|scan ks-c"
)
_EVERYTHING = r"folders/ks-c.*/(chunks|items)|work\.db in (package|sending)|scan ks-c"


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """Two members that share `repo`."""
    a, b = town.pair()
    return a, b


@pytest.mark.parametrize(
    ("victim", "scope", "least"),
    [
        ("daemon", _FEW, 2),
        pytest.param("syncthing", _SHORT, 10, marks=_SLOW),
        pytest.param("daemon", _EVERYTHING, 20, marks=_SLOW),
    ],
)
def test_a_sender_killed_anywhere_in_packaging_goes_on_where_it_was(
    pair: tuple[Member, Member], victim: str, scope: str, least: int
) -> None:
    a, b = pair
    session = a.write_session("before")
    b.until_readable(session)
    a.down()
    walk = Walk(a, scope, victim, datetime.now(UTC))
    points = walk.appends(session, b, b)
    a.up()
    session.append("afterwards")
    until_same(b, a, session)

    assert_sound(a)
    assert_sound(b)
    walk.seen.look(a, b)
    assert len(points) >= least
