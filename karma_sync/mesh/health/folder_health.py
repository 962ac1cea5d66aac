"""Checks how Syncthing handles our folders, records faults, and mends them where that is safe.

A folder with a fault is checked again every RETRY_S seconds until it works. Syncthing itself tries
a failed pull again after a minute, then less and less often (docs/syncthing.md, "Faults").
"""

import re
import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from karma_sync.domain.mesh.channels import Channel, World, folder_title, outboxes
from karma_sync.domain.mesh.plan import Folder, FolderType, desired
from karma_sync.errors import SyncthingError, SyncthingRefused, SyncthingUnreachable
from karma_sync.files import private_dir
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.mesh.health.stalls import Stalls
from karma_sync.mesh.reconciler import prepare_folder
from karma_sync.paths import FOLDER_ID, Paths
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import REDACTION, Problems
from karma_sync.runtime.timing import Retry
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.syncthing.wire import FolderError, FolderStatus, Needed

StatusCheck = Callable[[World, str, FolderStatus], None]
"""Called with the ID and the status of a folder."""

_GONE = ("marker missing", "path missing")
# No fault: a device that has the version will connect at some time, or a peer replaced the file
# while it was fetched and will announce the new one. An error that stays is a stall.
_PASSES = re.compile("no connected device has the required version|pull: no such file$")


class FolderHealthPort(Protocol):
    """The calls to Syncthing that folder health makes."""

    def folder_status(self, folder: str) -> FolderStatus: ...
    def folder_errors(self, folder: str) -> list[FolderError]: ...
    def scan(self, folder: str) -> None: ...
    def revert(self, folder: str) -> None: ...
    def restart(self, folder: str) -> None: ...
    def needed(self, folder: str, most: int = 1000) -> list[Needed]: ...
    def holders(self, folder: str, name: str) -> frozenset[str]: ...


@dataclass(frozen=True)
class HealthHooks:
    """The functions of other parts that folder health calls.

    Each of the `status_checks` is called with every folder status that was read.
    """

    status_checks: Sequence[StatusCheck]
    monotonic: Callable[[], float] = time.monotonic


class Faults:
    """Records the faults of folders in work.db, where `status` reads them.

    Each change is one event. `problems` are those of our own threads, which Syncthing cannot know.
    """

    def __init__(self, store: Database, event_log: EventLog, problems: Problems) -> None:
        self._store = store
        self._event_log = event_log
        self._problems = problems
        self._retries: dict[str, Retry] = {}  # by folder that has a fault

    @property
    def folders(self) -> Collection[str]:
        """The IDs of the folders that have a fault."""
        return self._retries.keys()

    def is_retry_due(self, folder: str) -> bool:
        """Whether a folder has had a fault since an earlier check, and a retry is due now."""
        return folder in self._retries and self._retries[folder].is_due()

    def forget_all_but(self, folders: Container[str]) -> None:
        """Delete the faults of folders that are not among these: they are gone, or paused.

        Faults of threads, of Syncthing and of the redaction rules stay.
        """
        others = {REDACTION, *self._event_log.failing}
        with self._store.transaction() as tx:
            gone = [fault.folder for fault in work.faults.all(tx) if fault.folder not in folders]
            gone = [name for name in gone if name not in others]
            for name in gone:
                work.faults.drop(tx, folder=name)
        for name in gone:
            if not FOLDER_ID.fullmatch(name):  # a thread that failed when an earlier daemon ended
                self._event_log.record_end(name, "it works again")
        self._retries = {name: retry for name, retry in self._retries.items() if name in folders}

    def record(self, world: World, folder: str, why: str) -> None:
        """Record why a folder fails; it works if `why` is "" and no thread has a problem."""
        why = why or self._problems.of(folder)
        if why:
            self._retries.setdefault(folder, Retry())
        else:
            self._retries.pop(folder, None)
        with self._store.transaction() as tx:
            before = work.faults.get(tx, folder)
            if (before.why if before else "") == why:
                return
            if why:
                work.faults.put(tx, work.Fault(folder=folder, why=why))
            else:
                work.faults.drop(tx, folder=folder)
        if why:
            self._event_log.record_fault("fault", folder_title(world, folder), why)
        else:
            self._event_log.record_end(folder_title(world, folder), "it works again")

    def mended(self, world: World, folder: str) -> None:
        """Record that a folder was made again after its marker or directory was gone."""
        title = folder_title(world, folder)
        self._event_log.record("mended", title, "its marker or directory was gone")


