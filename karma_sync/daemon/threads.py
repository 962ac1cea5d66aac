"""The daemon's threads: each wakes when something changed, does its part's work, and sleeps."""

import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from karma_sync.agents.claude.side_files import TELLING, WATCHED
from karma_sync.channel.layout import is_ours
from karma_sync.daemon.wiring import Engine
from karma_sync.domain.mesh.channels import Channel, World, inboxes, kept, open_outboxes, outboxes
from karma_sync.errors import KarmaError
from karma_sync.mesh.event_listener import Listener
from karma_sync.mesh.reconciler import leftovers
from karma_sync.paths import is_metadata_folder
from karma_sync.receiving.receiver import ALL
from karma_sync.runtime.problems import Troubles
from karma_sync.runtime.timing import soonest
from karma_sync.runtime.worker import Worker
from karma_sync.sending.scheduler import Dispatch
from karma_sync.sending.watcher import Watcher
from karma_sync.service.sessions import withdrawal
from karma_sync.team.documents.folder import is_document

_STOP_S = 10.0  # for all of them together; what is half done then is done again at the start


class Workers:
    """Everything that runs while Syncthing does: the workers, the watcher, the event listener."""

    def __init__(self, engine: Engine) -> None:
        self.client = engine.client
        self._engine = engine
        self._dispatch = Dispatch(engine)
        self._listener = Listener(engine.client, self)
        self._lock = threading.Lock()
        self._arrived: dict[str, set[str]] = {}
        self._world: World | None = None
        self._wishes: withdrawal.Wishes | None = None
        self._failed: set[str] = set()  # what the last cycle could not do
        self._cycle = self._worker("cycle", self._run_cycle)
        self._sending = self._worker("sending", self._dispatch.run)
        self._receiving = self._worker("receiving", self._receive)
        self._checking = self._worker("checking", self._check)
        self._listening = self._worker("listening", self._listener.listen)
        self._measuring = self._worker("measuring", self._measure)
        self._workers = (
            self._sending,
            self._receiving,
            self._checking,
            self._measuring,
            self._cycle,
        )
        self._dispatch.begins = self._measuring.wake
        self._watcher = Watcher(engine.source.home, WATCHED, self._on_change, TELLING)
        self._engine.recovery.began = self._cycle.wake
        self._engine.quotas.changed = self._cycle.wake
        self._engine.sender.packaged = self._on_packaged
        self._engine.receiver.refused = self._on_spoilt
        self._engine.receiver.rests = self._engine.rests
        self._engine.receipts.astray = self._engine.receiver.astray
        self._engine.sender.vanished = lambda session: self._on_change(session.transcript.path)
        self._engine.sender.covers = self._engine.receipts.covers
        troubles = Troubles()
        troubles.changed = self.ails
        for part in (engine.sender, engine.receiver, engine.health, engine.reconciler.documents):
            part.troubles = troubles

    def start(self) -> None:
        """Begin; the event filter is primed before the first cycle acts."""
        self._prime()
        self._watcher.start()
        for each in (self._listening, *self._workers):
            each.start()

    def stop(self) -> None:
        """End all threads; the work in hand is finished first."""
        for each in (*self._workers, self._listening):
            each.stop()
        self._watcher.stop()
        deadline = time.monotonic() + _STOP_S
        for each in self._workers:
            each.join(max(0.0, deadline - time.monotonic()))
        self._engine.matcher.close()
        self.syncthing_gone()

    def wake(self) -> None:
        """Something changed in state.db."""
        self._cycle.wake()

    def syncthing_gone(self) -> None:
        """Nobody is connected any more."""
        self._engine.links.all({})

    def syncthing_restarted(self) -> None:
        """Event ids begin again, and anything may have been missed."""
        self._prime()
        self._on_arrivals_unknown()
        self.check_all()
        self._cycle.wake()

    def _worker(self, name: str, work: Callable[[], float | None]) -> Worker:
        return Worker(name, work, lambda error: self._engine.notes.worker(name, error))

    # ---- the workers' work; each runs in its own thread

    def _run_cycle(self) -> float | None:
        cycle = self._engine.reconciler.run_once()
        self._engine.journal.run()  # what ends by itself, such as a pause, commits nothing
        self._follow(cycle.world)
        failed = {str(failure) for failure in cycle.failures}
        lasting, self._failed = failed & self._failed, failed
        if lasting:  # once may be chance: Syncthing wrote what was just deleted
            raise KarmaError("; ".join(sorted(lasting)))
        return soonest(cycle.again, self._engine.links.wait)

    def _follow(self, world: World) -> None:
        """Send and receive what the world says, from now on."""
        folder = self._engine.paths.folder
        mapped = self._engine.know_roots()
        wishes = withdrawal.wishes(self._engine.state)
        self._engine.sender.hold_back(wishes.unshared)
        wished, self._wishes = wishes != self._wishes, wishes
        if self._engine.sender.send_to(open_outboxes(world), folder) or mapped or wished:
            self.look_at_all()
        receiving = [*outboxes(world), *inboxes(world)]
        first, self._world = self._world is None, world
        if first or world.recovering:
            self._checking.wake()
        self._receiving.wake()
        for name in self._engine.receiver.receive_from(receiving, folder):
            self._on_arrival(name, ALL)

    def _receive(self) -> float | None:
        world = self._world
        if world is None:
            return None
        self._engine.receiver.keep(kept(world))
        for name in self._engine.receiver.try_again():
            self._on_arrival(name, ALL)
        while not self._receiving.stopping:
            with self._lock:
                if not self._arrived:
                    break
                folder, names = self._arrived.popitem()
            self._engine.receiver.take_in(folder, names)
        self._engine.receiver.settle()
        if not self._engine.receiver.scrub():
            return 1.0  # a receipt must not say that something is gone while it is in a log
        if leftovers(self._engine.paths, world):
            return 1.0  # nor while it lies in a folder: the cycle deletes that
        wait = soonest(self._engine.receipts.run(world), self._engine.receiver.wait)
        if self._engine.receipts.take_news():
            self._dispatch.tidy()
            self._sending.wake()
        return wait

    def _check(self) -> float | None:
        if self._world is None:
            return None  # the first cycle wakes us
        # the first outbox has its turn in ten minutes: what is open should not grow that late
        self._engine.library.connect()
        found = self._engine.checker.run(self._world)
        if found.recovered:
            self._cycle.wake()
        if found.mended:
            self._dispatch.mended(found.mended)
            self._sending.wake()
        return found.wait

    def _measure(self) -> float | None:
        return self._engine.progress.look(self._world) if self._world else None

    # ---- wake-ups

    def _prime(self) -> None:
        """Begin to listen, and take stock once."""
        self._listener.prime()
        self._engine.links.all(self.client.connections())

    def device_came(self, device: str, connection: str) -> None:
        self._engine.links.came(device, connection)
        self._cycle.wake()

    def device_went(self, device: str) -> None:
        self._engine.links.went(device)
        self._cycle.wake()

    def item_finished(self, folder: str, name: str) -> None:
        if name.startswith("receipt/"):
            self._receiving.wake()
        elif is_metadata_folder(folder):
            self._cycle.wake()
        else:
            self._on_arrival(folder, {name})

    def asked(self) -> None:
        self._cycle.wake()

    def index_came(self, folder: str) -> None:
        """A peer says what it has: of an outbox of mine nobody can have more than I."""
        if self._world and folder in {c.id for c in outboxes(self._world)}:
            self.ails(folder)

    def touched(self, folder: str, names: Collection[str]) -> None:
        """Files here are new, other or gone; by our own doing, unless they should be there."""
        path = self._engine.paths.folder(folder)
        is_own = self._world and folder in {c.id for c in outboxes(self._world)}
        known = {name for name in names if is_ours(name) or is_document(name)}
        gone = {name for name in known if not (path / name).exists()}
        if gone and is_metadata_folder(folder):
            self._cycle.wake()
        elif gone and is_own:
            self.check_all()
        elif gone:
            self.ails(folder)
        if is_own and known - gone:
            self._on_arrival(folder, known - gone)

    def _on_spoilt(self, channel: Channel, item: str) -> None:
        """An item does not verify: one of mine was altered here, and is put back."""
        world = self._world
        if world and channel.owner.key == world.key and channel.id not in world.recovering:
            self._engine.recovery.spoilt(channel, item)
            self.check_all()

    def ails(self, folder: str) -> None:
        self._engine.checker.ails(folder)
        self._checking.wake()

    def check_all(self) -> None:
        """Look at the health of every folder now."""
        self._engine.checker.all_now()
        self._checking.wake()

    def moves(self, folder: str) -> None:
        self._engine.progress.moves(folder)
        self._measuring.wake()

    def _on_packaged(self, channel: Channel, name: str) -> None:
        self.moves(channel.id)
        self._on_arrival(channel.id, {name})

    def _on_change(self, path: Path) -> None:
        self._dispatch.touch(path)
        self._sending.wake()

    def _on_arrival(self, folder: str, names: set[str] | frozenset[str]) -> None:
        with self._lock:
            self._arrived.setdefault(folder, set()).update(names)
        self._receiving.wake()

    def _on_arrivals_unknown(self) -> None:
        for name in self._engine.receiver.folders():
            self._on_arrival(name, ALL)

    def look_at_all(self) -> None:
        """Look at every session there is, the newest first."""
        self._dispatch.look_at_all()
        self._sending.wake()
