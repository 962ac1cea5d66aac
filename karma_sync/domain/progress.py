"""How far a transfer is, and how long the rest will take: pure, from Syncthing's figures.

Any member can poison these figures (SYNCTHING.md section 7b), so they are bounded, they are shown
as "about", and nothing is decided by them.
"""

from dataclasses import dataclass

from karma_sync.domain import limits

# How much the newest measurement counts against those before.
_NEWEST = 0.4
_SHORTEST_S = 0.5
_LONGEST_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Pull:
    """One look at a transfer: bytes that are there, bytes and items that lack, monotonic seconds.

    `rate` is what was measured up to now, in bytes a second; 0 while nothing is known or moves.
    """

    at: float
    done: int
    left: int
    items: int
    rate: float = 0.0

    @property
    def over(self) -> bool:
        return not self.left and not self.items


def looked(before: Pull | None, at: float, done: int, left: int, items: int) -> Pull:
    """The next look, bounded by what a channel may hold, with the rate measured so far."""
    now = Pull(at, _bounded(done), _bounded(left), max(0, min(items, limits.NUMBER)))
    if before is None:
        return now
    if at - before.at < _SHORTEST_S:
        return before
    moved = max(0, now.done - before.done) / (at - before.at)
    rate = _NEWEST * moved + (1 - _NEWEST) * before.rate if before.rate else moved
    return Pull(now.at, now.done, now.left, now.items, rate if rate >= 1 else 0.0)


def seconds_left(left: int, rate: float) -> int | None:
    """How long `left` bytes take at `rate` bytes a second; None if that cannot be said."""
    if rate <= 0 or left / rate > _LONGEST_S:
        return None
    return round(left / rate)


def _bounded(count: int) -> int:
    return max(0, min(count, limits.CHANNEL_BYTES))
