"""Clock, deadlines, retries and pauses, for every part of this program; it imports none of them."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

RETRY_S = 5.0  # how soon a failed read or write is tried again

_BURST = 3
_BURST_S = 600.0
_AFTER_BURST_S = 3600.0
_CALM_S = 7200.0


def utc_now() -> datetime:
    """The current time of this program's clock, UTC, with its time zone set."""
    return datetime.now(UTC)


def now_ms() -> int:
    """The current time in Unix milliseconds."""
    return int(utc_now().timestamp() * 1000)


class Deadline:
    """The moment `seconds` from now, on a clock that nobody can set."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.left == 0


def poll(condition: Callable[[], T], every_s: float, within_s: float) -> T:
    """Call `condition` every `every_s` seconds until its result is true, at most `within_s` long.

    Returns the last result: if it is not true, the time is over.
    """
    deadline = Deadline(within_s)
    while not (result := condition()) and not deadline.is_over:
        time.sleep(min(every_s, deadline.left))
    return result


class Retry:
    """Limits the retries of one action to one every RETRY_S seconds; the first is due at once."""

    def __init__(self) -> None:
        self._next = Deadline(0.0)

    def is_due(self) -> bool:
        """Whether to try again now; True starts the next pause."""
        if not self._next.is_over:
            return False
        self._next = Deadline(RETRY_S)
        return True


def soonest(*waits: float | None) -> float | None:
    """The shortest of these waits in seconds; None if all are None."""
    return min((wait for wait in waits if wait is not None), default=None)


def next_override(past: Sequence[float], now: float) -> float:
    """The earliest moment, `now` or later, at which an outbox may override the peers again.

    An outbox may do so three times in ten minutes, then once an hour until two hours passed without
    one: two programs that undo each other's work must not continue for ever. All moments are
    seconds of one clock; `past` holds those of earlier overrides, in any order.
    """
    recent = _since_calm(sorted(past), now)
    if any(b - a < _BURST_S for a, b in zip(recent, recent[_BURST - 1 :], strict=False)):
        return max(now, recent[-1] + _AFTER_BURST_S)
    return now


def _since_calm(past: Sequence[float], now: float) -> list[float]:
    """The overrides since the last two hours without one, oldest first."""
    found: list[float] = []
    later = now
    for moment in reversed(past):
        if later - moment > _CALM_S:
            break
        found.insert(0, moment)
        later = moment
    return found
