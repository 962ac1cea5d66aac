"""Measured transfers: figures are bounded, and an unknown rate gives no estimate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.mesh.transfers import Pull, measure, seconds_left
from tests.support.builders import examples

ANY = st.integers(-(2**70), 2**70)


def test_the_time_left_comes_from_the_measured_rate() -> None:
    first = measure(None, at=10.0, done=0, left=10_000_000, items=40)
    second = measure(first, at=12.0, done=2_000_000, left=8_000_000, items=32)

    assert first.rate == 0
    assert seconds_left(first.left, first.rate) is None
    assert second.rate == 1_000_000
    assert seconds_left(second.left, second.rate) == 8


def test_a_transfer_that_slows_down_takes_longer() -> None:
    pull = measure(None, 0.0, 0, 10_000_000, 1)
    for second in range(1, 4):
        pull = measure(pull, float(second), second * 1_000_000, 10_000_000, 1)
    fast = seconds_left(pull.left, pull.rate)
    for second in range(4, 20):
        pull = measure(pull, float(second), 3_000_000, 10_000_000, 1)

    assert fast == 10
    assert pull.rate < 1000
    assert seconds_left(10**12, 1.0) is None, "longer than a month is no answer"


def test_two_looks_at_once_measure_nothing() -> None:
    first = Pull(at=1.0, done=5, left=10, items=1)

    assert measure(first, 1.1, 10**9, 0, 0) == first


@pytest.mark.parametrize(("left", "items", "over"), [(0, 0, True), (0, 1, False), (1, 0, False)])
def test_it_is_over_when_neither_bytes_nor_items_lack(left: int, items: int, over: bool) -> None:
    assert measure(None, 0.0, 0, left, items).over == over


@given(ANY, ANY, ANY, ANY)
@examples()
def test_poisoned_figures_stay_within_bounds(done: int, left: int, items: int, more: int) -> None:
    pull = measure(measure(None, 0.0, done, left, items), 1.0, more, left, items)

    for count in (pull.done, pull.left):
        assert 0 <= count <= limits.CHANNEL_BYTES
    assert 0 <= pull.items <= limits.NUMBER
    assert 0 <= pull.rate <= limits.CHANNEL_BYTES
