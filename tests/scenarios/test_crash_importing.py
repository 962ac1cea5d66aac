"""A daemon that is killed while it imports: the library is whole, and nothing is missing."""

import pytest

from tests.support.crashwalk import Walk
from tests.support.harness import Member
from tests.support.sound import assert_sound, until_same
from tests.support.town import Town

pytestmark = pytest.mark.daemon
_SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]  # some fifty starts of a daemon
_SHORT = r"before link library|after replace library|library\.db in (imp|rec)"
_EVERYTHING = rf"(before|after) (mkdir|unlink|fsync) library|{_SHORT}"


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """Two members that share `repo`."""
    a, b = town.pair()
    return a, b


@pytest.mark.parametrize(
    ("victim", "scope", "least"),
    [
        pytest.param("daemon", _SHORT, 8, marks=_SLOW),
        ("syncthing", _SHORT, 8),
        pytest.param("daemon", _EVERYTHING, 20, marks=_SLOW),
    ],
)
def test_a_receiver_killed_anywhere_in_importing_goes_on_where_it_was(
    pair: tuple[Member, Member], victim: str, scope: str, least: int
) -> None:
    a, b = pair
    session = a.write_session("before")
    b.until_readable(session)
    b.down()
    walk = Walk(b, scope, victim)
    points = walk.appends(session, b, a)
    b.up()
    session.append("afterwards")
    until_same(b, a, session)

    assert_sound(a)
    assert_sound(b)
    assert len(points) >= least
