"""How often a busy session is packaged: at once when it was quiet, then less and less."""

from dataclasses import dataclass

_BUSY_EVERY_S = 1.0
_LONG_BUSY_AFTER_S = 30.0
_LONG_BUSY_EVERY_S = 5.0


@dataclass(frozen=True)
class Pace:
    """When a session was last packaged and since when it has been busy, monotonic seconds."""

    last: float
    busy_since: float

    def due(self) -> float:
        """The earliest moment to package it again."""
        long_busy = self.last - self.busy_since >= _LONG_BUSY_AFTER_S
        return self.last + (_LONG_BUSY_EVERY_S if long_busy else _BUSY_EVERY_S)


def after(before: Pace | None, now: float) -> Pace:
    """The pace after packaging at `now`; a session that paused is not busy any more."""
    if before is None or now - before.last > 2 * (before.due() - before.last):
        return Pace(now, now)
    return Pace(now, before.busy_since)
