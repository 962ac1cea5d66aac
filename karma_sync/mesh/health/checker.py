"""Schedules folder checks: unhealthy ones now, all within ten minutes."""

import hashlib
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from karma_sync.domain.mesh.channels import World
from karma_sync.domain.mesh.plan import desired
from karma_sync.errors import SyncthingUnreachable
from karma_sync.mesh.health.folder_health import FolderHealth
from karma_sync.mesh.health.recovery import Recovery, RecoveryPort
from karma_sync.runtime.timing import RETRY_S
from karma_sync.runtime.worker import Wake

EVERY_S = 600.0
_RECOVERING_S = 0.5  # how often an outbox is looked at that takes its items back


class Turns:
    """Gives each folder its turn once in `every_s` seconds, spread by their ids."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._due: dict[str, float] = {}

    def take(self, folders: Collection[str], now: float) -> set[str]:
        """The folders whose turn it is at `now` (monotonic seconds)."""
        self._due = {
            folder: self._due.get(folder, now + self._every_s * _share(folder))
            for folder in folders
        }
        found = {folder for folder, due in self._due.items() if due <= now}
        self._due |= dict.fromkeys(found, now + self._every_s)
        return found

    def wait(self, now: float) -> float | None:
        """Seconds until the next turn; None if there are no folders."""
        return max(0.0, min(self._due.values()) - now) if self._due else None


@dataclass(frozen=True)
class CheckResult:
    """Outboxes that were mended, those that have recovered, and when to look again (seconds)."""

    mended: set[str]
    recovered: set[str]
    wait: float | None


class CheckRequests:
    """The folders that are to be checked soon; may be used by several threads."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._folders: set[str] | None = None

    def needs_check(self, folder: str) -> None:
        """Check this folder soon."""
        with self._lock:
            if self._folders is not None:
                self._folders.add(folder)
        self._wake.set()

    def check_all(self) -> None:
        """Check every folder soon."""
        with self._lock:
            self._folders = None
        self._wake.set()

    def take(self) -> set[str] | None:
        """What was asked for since the last call: these folders, or None for all of them."""
        with self._lock:
            folders, self._folders = self._folders, set()
        return folders


class Checker:
    """Checks the health of folders: those that were asked for, and each in its turn."""

    def __init__(
        self,
        requests: CheckRequests,
        health: FolderHealth,
        recovery: Recovery,
        syncthing: RecoveryPort,
    ) -> None:
        self._requests = requests
        self._health = health
        self._recovery = recovery
        self._syncthing = syncthing
        self._turns = Turns()

    def run(self, world: World) -> CheckResult:
        """Check the folders that were asked for, and those whose turn it is."""
        asked = self._requests.take()
        turn = self._turns.take({f.id for f in desired(world).folders}, time.monotonic())
        try:
            mended = self._health.look(world, asked, turn)
            recovered = self._recovery.look(world, self._syncthing)
        except SyncthingUnreachable:
            self._requests.check_all()  # once it answers
            raise
        waits = [self._turns.wait(time.monotonic())]
        waits += [RETRY_S] if self._health.is_any_ill else []
        waits += [_RECOVERING_S] if world.recovering else []
        wait = min((each for each in waits if each is not None), default=None)
        return CheckResult(mended | recovered, recovered, wait)


def _share(folder: str) -> float:
    """A place between 0 and 1, always the same for the same folder."""
    return int.from_bytes(hashlib.sha256(folder.encode()).digest()[:4]) / 2**32
