"""Waits with a new inbox until somebody offers it.

If both machines have a folder that one of them does not share yet, its index can arrive there
before the share is known; that ends the connection, and Syncthing 1.19 then needs 5 s for
the next one (docs/syncthing.md, "Connections").
"""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from karma_sync.domain.mesh.channels import World, inboxes
from karma_sync.runtime.timing import soonest

# The owner shares it when it sees that I joined: within 0.1 s. After this time it is made anyway.
_OFFERED_WITHIN_S = 2.0


class InboxOffers:
    """Tracks the inboxes that are neither here nor offered yet; used by the cycle."""

    def __init__(
        self, folder: Callable[[str], Path], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`folder` returns the directory of a folder, by its ID."""
        self._folder = folder
        self._monotonic = monotonic
        self._until: dict[str, float] = {}  # by folder: when it is made although nobody offers it
        self._here: set[str] = set()  # so that a cycle does not look for each directory

    def awaited(self, world: World, offered: Collection[str]) -> frozenset[str]:
        """The inboxes of a world that are to be made when somebody offers them.

        `offered` are the folders that others offer now and that Syncthing does not have.
        """
        now, before = self._monotonic(), self._until
        wanted = {channel.id for channel in inboxes(world)}
        self._here &= wanted
        self._here |= {name for name in wanted - self._here if self._folder(name).exists()}
        missing = wanted - self._here - set(offered)
        self._until = {name: before.get(name, now + _OFFERED_WITHIN_S) for name in missing}
        return frozenset(name for name, until in self._until.items() if until > now)

    @property
    def wait(self) -> float | None:
        """Seconds until an inbox is made that nobody offers; None if none waits."""
        now = self._monotonic()
        return soonest(*(until - now + 0.1 for until in self._until.values() if until > now))
