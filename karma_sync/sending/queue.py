"""The order in which sessions are looked at: what just changed first, the backlog between."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain.session.source_files import SourceSession

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


Key = tuple[Path, str]


class SendQueue:
    """Sessions to look at, each at its own pace; times are monotonic seconds.

    A session in the backlog is looked at when nothing that changed is due. `left` tells about how
    many bytes of a session did not leave yet.
    """

    def __init__(self, left: Callable[[SourceSession], int]) -> None:
        self._left = left
        self._backlog: dict[Key, tuple[SourceSession, int]] = {}  # with the bytes left
        self._bytes = 0
        self._in_hand: int | None = None  # bytes left of it
        self._changed: dict[Key, tuple[float, SourceSession]] = {}
        self._paces: dict[Key, Pace] = {}

    def all_of(self, sessions: Iterable[SourceSession]) -> None:
        """Look at all of these, in this order, instead of the backlog there was."""
        self._backlog = {_key(session): (session, self._left(session)) for session in sessions}
        self._bytes = sum(left for _, left in self._backlog.values())

    @property
    def backlog(self) -> tuple[int, int]:
        """How many sessions are still to be looked at, the one in hand too, and their bytes."""
        in_hand = self._in_hand
        if in_hand is None:
            return len(self._backlog), self._bytes
        return len(self._backlog) + 1, self._bytes + in_hand

    def changed(self, session: SourceSession, now: float) -> None:
        """This session was written to."""
        key = _key(session)
        pace = self._paces.get(key)
        due = max(now, pace.due() if pace else 0)
        if key in self._changed:
            due = min(due, self._changed[key][0])
        self._changed[key] = due, session

    def again(self, session: SourceSession, due: float) -> None:
        """Look at this session again then, whether it was written to or not."""
        self._changed[_key(session)] = due, session

    def goes_on(self, session: SourceSession, left: int) -> None:
        """So many bytes of this session are left; they come after the others, which do not wait."""
        self._drop(_key(session))
        self._backlog[_key(session)] = session, left
        self._bytes += left

    def next(self, now: float) -> SourceSession | None:
        """The session to look at now, `looked` ends that; None if there is none."""
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
        self._drop(key)  # it is looked at as it is now
        self._in_hand = left
        return found

    def looked(self) -> None:
        """Nothing is in hand any more."""
        self._in_hand = None

    def packaged(self, session: SourceSession, now: float) -> None:
        """This session was packaged now; looking at it and finding nothing new does not count."""
        key = _key(session)
        self._paces[key] = after(self._paces.get(key), now)

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None if nothing ever will be."""
        if self._backlog:
            return 0.0
        if not self._changed:
            return None
        return max(0.0, min(due for due, _ in self._changed.values()) - now)

    def _drop(self, key: Key) -> None:
        self._bytes -= self._backlog.pop(key, (None, 0))[1]


def _key(session: SourceSession) -> Key:
    return session.directory, session.session_id
