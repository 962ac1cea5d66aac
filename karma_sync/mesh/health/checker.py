"""Schedules folder checks: unhealthy ones now, all within ten minutes."""

import hashlib
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from karma_sync.domain.mesh.channels import World
from karma_sync.errors import SyncthingUnreachable
from karma_sync.mesh.health.folder_health import FolderHealth
from karma_sync.mesh.health.recovery import Recovery, RecoveryPort
from karma_sync.runtime.timing import RETRY_S, soonest
from karma_sync.runtime.worker import Wake

EVERY_S = 600.0
_RECOVERING_S = 0.5  # how often a recovering outbox is checked


class Turns:
    """Gives each folder a turn once in `every_s` seconds, spread by the folders' IDs."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._due: dict[str, float] = {}

    def take(self, folders: Collection[str], now: float) -> set[str]:
        """The folders whose turn it is at `now` (monotonic seconds)."""
        self._due = {
            folder: self._due[folder]
            if folder in self._due
            else now + self._every_s * _share(folder)
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
    """The outboxes that were mended, those that recovered, and seconds until the next check."""

    mended: set[str]
    recovered: set[str]
    wait: float | None


class CheckRequests:
    """The folders to check soon; several threads may use it. At first these are all folders."""

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
        self.put_back_all()
        self._wake.set()

    def put_back_all(self) -> None:
        """Check every folder at the next run, without waking the thread now.

        For the checking thread itself: after a failure it pauses before it tries again.
        """
        with self._lock:
            self._folders = None

    def take(self) -> set[str] | None:
        """The folders that were requested since the last call; None means all folders."""
        with self._lock:
            folders, self._folders = self._folders, set()
        return folders


class Checker:
    """Checks folders: those that were requested, and each in its turn; used by one thread."""

    def __init__(
        self,
        requests: CheckRequests,
        health: FolderHealth,
        recovery: Recovery,
        syncthing: RecoveryPort,
        monotonic: Callable[[], float],
    ) -> None:
        """`monotonic` returns seconds of a clock that nobody can set."""
        self._requests = requests
        self._health = health
        self._recovery = recovery
        self._syncthing = syncthing
        self._monotonic = monotonic
        self._turns = Turns()

    def run(self, world: World) -> CheckResult:
        """Check the requested folders, those whose turn it is, and all that have a fault.

        Raises:
            SyncthingUnreachable: then all folders are checked once it answers.
        """
        requested = self._requests.take()
        turn = self._turns.take(self._health.folders(world), self._monotonic())
        try:
            mended = self._health.check(world, requested, turn)
            recovered = self._recovery.run(world, self._syncthing)
        except SyncthingUnreachable:
            self._requests.put_back_all()
            raise
        wait = soonest(
            self._turns.wait(self._monotonic()),
            RETRY_S if self._health.has_faults else None,
            self._health.wait,
            _RECOVERING_S if world.recovering else None,
        )
        return CheckResult(mended | recovered, recovered, wait)


def _share(folder: str) -> float:
    """A number from 0 to 1 that is always the same for one folder."""
    return int.from_bytes(hashlib.sha256(folder.encode()).digest()[:4]) / 2**32
