"""Which peers are connected, kept where other processes can read it; written only on change."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from karma_sync.store import work
from karma_sync.store.database import Database


class Connected(Protocol):
    """How Syncthing describes a device's connection."""

    @property
    def connected(self) -> bool: ...


class Links:
    """Records connections as they come and go."""

    def __init__(self, store: Database, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def all(self, connections: Mapping[str, Connected]) -> None:
        """Take stock after a start: who is not connected now, is not."""
        with self._store.reading() as tx:
            known = {link.device for link in work.links.all(tx)}
        for device in known | connections.keys():
            found = connections.get(device)
            self.one(device, found is not None and found.connected)

    def one(self, device: str, connected: bool) -> None:
        """This device came or went."""
        with self._store.transaction() as tx:
            before = work.links.get(tx, device)
            if before and before.connected == connected:
                return
            seen = self._now() if connected or (before and before.connected) else None
            last_seen = seen or (before.last_seen if before else None)
            link = work.Link(device=device, connected=connected, last_seen=last_seen)
            work.links.put(tx, link)
