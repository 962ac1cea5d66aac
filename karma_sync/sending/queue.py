"""Orders the sessions that the sending thread checks, and limits how often it packages each.

Changed sessions come first, the backlog fills the time between them. A session that was quiet is
packaged at once. A busy one is packaged once a second while that is cheap, and less often the more
it costs: each revision costs bytes on the wire and work on both sides (ADR 29).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from karma_sync.domain.session.source_files import SourceSession

_FASTEST_S = 1.0
_SLOWEST_S = 5.0
_WIRE_BYTES_PER_S = 64_000  # to each receiver
_CPU_SHARE = 0.02  # of one core

Key = tuple[Path, str]  # directory and id of a session


@dataclass(frozen=True)
class Cost:
    """The cost of one packaging: bytes that each receiver gets for it, and our CPU seconds."""

    wire: int = 0
    cpu_s: float = 0.0

    @property
    def pause_s(self) -> float:
        """The seconds in which this cost stays within the budget of a busy session."""
        needed = max(self.wire / _WIRE_BYTES_PER_S, self.cpu_s / _CPU_SHARE)
        return min(max(needed, _FASTEST_S), _SLOWEST_S)


@dataclass(frozen=True)
class Pace:
    """How one session was packaged and how it changes; all times are monotonic seconds.

    `packaged` is when it was packaged last, `cpu_s` what that cost, `pause_s` how long it then
    rests. `changed` is its
    latest change. `gap` and `earlier_gap` are the longest times between two changes, since it was
    packaged last and between the two packagings before.
    """

    packaged: float
    pause_s: float = _FASTEST_S
    cpu_s: float = 0.0
    changed: float | None = None
    gap: float = 0.0
    earlier_gap: float = 0.0

    def after_change(self, now: float) -> "Pace":
        """The pace after a change at `now`; a rest before it does not count for the rhythm."""
        gap = now - self.changed if self.changed is not None else 0.0
        return replace(self, changed=now, gap=max(self.gap, gap if gap < _SLOWEST_S else 0.0))

    def after_packaging(self, now: float, cost: Cost) -> "Pace":
        """The pace after a packaging at `now`.

        The lesser of the last two costs of CPU counts: one alone may be high because the redactor
        meets some text for the first time.
        """
        pause_s = replace(cost, cpu_s=min(cost.cpu_s, self.cpu_s)).pause_s
        return replace(
            self, packaged=now, pause_s=pause_s, cpu_s=cost.cpu_s, gap=0.0, earlier_gap=self.gap
        )

    def due(self, now: float) -> float:
        """The time to package the session if nothing changes after `now`.

        That is when its pause ends, or earlier when it has fallen quiet: when nothing changed for a
        second, and for twice as long as its latest changes were apart.
        """
        quiet_s = max(_FASTEST_S, 2 * self.gap, 2 * self.earlier_gap)
        return max(now, min(self.packaged + self.pause_s, now + quiet_s))


class SendQueue:
    """The sessions to check, each at its own pace; all times are monotonic seconds.

    A session of the backlog comes next when no changed session is due. `left` estimates how many
    bytes of a session have not been packaged yet.
    """

    def __init__(self, left: Callable[[SourceSession], int]) -> None:
        self._left = left
        self._backlog: dict[Key, tuple[SourceSession, int]] = {}  # with the bytes left
        self._bytes = 0
        self._in_hand: int | None = None  # bytes left of the session that `next` returned
        self._changed: dict[Key, tuple[float, SourceSession]] = {}
        self._paces: dict[Key, Pace] = {}

    def replace_backlog(self, sessions: Iterable[SourceSession]) -> None:
        """Make these sessions the backlog, in this order."""
        self._backlog = {_key(session): (session, self._left(session)) for session in sessions}
        self._bytes = sum(left for _, left in self._backlog.values())
        self._paces = {key: pace for key, pace in self._paces.items() if key in self._backlog}

    @property
    def backlog(self) -> tuple[int, int]:
        """The number of sessions still to be checked, and their bytes.

        Includes the session that `next` returned until `finish` is called.
        """
        in_hand = self._in_hand
        if in_hand is None:
            return len(self._backlog), self._bytes
        return len(self._backlog) + 1, self._bytes + in_hand

    def add_changed(self, session: SourceSession, now: float) -> None:
        """Check this session as soon as its pace allows: the agent changed it."""
        key = _key(session)
        pace = self._paces.get(key)
        if pace is None:
            self._changed[key] = now, session
            return
        self._paces[key] = pace.after_change(now)
        self._changed[key] = self._paces[key].due(now), session

    def schedule(self, session: SourceSession, due: float) -> None:
        """Check this session at the time `due`, whether it changes or not."""
        self._changed[_key(session)] = due, session

    def requeue(self, session: SourceSession, left: int) -> None:
        """Put a session with `left` bytes to package at the end of the backlog.

        So one large session does not keep the others waiting.
        """
        self._drop(_key(session))
        self._backlog[_key(session)] = session, left
        self._bytes += left

    def next(self, now: float) -> SourceSession | None:
        """The session to check now, None if none is due; call `finish` when it is done."""
        ready = [(due, key) for key, (due, _) in self._changed.items() if due <= now]
        if ready:
            _, key = min(ready)
            found = self._changed.pop(key)[1]
            left = self._left(found)
        elif self._backlog:
            key = next(iter(self._backlog))
            found, left = self._backlog[key]
        else:
            return None
        self._drop(key)  # a changed session needs no second check from the backlog
        self._in_hand = left
        return found

    def finish(self) -> None:
        """End the work on the session that `next` returned."""
        self._in_hand = None

    def record_packaged(self, session: SourceSession, now: float, cost: Cost) -> None:
        """Count a packaging at `now` for the session's pace; a check without news is not one.

        The first packaging does not show the cost of an append.
        """
        key = _key(session)
        pace = self._paces.get(key)
        self._paces[key] = pace.after_packaging(now, cost) if pace else Pace(now)

    def wait(self, now: float) -> float | None:
        """Seconds until a session is due; None if the queue is empty."""
        if self._backlog:
            return 0.0
        if not self._changed:
            return None
        return max(0.0, min(due for due, _ in self._changed.values()) - now)

    def _drop(self, key: Key) -> None:
        self._bytes -= self._backlog.pop(key, (None, 0))[1]


def _key(session: SourceSession) -> Key:
    return session.directory, session.session_id
