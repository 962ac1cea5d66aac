"""How often a busy session is packaged: at once, then each second, then every five."""

from hypothesis import given
from hypothesis import strategies as st

from karma_sync.sending.queue import Pace, after
from tests.support.builders import examples


def package_as_soon_as_due(start: float, seconds: float) -> list[float]:
    """The moments at which a session that is written to all the time is packaged."""
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


def test_a_session_that_rested_is_packaged_at_once_again_and_then_each_second() -> None:
    busy = Pace(last=1040.0, busy_since=1000.0)
    assert busy.due() == 1045.0

    rested = after(busy, 1060.0)
    assert rested == Pace(1060.0, 1060.0)
    assert rested.due() == 1061.0


def test_a_short_breath_does_not_make_a_busy_session_quiet() -> None:
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
