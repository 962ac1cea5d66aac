"""How often an outbox imposes itself: three times in ten minutes, then hourly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.runtime.timing import next_override
from tests.support.builders import examples

MINUTE, HOUR = 60.0, 3600.0


@pytest.mark.parametrize(
    ("past", "now", "due"),
    [
        ([], 0.0, 0.0),
        ([0], 1.0, 1.0),
        ([0, 1], 2.0, 2.0),
        ([0, 1, 2], 3.0, 2 + HOUR),
        ([0, 1, 2], 2 + HOUR, 2 + HOUR),
        ([0, 1, 2, 2 + HOUR], 3 + HOUR, 2 + 2 * HOUR),
        ([0, 5 * MINUTE, 10 * MINUTE], 11 * MINUTE, 11 * MINUTE),
        ([0, 1, 2], 3 * HOUR, 3 * HOUR),
        ([0, 1, 2, 3 * HOUR], 3 * HOUR + 1, 3 * HOUR + 1),
    ],
)
def test_when_the_next_override_may_be(past: list[float], now: float, due: float) -> None:
    assert next_override(past, now) == due


@given(st.lists(st.floats(0, 5 * HOUR), max_size=60))
@examples()
def test_never_more_than_three_in_ten_minutes(asked: list[float]) -> None:
    done: list[float] = []
    for now in sorted(asked):
        if next_override(done, now) <= now:
            done.append(now)

    for first, fourth in zip(done, done[3:], strict=False):
        assert fourth - first >= 10 * MINUTE
