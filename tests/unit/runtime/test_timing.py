"""Deadlines and polling; an outbox overrides three times in ten minutes, then hourly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.runtime.timing import Deadline, Retry, next_override, poll
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


def test_a_deadline_is_over_once_its_seconds_have_passed() -> None:
    passed, later = Deadline(0.0), Deadline(60.0)

    assert passed.is_over
    assert passed.left == 0
    assert not later.is_over
    assert 59 < later.left <= 60


def test_poll_returns_the_first_result_that_is_true() -> None:
    results = iter([0, 0, 7, 8])

    assert poll(lambda: next(results), every_s=0.001, within_s=60.0) == 7


def test_poll_returns_the_last_result_when_the_time_is_over() -> None:
    calls: list[int] = []

    def condition() -> bool:
        calls.append(1)
        return False

    assert poll(condition, every_s=0.001, within_s=0.01) is False
    assert len(calls) > 1
    assert poll(condition, every_s=0.001, within_s=0.0) is False


def test_a_retry_is_due_at_once_and_then_only_after_a_pause() -> None:
    retry = Retry()

    assert [retry.is_due() for _ in range(3)] == [True, False, False]
