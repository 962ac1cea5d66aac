"""Measures transfers that are under way, and writes them into work.db for `status`.

Syncthing is asked only while files move. Any member can falsify Syncthing's figures
(docs/syncthing.md, "Completion"), so they are bounded, shown as "about", and decide nothing.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel, World, inboxes, outboxes, receivers
from karma_sync.errors import SyncthingError, SyncthingRefused
from karma_sync.paths import holds_documents
from karma_sync.runtime.timing import soonest
from karma_sync.runtime.worker import Wake
from karma_sync.store import work
from karma_sync.store.database import Database

if TYPE_CHECKING:  # `status` reads this module, and the models of Syncthing load slowly
    from karma_sync.syncthing.wire import Completion, FolderStatus

_NEWEST = 0.4  # the weight of the newest measurement in the rate
_SHORTEST_S = 0.5  # measurements closer together give no useful rate
_LONGEST_S = 30 * 24 * 3600  # a longer estimate is worthless
_FIRST_S = 1.0  # a transfer that is over by then is not worth a request
_EVERY_S = 2.0
_GIVE_UP_S = 60.0  # nothing moves: the next event starts the measurement again


@dataclass(frozen=True)
class Pull:
    """One measurement of a transfer.

    `at` is in monotonic seconds. `done` bytes are there; `left` bytes in `items` items are missing.
    `rate` is in bytes a second; 0 while it is unknown or nothing moves.
    """

    at: float
    done: int
    left: int
    items: int
    rate: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing is missing."""
        return not self.left and not self.items


def measure(before: Pull | None, at: float, done: int, left: int, items: int) -> Pull:
    """The measurement that follows `before`, with the rate so far.

    Each figure is bounded by what a channel may hold.
    """
    now = Pull(at, _bounded(done), _bounded(left), max(0, min(items, limits.NUMBER)))
    if before is None:
        return now
    if at - before.at < _SHORTEST_S:
        return before
    moved = max(0, now.done - before.done) / (at - before.at)
    rate = _NEWEST * moved + (1 - _NEWEST) * before.rate if before.rate else moved
    return Pull(now.at, now.done, now.left, now.items, rate if rate >= 1 else 0.0)


def seconds_left(left: int, rate: float) -> int | None:
    """How many seconds `left` bytes take at `rate` bytes a second; None if it is unknown."""
    if rate <= 0 or left / rate > _LONGEST_S:
        return None
    return round(left / rate)


def _bounded(count: int) -> int:
    return max(0, min(count, limits.CHANNEL_BYTES))


class Figures(Protocol):
    """The calls to Syncthing that measuring makes."""

    def folder_status(self, folder: str) -> "FolderStatus": ...
    def completion(self, folder: str, device: str) -> "Completion": ...


def is_idle(syncthing: Figures, folder: str) -> bool:
    """Whether Syncthing fetches nothing for a folder and needs nothing; False if it is silent."""
    try:
        found = syncthing.folder_status(folder)
    except SyncthingError:
        return False
    return found.state == "idle" and found.need_items == 0


