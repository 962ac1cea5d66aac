"""Records in work.db which devices are connected, so that commands can read it.

A row is written only when it changes.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from karma_sync.store import work
from karma_sync.store.database import Database

# A device that dials again at once is back sooner. Where its Syncthing misses the moment, it may
# wait for half a minute (docs/syncthing.md, "Dialling"), so then we dial.
_REMEMBERED_S = 2.0


class Connected(Protocol):
    """One device's connection, as Syncthing describes it."""

    @property
    def connected(self) -> bool: ...
    @property
    def type(self) -> str: ...


class Connections:
    """The connected devices, and which of them dialled us."""

    def __init__(
        self,
        store: Database,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._incoming: dict[str, float] = {}  # when each was last connected, monotonic seconds
        self._connected: set[str] = set()

    def record_all(self, connections: Mapping[str, Connected]) -> None:
        """Record all connections at once, after a start; a missing device is disconnected."""
        with self._store.reading() as tx:
            known = {link.device for link in work.links.all(tx)}
        for device in known | connections.keys():
            found = connections.get(device)
            if found is not None and found.connected:
                self.record_connected(device, found.type)
            else:
                self.record_disconnected(device)

    def record_connected(self, device: str, connection: str) -> None:
        """Record that a device is connected.

        `connection` is Syncthing's connection type; it ends in `-server` if the device dialled us.
        """
        if connection.endswith("-server"):
            self._incoming[device] = self._monotonic()
        else:
            self._incoming.pop(device, None)
        self._connected.add(device)
        self._record(device, connected=True)

    def record_disconnected(self, device: str) -> None:
        """Record that a device is not connected."""
        if device in self._connected and device in self._incoming:
            self._incoming[device] = self._monotonic()
        self._connected.discard(device)
        self._record(device, connected=False)

    def incoming(self) -> frozenset[str]:
        """The devices that dial us: connected that way now, or less than two seconds ago.

        We need not dial them. Two devices that dial each other at the same moment, for instance
        after a lost connection, can block each other for 20 seconds (docs/syncthing.md,
        "Dialling").
        """
        recent = self._monotonic() - _REMEMBERED_S
        return frozenset(
            d for d, at in self._incoming.items() if d in self._connected or at > recent
        )

    def connected(self) -> frozenset[str]:
        """The IDs of the connected devices."""
        return frozenset(self._connected)

    @property
    def wait(self) -> float | None:
        """Seconds until we must dial a device that dialled us and disconnected; None if none."""
        away = [at for device, at in self._incoming.items() if device not in self._connected]
        left = [at + _REMEMBERED_S - self._monotonic() for at in away]
        return min((seconds + 0.1 for seconds in left if seconds > 0), default=None)

    def _record(self, device: str, *, connected: bool) -> None:
        with self._store.transaction() as tx:
            before = work.links.get(tx, device)
            if before and before.connected == connected:
                return
            seen = self._now() if connected or (before and before.connected) else None
            last_seen = seen or (before.last_seen if before else None)
            link = work.Link(device=device, connected=connected, last_seen=last_seen)
            work.links.put(tx, link)
