"""How Syncthing gets on with our folders: faults are noted, and mended where that is safe.

What is wrong is looked at again every few seconds until it is well. Syncthing itself tries a pull
that failed again after a minute, then less and less often (docs/syncthing.md, "Faults").
"""

from collections.abc import Callable, Collection, Container, Iterable, Sequence
from typing import Protocol

from karma_sync.channel.inbox import Inbox
from karma_sync.domain.mesh.channels import Channel, World, folder_title, outboxes
from karma_sync.domain.mesh.plan import Folder, FolderType, desired
from karma_sync.errors import SyncthingError, SyncthingRefused, SyncthingUnreachable
from karma_sync.files import private_dir
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.paths import FOLDER_ID, Paths, is_metadata_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import REDACTION, Problems
from karma_sync.runtime.timing import Retry
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.syncthing.wire import FolderError, FolderStatus
from karma_sync.team.documents import folder as metadata

Judge = Callable[[World, str, FolderStatus], None]
_GONE = ("marker missing", "path missing")
_AWAY = "no connected device has the required version"  # whoever has it will bring it


class FolderHealthPort(Protocol):
    """What is asked of Syncthing."""

    def folder_status(self, folder: str) -> FolderStatus: ...
    def folder_errors(self, folder: str) -> list[FolderError]: ...
    def scan(self, folder: str) -> None: ...
    def revert(self, folder: str) -> None: ...
    def restart(self, folder: str) -> None: ...


class Faults:
    """Records what is wrong with which folder, where `status` reads it; each change is one event.

    `problems` are those of our own threads, of which Syncthing knows nothing.
    """

    def __init__(self, store: Database, notes: EventLog, problems: Problems) -> None:
        self._store = store
        self._notes = notes
        self._problems = problems
        self._ill: dict[str, Retry] = {}

    @property
    def ill(self) -> Collection[str]:
        """The folders that have a fault."""
        return self._ill.keys()

    def is_retry_due(self, folder: str) -> bool:
        """Whether a folder has had a fault for a while and is to be tried again now."""
        return folder in self._ill and self._ill[folder].is_due()

    def forget_all_but(self, folders: Container[str]) -> None:
        """A folder that is no more, or paused, has no fault; a part of us, or Syncthing, may."""
        others = {REDACTION, *self._notes.failing}
        with self._store.transaction() as tx:
            gone = [fault.folder for fault in work.faults.all(tx) if fault.folder not in folders]
            gone = [name for name in gone if name not in others]
            for name in gone:
                work.faults.drop(tx, folder=name)
        for name in gone:
            if not FOLDER_ID.fullmatch(name):  # a part that failed when the daemon was ended
                self._notes.record_end(name, "it works again")
        self._ill = {folder: retry for folder, retry in self._ill.items() if folder in folders}

    def record(self, world: World, folder: str, why: str) -> None:
        """Record what is wrong with a folder, or that nothing is if neither we nor `why` say so."""
        why = why or self._problems.of(folder)
        if why:
            self._ill.setdefault(folder, Retry())
        else:
            self._ill.pop(folder, None)
        with self._store.transaction() as tx:
            before = work.faults.get(tx, folder)
            if (before.why if before else "") == why:
                return
            if why:
                work.faults.put(tx, work.Fault(folder=folder, why=why))
            else:
                work.faults.drop(tx, folder=folder)
        if why:
            self._notes.record_fault("fault", folder_title(world, folder), why)
        else:
            self._notes.record_end(folder_title(world, folder), "it works again")

    def mended(self, world: World, folder: str) -> None:
        """Record that a folder was made anew, whose marker or directory was gone."""
        title = folder_title(world, folder)
        self._notes.record("mended", title, "its marker or directory was gone")


