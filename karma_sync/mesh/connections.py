"""Which peers are connected, kept where other processes can read it; written only on change."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from karma_sync.store import work
from karma_sync.store.database import Database

# Longer than a lost connection is away if the other dials at once, shorter than a person waits.
_REMEMBERED_S = 8.0


class Connected(Protocol):
    """How Syncthing describes a device's connection."""

    @property
    def connected(self) -> bool: ...
    @property
    def type(self) -> str: ...


class Connections:
    """Records connections as they come and go, and who dialled."""

    def __init__(
        self,
        store: Database,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._incoming: dict[str, float] = {}
        self._up: set[str] = set()

    def record_all(self, connections: Mapping[str, Connected]) -> None:
        """Take stock after a start: who is not connected now, is not."""
        with self._store.reading() as tx:
            known = {link.device for link in work.links.all(tx)}
        for device in known | connections.keys():
            found = connections.get(device)
            if found is not None and found.connected:
                self.record_connected(device, found.type)
            else:
                self.record_disconnected(device)

    def record_connected(self, device: str, connection: str) -> None:
        """A device is connected; `connection` is Syncthing's type, such as tcp-server."""
        if connection.endswith("-server"):
            self._incoming[device] = self._monotonic()
        else:
            self._incoming.pop(device, None)
        self._up.add(device)
        self._record(device, connected=True)

    def record_disconnected(self, device: str) -> None:
        """A device is not connected."""
        if device in self._up and device in self._incoming:
            self._incoming[device] = self._monotonic()
        self._up.discard(device)
        self._record(device, connected=False)

    def incoming(self) -> frozenset[str]:
        """The devices that dial us: those connected so now, or until eight seconds ago.

        We need not dial them. Two that dial each other at the same moment, as after a connection
        was lost, can block each other for 20 seconds (docs/syncthing.md, "Dialling").
        """
        recent = self._monotonic() - _REMEMBERED_S
        return frozenset(d for d, at in self._incoming.items() if d in self._up or at > recent)

    def connected(self) -> frozenset[str]:
        """The devices that are connected now."""
        return frozenset(self._up)

    @property
    def wait(self) -> float | None:
        """Seconds until a device that dialled us, and went, is to be dialled; None if none is."""
        away = [at for device, at in self._incoming.items() if device not in self._up]
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
