"""Recovers outboxes: one with missing files takes its items back from the peers, then sends again.

During the recovery the outbox's folder is receive-only, so that Syncthing does not announce missing
files as deleted. My own signature and the chunks' hashes decide whether an item is mine and
complete (`integrity.py`). Syncthing's figures only decide when waiting longer would bring no more
files.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from karma_sync.channel.layout import is_ours, item_name
from karma_sync.domain.mesh.channels import Channel, World, outboxes, receivers
from karma_sync.domain.mesh.recovery import RecoveryState, is_older, is_settled
from karma_sync.domain.team.subscription import Status
from karma_sync.mesh.health.integrity import OutboxIntegrity, Restored
from karma_sync.paths import Paths
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.timing import next_override
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.syncthing.home import forget_index
from karma_sync.syncthing.wire import Connection, FolderStatus, Needed
from karma_sync.team.receipts import claims

_NOWHERE = "not here, at no peer that was connected, and the agent's own copy is gone too"


class RecoveryPort(Protocol):
    """The calls to Syncthing that recovery makes."""

    def folder_status(self, folder: str) -> FolderStatus: ...
    def connections(self) -> dict[str, Connection]: ...
    def scan(self, folder: str) -> None: ...
    def revert(self, folder: str) -> None: ...
    def shutdown(self) -> None: ...


@dataclass
class _Watch:
    """The observed state of one recovering outbox; moments are in monotonic seconds.

    `connected` are the receivers that were connected at the last look, `met` is when the first was,
    `busy` when something last changed.
    """

    scanned: bool = False
    connected: frozenset[str] = frozenset()
    met: float | None = None
    busy: float = 0.0


@dataclass(frozen=True)
class RecoveryHooks:
    """The functions of other parts that a recovery calls.

    `began` is called when a recovery begins. `rejected` is called with the names of files that
    peers had in a channel of mine and that are not mine. `sources` returns the IDs of the sessions
    whose transcripts are on this machine.
    """

    now: Callable[[], datetime]
    began: Callable[[], None] = lambda: None
    rejected: Callable[[Channel, Collection[str]], None] = lambda channel, names: None
    sources: Callable[[], Collection[str]] = frozenset
    monotonic: Callable[[], float] = time.monotonic


class Recovery:
    """Begins, follows and ends the recovery of outboxes; several threads may call it."""

    def __init__(
        self,
        paths: Paths,
        integrity: OutboxIntegrity,
        store: Database,
        event_log: EventLog,
        hooks: RecoveryHooks,
    ) -> None:
        self._paths = paths
        self._integrity = integrity
        self._store = store
        self._event_log = event_log
        self._hooks = hooks
        self._now = hooks.now
        self._started_ms = _milliseconds(hooks.now())
        self._counters: dict[str, tuple[Channel, int]] = {}
        self._believed: set[str] = set()
        self._watched: dict[str, _Watch] = {}
        self._foreign: dict[str, set[str]] = {}
        self._pulls: dict[str, list[float]] = {}  # when files were pulled, monotonic seconds
        self._is_index_old = False
        self._forgets_index = False

    def folders(self) -> frozenset[str]:
        """The folder IDs of the outboxes that are recovering."""
        with self._store.reading() as tx:
            return frozenset(each.folder for each in work.recovering.all(tx))

    def register(self, world: World) -> frozenset[str]:
        """Record new outboxes before Syncthing knows them; returns those that are recovering.

        So an outbox that Syncthing knows and the database does not know was in a lost database.
        """
        with self._store.reading() as tx:
            new = [c.id for c in outboxes(world) if not work.has_counter(tx, c.id)]
        if new:
            with self._store.transaction() as tx:
                for folder in new:
                    work.begin_counter(tx, folder)
        return self.folders()

    def begin(self, channel: Channel, why: str) -> None:
        """Begin a recovery: from the next cycle on, the folder is receive-only."""
        row = work.Recovering(folder=channel.id, why=why, since=self._now())
        with self._store.transaction() as tx:
            if work.recovering.get(tx, channel.id):
                return
            work.recovering.put(tx, row)
        self._event_log.record("recovering", channel.project, why)
        self._hooks.began()

    def before_start(self, world: World, known: Collection[str]) -> None:
        """Mend every outbox before Syncthing starts, or begin its recovery.

        `known` are the folders in Syncthing's configuration: its index may have files that our
        databases have lost. A folder whose recovery begins here loses its marker: Syncthing scans
        no folder without one.
        """
        continuing = self.folders()
        claimed = claims(self._paths, world)
        for channel in outboxes(world):
            path = self._paths.folder(channel.id)
            with self._store.reading() as tx:
                counter = work.last_revision(tx, channel.id)
                is_registered = work.has_counter(tx, channel.id)
            self._counters[channel.id] = channel, counter
            found = self.mend(channel)
            if channel.id in known and not found.known and not is_registered:
                self.begin(channel, "the databases that say what belongs in it were lost")
            elif self._forgot(channel.id, claimed.get(channel.id, 0)):
                self._forgets_index = True
                self.begin(channel, "peers have newer revisions than the database knows of")
            if channel.id in self.folders() - continuing:
                self._integrity.remove_marker(path)
            else:
                if channel.id not in continuing:  # else the items of some chunks are still missing
                    self._integrity.drop_unnamed(channel, path, _milliseconds(self._now()))
                self._integrity.set_marker(path)
        if self._forgets_index:
            self._forgets_index = False
            forget_index(self._paths.syncthing)

    def mend(self, channel: Channel) -> Restored:
        """Put missing files back into an outbox; begin a recovery if some are lost here."""
        found = self._integrity.restore(channel, self._paths.folder(channel.id))
        if found.restored:
            self._event_log.record("outbox mended", channel.project, f"{found.restored} files back")
        if found.lost:
            self.begin(channel, f"{len(found.lost)} sessions are not whole here")
        return found

    def remove_altered(self, channel: Channel, item: str) -> None:
        """Delete an item of my outbox that somebody altered; then it is mended as a missing one."""
        (self._paths.folder(channel.id) / item_name(item)).unlink(missing_ok=True)
        self._event_log.record("altered", channel.project, f"item {item} is put back")

    def check(self, world: World, folders: Collection[str]) -> set[str]:
        """Mend the outboxes among these folders that miss files; returns those."""
        mended = set()
        for channel in outboxes(world):
            exists = self._paths.folder(channel.id).is_dir() and channel.id in folders
            if exists and channel.id not in world.recovering:
                found = self.mend(channel)
                if found.restored or found.lost:
                    mended.add(channel.id)
        return mended

    def may_lack(self, channel: Channel, needed: Collection[Needed]) -> bool:
        """Whether some of these files, which peers have in my outbox, may be mine and lost here.

        A file that is here in an older version may be mine if the newer one claims to be from me.
        Only pulling the files shows whose they are, so a recovery begins. Files that were found not
        to be mine are not pulled again. A peer that forges files again and again causes recoveries
        only as often as `next_override` allows.
        """
        if channel.id in self.folders():
            return True
        path = self._paths.folder(channel.id)
        unknown = {
            each.name
            for each in needed
            if is_ours(each.name) and not each.deleted
            if each.is_by(channel.owner.device) or not (path / each.name).exists()
        }
        if unknown <= self._foreign.get(channel.id, set()):
            return False
        past, now = self._pulls.setdefault(channel.id, []), self._hooks.monotonic()
        if next_override(past, now) <= now:
            past.append(now)
            self._foreign[channel.id] = unknown
            self._is_index_old |= any(each.is_by(channel.owner.device) for each in needed)
            self.begin(channel, f"peers have {len(unknown)} files that are not in it")
        return True

    def revision_claimed(self, folder: str, revision: int) -> None:
        """Begin a recovery if a receipt names a revision of my channel that the database lost."""
        if self._forgot(folder, revision):
            channel, _ = self._counters[folder]
            self._is_index_old = True
            self.begin(channel, "a peer has newer revisions than the database knew of")

    def _forgot(self, folder: str, revision: int) -> bool:
        """Whether a peer knows a revision of mine that the database lost.

        True once for each outbox: no member may keep an outbox recovering by false receipts, or
        make us restart Syncthing again and again.
        """
        if folder not in self._counters or folder in self._believed:
            return False
        _, counter = self._counters[folder]
        if not is_older(counter, revision, self._started_ms):
            return False
        self._believed.add(folder)
        return True

    def run(self, world: World, syncthing: RecoveryPort) -> set[str]:
        """Continue every recovery, and end those that can bring no more; returns the ended ones.

        A paused outbox waits: Syncthing does not scan it either.
        """
        if not world.recovering:
            return set()
        if self._is_index_old:
            # the index continues at a number of an earlier day, and peers would ignore the next
            # changes as known ones
            self._is_index_old, self._forgets_index = False, True
            syncthing.shutdown()  # the daemon starts it again
            return set()
        connected = {device for device, c in syncthing.connections().items() if c.connected}
        ended = set()
        for channel in outboxes(world):
            paused = world.halted or channel.subscription.status is Status.PAUSED
            if channel.id in world.recovering & self.folders() and not paused:
                taking = receivers(world, channel)
                if is_settled(self._state(channel.id, taking, taking & connected, syncthing)):
                    self._end(channel)
                    ended.add(channel.id)
        return ended

    def _state(
        self,
        folder: str,
        taking: frozenset[str],
        connected: frozenset[str],
        syncthing: RecoveryPort,
    ) -> RecoveryState:
        now = self._hooks.monotonic()
        watch = self._watched.setdefault(folder, _Watch())
        if not watch.scanned:
            syncthing.scan(folder)
            watch.scanned = True
        status = syncthing.folder_status(folder)
        if status.receive_only_changed:
            syncthing.revert(folder)  # fetches the files missing here
        watch.met = watch.met or (now if connected else None)
        wanted = status.need_items + status.receive_only_changed
        if wanted or status.state != "idle" or connected != watch.connected:
            watch.busy = now
        watch.connected = connected
        met_s = now - watch.met if watch.met is not None else 0.0
        return RecoveryState(len(taking), len(connected), now - watch.busy, met_s)

    def _end(self, channel: Channel) -> None:
        path: Path = self._paths.folder(channel.id)
        adopted = self._integrity.adopt(channel, path)
        with self._store.transaction() as tx:
            work.recovering.drop(tx, folder=channel.id)
        self._watched.pop(channel.id, None)
        why = f"{adopted.items} sessions are there"
        sources = self._hooks.sources() if adopted.lost else ()
        again = [session for session in adopted.lost if session in sources]
        if again:
            why += f"; packaged again: {', '.join(again)}"
        self._event_log.record("recovered", channel.project, why)
        for session in adopted.lost:
            if session not in sources:
                self._event_log.record_fault("lost", session, _NOWHERE)
        if adopted.foreign:
            self._hooks.rejected(channel, adopted.foreign)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
