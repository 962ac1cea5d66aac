"""When which folder is looked at: what ails at once, the others in turn, within ten minutes."""

import hashlib
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from karma_sync.domain.mesh.channels import World
from karma_sync.domain.mesh.plan import desired
from karma_sync.errors import SyncthingUnreachable
from karma_sync.mesh.health.folder_health import Health
from karma_sync.mesh.health.recovery import Folders, Recovery
from karma_sync.runtime.timing import RETRY_S

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
class Checked:
    """Outboxes that were mended, those that have recovered, and when to look again (seconds)."""

    mended: set[str]
    recovered: set[str]
    wait: float | None


class Checker:
    """Looks at the health of folders; `ails` and `all_now` may be called from any thread."""

    def __init__(self, health: Health, recovery: Recovery, syncthing: Folders) -> None:
        self._health = health
        self._recovery = recovery
        self._syncthing = syncthing
        self._lock = threading.Lock()
        self._ailing: set[str] | None = None
        self._turns = Turns()

    def ails(self, folder: str) -> None:
        """Look at this folder soon."""
        with self._lock:
            if self._ailing is not None:
                self._ailing.add(folder)

    def all_now(self) -> None:
        """Look at all of them soon."""
        with self._lock:
            self._ailing = None

    def run(self, world: World) -> Checked:
        """Look at what ails, and at those whose turn it is."""
        with self._lock:
            ailing, self._ailing = self._ailing, set()
        turn = self._turns.take({f.id for f in desired(world).folders}, time.monotonic())
        try:
            mended = self._health.look(world, ailing, turn)
            recovered = self._recovery.look(world, self._syncthing)
        except SyncthingUnreachable:
            self.all_now()  # once it answers
            raise
        waits = [self._turns.wait(time.monotonic())]
        waits += [RETRY_S] if self._health.is_any_ill else []
        waits += [_RECOVERING_S] if world.recovering else []
        wait = min((each for each in waits if each is not None), default=None)
        return Checked(mended | recovered, recovered, wait)


def _share(folder: str) -> float:
    """A place between 0 and 1, always the same for the same folder."""
    return int.from_bytes(hashlib.sha256(folder.encode()).digest()[:4]) / 2**32
