"""An outbox that is not whole takes its items back from the peers before it sends again.

Meanwhile its folder is receive-only: what is missing in it is not announced as deleted. Whether
an item is mine and whole is judged by my own signature and the chunks' hashes (`whole.py`);
Syncthing's figures only say when waiting longer brings nothing.
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
    """What is asked of Syncthing."""

    def folder_status(self, folder: str) -> FolderStatus: ...
    def connections(self) -> dict[str, Connection]: ...
    def scan(self, folder: str) -> None: ...
    def revert(self, folder: str) -> None: ...
    def shutdown(self) -> None: ...


@dataclass
class _Watch:
    """What was seen of a recovering outbox: whether it was scanned, who is here, moments."""

    scanned: bool = False
    here: frozenset[str] = frozenset()
    met: float | None = None
    busy: float = 0.0


@dataclass(frozen=True)
class RecoveryHooks:
    """What a recovery calls in other parts.

    `began` is called when one begins; `rejected` gets the files that peers had in a channel of
    mine and that are not mine; `sources` gives the ids of the sessions whose transcripts are here.
    """

    now: Callable[[], datetime]
    began: Callable[[], None] = lambda: None
    rejected: Callable[[Channel, Collection[str]], None] = lambda channel, names: None
    sources: Callable[[], Collection[str]] = frozenset
    monotonic: Callable[[], float] = time.monotonic


class Recovery:
    """Which outboxes are recovering; begins, follows and ends that."""

    def __init__(
        self,
        paths: Paths,
        whole: OutboxIntegrity,
        store: Database,
        notes: EventLog,
        hooks: RecoveryHooks,
    ) -> None:
        self._paths = paths
        self._whole = whole
        self._store = store
        self._notes = notes
        self._hooks = hooks
        self._now = hooks.now
        self._started_ms = _milliseconds(hooks.now())
        self._counters: dict[str, tuple[Channel, int]] = {}
        self._believed: set[str] = set()
        self._watched: dict[str, _Watch] = {}
        self._foreign: dict[str, set[str]] = {}
        self._asked: dict[str, list[float]] = {}
        self._is_index_old = False
        self._forgets_index = False

    def folders(self) -> frozenset[str]:
        """The outboxes that are recovering."""
        with self._store.reading() as tx:
            return frozenset(each.folder for each in work.recovering.all(tx))

    def remember(self, world: World) -> frozenset[str]:
        """Note which outboxes there are, before Syncthing is told of them; which are recovering.

        An outbox that Syncthing knows and the database does not was forgotten with a lost one.
        """
        with self._store.reading() as tx:
            new = [c.id for c in outboxes(world) if not work.has_counter(tx, c.id)]
        if new:
            with self._store.transaction() as tx:
                for folder in new:
                    work.begin_counter(tx, folder)
        return self.folders()

    def begin(self, channel: Channel, why: str) -> None:
        """From the next cycle on, take this outbox's items back from the peers."""
        row = work.Recovering(folder=channel.id, why=why, since=self._now())
        with self._store.transaction() as tx:
            if work.recovering.get(tx, channel.id):
                return
            work.recovering.put(tx, row)
        self._notes.record("recovering", channel.project, why)
        self._hooks.began()

    def before_start(self, world: World, known: Collection[str]) -> None:
        """Make every outbox whole before Syncthing looks at it, or let it recover.

        Without its marker Syncthing does not look at a folder at all. `known` are the folders
        that Syncthing remembers from earlier: it may remember files that nobody else here does.
        """
        going_on = self.folders()
        claimed = claims(self._paths, world)
        for channel in outboxes(world):
            path = self._paths.folder(channel.id)
            with self._store.reading() as tx:
                counter = work.last_revision(tx, channel.id)
                remembered = work.has_counter(tx, channel.id)
            self._counters[channel.id] = channel, counter
            found = self.mend(channel)
            if channel.id in known and not found.known and not remembered:
                self.begin(channel, "the databases that say what belongs in it were lost")
            elif self._forgot(channel.id, claimed.get(channel.id, 0)):
                self._forgets_index = True
                self.begin(channel, "peers have newer revisions than the database knows of")
            if channel.id in self.folders() - going_on:
                self._whole.unmark(path)
            else:
                if channel.id not in going_on:  # what comes back may not be named yet
                    self._whole.drop_unnamed(channel, path, _milliseconds(self._now()))
                self._whole.mark(path)
        if self._forgets_index:
            self._forgets_index = False
            forget_index(self._paths.syncthing)

    def mend(self, channel: Channel) -> Restored:
        """Put back what is missing in an outbox; what cannot be has to come from the peers."""
        found = self._whole.restore(channel, self._paths.folder(channel.id))
        if found.restored:
            self._notes.record("outbox mended", channel.project, f"{found.restored} files back")
        if found.lost:
            self.begin(channel, f"{len(found.lost)} sessions are not whole here")
        return found

    def spoilt(self, channel: Channel, item: str) -> None:
        """An item in my outbox is not what I wrote: without it, it is one that is missing."""
        (self._paths.folder(channel.id) / item_name(item)).unlink(missing_ok=True)
        self._notes.record("altered", channel.project, f"item {item} is put back")

    def check(self, world: World, folders: Collection[str]) -> set[str]:
        """Look whether those that are outboxes are whole, and mend what is not; which that were."""
        mended = set()
        for channel in outboxes(world):
            here = self._paths.folder(channel.id).is_dir() and channel.id in folders
            if here and channel.id not in world.recovering:
                found = self.mend(channel)
                if found.restored or found.lost:
                    mended.add(channel.id)
        return mended

    def lacks(self, channel: Channel, needed: Collection[Needed]) -> bool:
        """Peers have these files in an outbox of mine: might some be mine, and forgotten?

        A file that is here in an older state may be mine if the newer one claims to be by me.
        Only pulling them tells: then the outbox recovers. What turned out not to be mine is no
        question any more, and who invents files again and again is not asked each time.
        """
        if channel.id in self.folders():
            return True
        path = self._paths.folder(channel.id)
        strange = {
            each.name
            for each in needed
            if is_ours(each.name) and not each.deleted
            if each.is_by(channel.owner.device) or not (path / each.name).exists()
        }
        if strange <= self._foreign.get(channel.id, set()):
            return False
        asked, now = self._asked.setdefault(channel.id, []), self._hooks.monotonic()
        if next_override(asked, now) <= now:
            asked.append(now)
            self._foreign[channel.id] = strange
            self._is_index_old |= any(each.is_by(channel.owner.device) for each in needed)
            self.begin(channel, f"peers have {len(strange)} files that are not in it")
        return True

    def claimed(self, folder: str, revision: int) -> None:
        """A receipt names this revision of a channel: if it is one of mine, was it forgotten?"""
        if self._forgot(folder, revision):
            channel, _ = self._counters[folder]
            self._is_index_old = True
            self.begin(channel, "a peer has newer revisions than the database knew of")

    def _forgot(self, folder: str, revision: int) -> bool:
        """Whether a peer knows a revision of mine that the database forgot.

        True once for each outbox: a member must not keep it recovering by lies, nor end Syncthing
        again and again.
        """
        if folder not in self._counters or folder in self._believed:
            return False
        _, counter = self._counters[folder]
        if not is_older(counter, revision, self._started_ms):
            return False
        self._believed.add(folder)
        return True

    def look(self, world: World, syncthing: RecoveryPort) -> set[str]:
        """Go on with all that recover; the outboxes that are whole again, or as whole as can be.

        One that is paused waits: Syncthing does not look at it either.
        """
        if not world.recovering:
            return set()
        if self._is_index_old:
            # it counts on from an earlier day, and peers take its next changes for known ones
            self._is_index_old, self._forgets_index = False, True
            syncthing.shutdown()  # the daemon starts it again
            return set()
        up = {device for device, c in syncthing.connections().items() if c.connected}
        over = set()
        for channel in outboxes(world):
            paused = world.halted or channel.subscription.status is Status.PAUSED
            if channel.id in world.recovering & self.folders() and not paused:
                taking = receivers(world, channel)
                if is_settled(self._standing(channel.id, taking, taking & up, syncthing)):
                    self._end(channel)
                    over.add(channel.id)
        return over

    def _standing(
        self, folder: str, taking: frozenset[str], here: frozenset[str], syncthing: RecoveryPort
    ) -> RecoveryState:
        now = self._hooks.monotonic()
        watch = self._watched.setdefault(folder, _Watch())
        if not watch.scanned:
            syncthing.scan(folder)
            watch.scanned = True
        status = syncthing.folder_status(folder)
        if status.receive_only_changed:
            syncthing.revert(folder)  # takes back what is missing here
        watch.met = watch.met or (now if here else None)
        wanted = status.need_items + status.receive_only_changed
        if wanted or status.state != "idle" or here != watch.here:
            watch.busy = now
        watch.here = here
        met_s = now - watch.met if watch.met is not None else 0.0
        return RecoveryState(len(taking), len(here), now - watch.busy, met_s)

    def _end(self, channel: Channel) -> None:
        path: Path = self._paths.folder(channel.id)
        adopted = self._whole.adopt(channel, path)
        with self._store.transaction() as tx:
            work.recovering.drop(tx, folder=channel.id)
        self._watched.pop(channel.id, None)
        why = f"{adopted.items} sessions are there"
        sources = self._hooks.sources() if adopted.lost else ()
        again = [session for session in adopted.lost if session in sources]
        if again:
            why += f"; packaged again: {', '.join(again)}"
        self._notes.record("recovered", channel.project, why)
        for session in adopted.lost:
            if session not in sources:
                self._notes.record_fault("lost", session, _NOWHERE)
        if adopted.foreign:
            self._hooks.rejected(channel, adopted.foreign)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
