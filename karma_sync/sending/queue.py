"""Orders the sessions that the sending thread checks, and limits how often it packages each.

Changed sessions come first, the backlog fills the time between them. A session that was quiet is
packaged at once; a busy session at most once a second, and after 30 seconds at most every 5
seconds, because each revision costs bytes on the wire and work at every receiver.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain.session.source_files import SourceSession

_BUSY_EVERY_S = 1.0
_LONG_BUSY_AFTER_S = 30.0
_LONG_BUSY_EVERY_S = 5.0

Key = tuple[Path, str]  # directory and id of a session


@dataclass(frozen=True)
class Pace:
    """When a session was last packaged, and when it became busy, in monotonic seconds."""

    last: float
    busy_since: float

    def due(self) -> float:
        """The earliest time to package the session again, in monotonic seconds."""
        long_busy = self.last - self.busy_since >= _LONG_BUSY_AFTER_S
        return self.last + (_LONG_BUSY_EVERY_S if long_busy else _BUSY_EVERY_S)


def after(before: Pace | None, now: float) -> Pace:
    """The pace after packaging at `now`; a session that paused in between starts anew."""
    if before is None or now - before.last > 2 * (before.due() - before.last):
        return Pace(now, now)
    return Pace(now, before.busy_since)


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
        due = max(now, pace.due() if pace else 0)
        if key in self._changed:
            due = min(due, self._changed[key][0])
        self._changed[key] = due, session

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

    def record_packaged(self, session: SourceSession, now: float) -> None:
        """Count a packaging at `now` for the session's pace; a check without news is not one."""
        key = _key(session)
        self._paces[key] = after(self._paces.get(key), now)

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