class FolderHealth:
    """Checks folders, records their faults, and mends them; used by one thread."""

    def __init__(
        self,
        syncthing: FolderHealthPort,
        paths: Paths,
        recovery: Recovery,
        faults: Faults,
        hooks: HealthHooks,
    ) -> None:
        self._syncthing = syncthing
        self._paths = paths
        self._recovery = recovery
        self._faults = faults
        self._status_checks = hooks.status_checks
        self._stalls = Stalls(syncthing, paths, hooks.monotonic)
        self._mended: set[str] = set()
        self._world: World | None = None
        self._folders: dict[str, Folder] = {}

    def folders(self, world: World) -> Mapping[str, Folder]:
        """The folders that Syncthing should have, by ID; computed once for each world."""
        if world is not self._world:
            self._world, self._folders = world, {f.id: f for f in desired(world).folders}
        return self._folders

    @property
    def has_faults(self) -> bool:
        """Whether a folder has a fault now: then check again soon."""
        return bool(self._faults.folders)

    @property
    def wait(self) -> float | None:
        """Seconds until a folder that may have stalled is to be checked; None if there is none."""
        return self._stalls.wait

    def check(
        self, world: World, only: Iterable[str] | None = None, turn: Collection[str] = ()
    ) -> set[str]:
        """Check these folders, or all if `only` is None, and record which have a fault.

        Folders with a fault are always checked. For outboxes in `turn` it is also checked that no
        file is missing. Returns the outboxes that were mended: their content may have changed.

        Raises:
            SyncthingUnreachable: the remaining folders were not checked.
        """
        active = {name: f for name, f in self.folders(world).items() if not f.paused}
        ailing = {*self._faults.folders, *self._stalls.folders}
        wanted = active.keys() if only is None else {*only, *turn, *ailing}
        self._faults.forget_all_but(active)
        self._stalls.keep(set(active))
        self._mended |= self._recovery.check(world, active.keys() if only is None else turn)
        for name in self._mended & active.keys():
            self._syncthing.scan(name)  # Syncthing may have noticed that files were missing
        for name in active.keys() & wanted:
            self._check_folder(world, active[name])
        # also outboxes that an interrupted check mended
        mended, self._mended = self._mended, set()
        return mended

    def _check_folder(self, world: World, folder: Folder) -> None:
        try:
            why = self._find_fault(world, folder)
        except SyncthingUnreachable:
            raise  # the folder is not the cause
        except SyncthingRefused as error:
            self._stalls.forget(folder.id)
            if error.is_not_found:
                return  # the folder was paused or dropped meanwhile
            why = str(error)
        except (SyncthingError, OSError) as error:
            self._stalls.forget(folder.id)
            why = str(error)
        self._faults.record(world, folder.id, why)

    def _find_fault(self, world: World, folder: Folder) -> str:
        """Mend the folder if possible; returns the fault that is left, "" if none."""
        status = self._syncthing.folder_status(folder.id)
        if any(gone in status.error for gone in _GONE):
            self._mend(world, folder)
            status = self._syncthing.folder_status(folder.id)
        elif folder.type is FolderType.RECEIVE_ONLY and status.receive_only_changed:
            self._syncthing.revert(folder.id)  # somebody changed received files on this machine
        for check in self._status_checks:
            check(world, folder.id, status)
        why = status.error or self._pull_error(folder.id, status)
        if not why:
            stall = self._stalls.find(folder, status)
            if stall.pull:
                self._try_again(world, folder, status)
            return stall.why
        self._stalls.forget(folder.id)  # else the thread would not pause before it looks again
        if self._faults.is_retry_due(folder.id):
            self._try_again(world, folder, status)
        return why

    def _try_again(self, world: World, folder: Folder, status: FolderStatus) -> None:
        """Have Syncthing try again now; by itself it would try in a minute to an hour."""
        if status.error:
            mine = _outbox(world, folder.id)
            if mine is None or not self._recovery.mend(mine).lost:
                self._syncthing.scan(folder.id)
        elif folder.type is FolderType.RECEIVE_ONLY:
            self._syncthing.revert(folder.id)  # a revert also pulls
        elif folder.type is FolderType.SEND_RECEIVE:
            self._syncthing.restart(folder.id)

    def _mend(self, world: World, folder: Folder) -> None:
        """Make a folder's directory and marker again.

        An outbox gets its marker only when no file is missing in it: Syncthing would delete the
        missing files at every peer.
        """
        path = self._paths.folder(folder.id)
        mine = _outbox(world, folder.id)
        if mine:
            self._mended.add(folder.id)
            if self._recovery.mend(mine).lost:
                return  # without a marker Syncthing does not scan it; the outbox recovers first
        else:
            prepare_folder(path, folder)
        private_dir(path / ".stfolder")
        self._syncthing.scan(folder.id)
        if folder.type is FolderType.RECEIVE_ONLY:
            self._syncthing.revert(folder.id)
        self._faults.mended(world, folder.id)

    def _pull_error(self, folder: str, status: FolderStatus) -> str:
        if not status.pull_errors:
            return ""
        errors = [e for e in self._syncthing.folder_errors(folder) if not _PASSES.search(e.error)]
        return f"{errors[0].path}: {errors[0].error}" if errors else ""


def _outbox(world: World, folder: str) -> Channel | None:
    return next((c for c in outboxes(world) if c.id == folder), None)