class ActiveFolders:
    """The folders in which files move, and since when; several threads may use it."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    def start(self, folder: str) -> None:
        """Files begin to move in this folder."""
        with self._lock:
            self._since.setdefault(folder, time.monotonic())
        self._wake.set()

    def extend(self, folder: str, since: float) -> None:
        """Files still move in this folder; count from `since`, in monotonic seconds."""
        with self._lock:
            self._since[folder] = since

    def end(self, folder: str) -> None:
        """Nothing moves in this folder any more."""
        with self._lock:
            self._since.pop(folder, None)

    def since(self) -> dict[str, float]:
        """By folder in which files move, since when, in monotonic seconds."""
        with self._lock:
            return dict(self._since)


@dataclass(frozen=True)
class Measured:
    """The functions of other parts that measuring calls.

    `connected` returns the connected devices. `backlog` returns how many sessions are not packaged
    yet, and about how many bytes. `check_status` is called with every folder status that was read.
    """

    connected: Callable[[], frozenset[str]]
    backlog: Callable[[], tuple[int, int]]
    check_status: Callable[[World, str, "FolderStatus"], None]


class Transfers:
    """Follows each transfer from its begin until nothing is missing, or nothing moves."""

    def __init__(
        self, syncthing: Figures, store: Database, moving: ActiveFolders, measured: Measured
    ) -> None:
        self._syncthing = syncthing
        self._store = store
        self._moving = moving
        self._connected = measured.connected
        self._backlog = measured.backlog
        self._check_status = measured.check_status
        self._pulls: dict[tuple[str, str], Pull] = {}
        self._packaging_since: float | None = None
        with store.transaction() as tx:
            work.transfers.clear(tx)  # the rows of an earlier daemon

    def run(self, world: World) -> float | None:
        """Measure what moves; returns seconds until the next measurement, None if nothing moves."""
        now = time.monotonic()
        moving = self._moving.since()
        due = {folder: since for folder, since in moving.items() if now - since >= _FIRST_S}
        waiting = len(due) < len(moving)
        for folder, since in due.items():
            if not self._still_moves(world, folder, since, now):
                self._moving.end(folder)
        packaging = self._measure_backlog(now)
        busy = bool(self._moving.since())
        return soonest(packaging, _FIRST_S if waiting else None, _EVERY_S if busy else None)

    def _still_moves(self, world: World, folder: str, since: float, now: float) -> bool:
        try:
            found = dict(self._measure(world, folder, now))
        except SyncthingRefused as error:
            if not error.is_not_found:
                raise
            found = {}  # the folder was paused or dropped meanwhile
        for key in [k for k in self._pulls if k[0] == folder and k[1] not in found]:
            self._keep(key, None)
        for device, pull in found.items():
            self._keep((folder, device), None if pull.over else pull)
        moving = [p for p in found.values() if not p.over]
        if any(p.rate for p in moving):
            self._moving.extend(folder, now - _FIRST_S)
            return True
        return bool(moving) and now - since < _GIVE_UP_S

    def _measure(self, world: World, folder: str, now: float) -> Iterator[tuple[str, Pull]]:
        if folder in {channel.id for channel in inboxes(world)}:
            status = self._syncthing.folder_status(folder)
            self._check_status(world, folder, status)
            done = status.global_bytes - status.need_bytes
            before = self._pulls.get((folder, ""))
            yield "", measure(before, now, done, status.need_bytes, status.need_items)
        elif holds_documents(folder):
            self._check_status(world, folder, self._syncthing.folder_status(folder))
        for channel in outboxes(world):
            if channel.id == folder:
                yield from self._measure_receivers(world, channel, now)

    def _measure_receivers(
        self, world: World, channel: Channel, now: float
    ) -> Iterator[tuple[str, Pull]]:
        connected = self._connected()
        for device in receivers(world, channel) & connected:
            found = self._syncthing.completion(channel.id, device)
            before = self._pulls.get((channel.id, device))
            done = found.global_bytes - found.need_bytes
            yield device, measure(before, now, done, found.need_bytes, found.need_items)

    def _measure_backlog(self, now: float) -> float | None:
        """Measure the packaging backlog; returns seconds until the next time, None if empty."""
        count, left = self._backlog()
        if not count:
            self._packaging_since = None
            self._keep((work.PACKAGING, ""), None)
            return None
        if self._packaging_since is None:
            self._packaging_since = now
        if now - self._packaging_since < _FIRST_S:
            return _FIRST_S
        before = self._pulls.get((work.PACKAGING, ""))
        done = before.done + max(0, before.left - left) if before else 0
        self._keep((work.PACKAGING, ""), measure(before, now, done, left, count))
        return _EVERY_S

    def _keep(self, key: tuple[str, str], pull: Pull | None) -> None:
        """Write a measurement if it changed; None deletes it."""
        if pull == self._pulls.get(key):
            return
        folder, device = key
        with self._store.transaction() as tx:
            if pull is None:
                del self._pulls[key]
                work.transfers.drop(tx, folder=folder, device=device)
                return
            self._pulls[key] = pull
            row = work.Transfer(
                folder=folder, device=device, left=pull.left, items=pull.items, rate=pull.rate
            )
            work.transfers.put(tx, row)