class FolderHealth:
    """Looks at folders when Syncthing says something is wrong, and at all of them now and then.

    Each of the `judges` gets every status that was read.
    """

    def __init__(
        self,
        syncthing: FolderHealthPort,
        paths: Paths,
        recovery: Recovery,
        faults: Faults,
        judges: Sequence[Judge],
    ) -> None:
        self._syncthing = syncthing
        self._paths = paths
        self._recovery = recovery
        self._faults = faults
        self._judges = judges
        self._mended: set[str] = set()

    @property
    def is_any_ill(self) -> bool:
        """Whether there is a fault now: look again soon."""
        return bool(self._faults.ill)

    def look(
        self, world: World, only: Iterable[str] | None = None, turn: Collection[str] = ()
    ) -> set[str]:
        """Look at folders (at all of them if none are named); note what is wrong, or no longer.

        Those whose `turn` it is are looked at more closely: an outbox, whether it is whole. Those
        with a fault are looked at in any case. Returns the outboxes that were mended: what
        they hold may have changed.

        Raises:
            SyncthingUnreachable: nothing is known of the folders that were left.
        """
        active = {f.id: f for f in desired(world).folders if not f.paused}
        wanted = active.keys() if only is None else {*only, *turn, *self._faults.ill}
        self._faults.forget_all_but(active)
        self._mended |= self._recovery.check(world, active.keys() if only is None else turn)
        for name in self._mended & active.keys():
            self._syncthing.scan(name)  # it may have seen them gone
        for name in active.keys() & wanted:
            self._look_at(world, active[name])
        mended, self._mended = self._mended, set()  # of a look that was broken off too
        return mended

    def _look_at(self, world: World, folder: Folder) -> None:
        try:
            why = self._look_closer(world, folder)
        except SyncthingUnreachable:
            raise  # it is not the folder's fault
        except SyncthingRefused as error:
            if error.is_not_found:
                return  # it was paused or dropped meanwhile; the next cycle sees to it
            why = str(error)
        except (SyncthingError, OSError) as error:
            why = str(error)
        self._faults.record(world, folder.id, why)

    def _look_closer(self, world: World, folder: Folder) -> str:
        """What Syncthing says is wrong, "" if nothing is, after what could be mended was."""
        status = self._syncthing.folder_status(folder.id)
        if any(gone in status.error for gone in _GONE):
            self._mend(world, folder)
            status = self._syncthing.folder_status(folder.id)
        elif folder.type is FolderType.RECEIVE_ONLY and status.receive_only_changed:
            self._syncthing.revert(folder.id)  # files of ours that somebody touched here
        for judge in self._judges:
            judge(world, folder.id, status)
        why = status.error or self._pull_error(folder.id, status)
        if why and self._faults.is_retry_due(folder.id):
            self._try_again(world, folder, status)
        return why

    def _try_again(self, world: World, folder: Folder, status: FolderStatus) -> None:
        """Have Syncthing do now what it would do in a minute, or in an hour."""
        if status.error:
            mine = _outbox(world, folder.id)
            if mine is None or not self._recovery.mend(mine).lost:
                self._syncthing.scan(folder.id)
        elif folder.type is FolderType.RECEIVE_ONLY:
            self._syncthing.revert(folder.id)  # which also pulls
        elif folder.type is FolderType.SEND_RECEIVE:
            self._syncthing.restart(folder.id)

    def _mend(self, world: World, folder: Folder) -> None:
        """Make the folder anew: an outbox only once it is whole, so that nothing is deleted."""
        path = self._paths.folder(folder.id)
        mine = _outbox(world, folder.id)
        if mine:
            self._mended.add(folder.id)
            if self._recovery.mend(mine).lost:
                return  # without its marker Syncthing does not look; it recovers first
        elif is_metadata_folder(folder.id):
            metadata.prepare(path)
        else:
            Inbox(path).prepare()
        private_dir(path / ".stfolder")
        self._syncthing.scan(folder.id)
        if folder.type is FolderType.RECEIVE_ONLY:
            self._syncthing.revert(folder.id)
        self._faults.mended(world, folder.id)

    def _pull_error(self, folder: str, status: FolderStatus) -> str:
        if not status.pull_errors:
            return ""
        errors = [e for e in self._syncthing.folder_errors(folder) if _AWAY not in e.error]
        return f"{errors[0].path}: {errors[0].error}" if errors else ""


def _outbox(world: World, folder: str) -> Channel | None:
    return next((c for c in outboxes(world) if c.id == folder), None)
