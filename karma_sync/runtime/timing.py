"""How often an outbox may impose itself on the peers: pure, moments in seconds.

At most three times in ten minutes, then hourly, until it was calm for two hours: two programs that
undo each other's work must not do so for ever.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

_BURST = 3
_BURST_S = 600.0
_THEN_S = 3600.0
_CALM_S = 7200.0


def next_override(past: Sequence[float], now: float) -> float:
    """The earliest moment, `now` or later, for the next override after those of the past."""
    recent = _since_calm(sorted(past), now)
    if any(b - a < _BURST_S for a, b in zip(recent, recent[_BURST - 1 :], strict=False)):
        return max(now, recent[-1] + _THEN_S)
    return now


def _since_calm(past: Sequence[float], now: float) -> list[float]:
    """The overrides since it was last calm, oldest first."""
    found: list[float] = []
    later = now
    for moment in reversed(past):
        if later - moment > _CALM_S:
            break
        found.insert(0, moment)
        later = moment
    return found


RETRY_S = 5.0  # how soon what could not be written is tried again


class Retry:
    """When to try again what failed: at once if that was a while ago, then every few seconds."""

    def __init__(self) -> None:
        self._at = 0.0

    def is_due(self) -> bool:
        """Whether it is time; if so, the next time is in a few seconds."""
        now = time.monotonic()
        if now < self._at:
            return False
        self._at = now + RETRY_S
        return True


def soonest(*waits: float | None) -> float | None:
    """The shortest of these times in seconds; None if there is none."""
    return min((wait for wait in waits if wait is not None), default=None)


def now_ms() -> int:
    """Unix milliseconds."""
    return int(utc_now().timestamp() * 1000)


def utc_now() -> datetime:
    """The clock of this program: UTC, aware."""
    return datetime.now(UTC)
