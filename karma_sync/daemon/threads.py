"""The daemon's threads: each wakes when something changed, does its part's work, and sleeps."""

import time
from collections.abc import Callable

from karma_sync.agents.claude.side_files import TELLING, WATCHED
from karma_sync.daemon.wiring import Parts, make_whole
from karma_sync.domain.mesh.channels import World, inboxes, kept, open_outboxes, outboxes
from karma_sync.errors import KarmaError
from karma_sync.mesh.reconciler import leftovers
from karma_sync.receiving.receiver import ALL
from karma_sync.runtime.timing import soonest
from karma_sync.runtime.worker import Wake, Worker
from karma_sync.sending.watcher import Watcher
from karma_sync.service.sessions import withdrawal

_STOP_S = 10.0  # for all of them together; what is half done then is done again at the start


class Workers:
    """Everything that runs while Syncthing does: the workers, the watcher, the event listener."""

    def __init__(self, parts: Parts) -> None:
        self.client = parts.foundation.client
        self._parts = parts
        self._requests = requests = parts.foundation.requests
        self._wishes: withdrawal.Wishes | None = None
        self._failed: set[str] = set()  # what the last cycle could not do
        self._receiving = self._worker("receiving", self._receive, requests.receiving)
        self._listening = self._worker("listening", parts.listener.listen, Wake())
        self._workers = (
            self._worker("sending", parts.dispatch.run, requests.sending),
            self._receiving,
            self._worker("checking", self._check, requests.checking),
            self._worker("measuring", self._measure, requests.measuring),
            self._worker("cycle", self._run_cycle, requests.cycle),
        )
        home = parts.app.source.home
        self._watcher = Watcher(home, WATCHED, requests.sends.touch, TELLING)

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
        self._parts.app.matcher.close()
        self.syncthing_gone()

    def wake(self) -> None:
        """Something changed in state.db."""
        self._requests.cycle.set()

    def look_at_all(self) -> None:
        """Look at every session there is, the newest first."""
        self._requests.sends.look_at_all()

    def before_syncthing_starts(self) -> None:
        """Syncthing ended, and is about to be started again: make every outbox whole."""
        make_whole(self._parts.app, self._parts.foundation.recovery)

    def syncthing_gone(self) -> None:
        """Nobody is connected any more."""
        self._parts.links.all({})

    def syncthing_restarted(self) -> None:
        """Event ids begin again, and anything may have been missed."""
        self._prime()
        for name in self._parts.receiver.folders():
            self._requests.arrivals.add(name, ALL)
        self._requests.checks.check_all()
        self._requests.cycle.set()

    def _prime(self) -> None:
        """Begin to listen, and take stock once."""
        self._parts.listener.prime()
        self._parts.links.all(self.client.connections())

    def _worker(self, name: str, work: Callable[[], float | None], wake: Wake) -> Worker:
        notes = self._parts.app.notes
        return Worker(name, work, lambda error: notes.worker(name, error), wake)

    # ---- the workers' work; each runs in its own thread

    def _run_cycle(self) -> float | None:
        parts = self._parts
        cycle = parts.reconciler.run_once()
        parts.app.journal.run()  # what ends by itself, such as a pause, commits nothing
        self._follow(cycle.world)
        failed = {str(failure) for failure in cycle.failures}
        lasting, self._failed = failed & self._failed, failed
        if lasting:  # once may be chance: Syncthing wrote what was just deleted
            raise KarmaError("; ".join(sorted(lasting)))
        return soonest(cycle.again, parts.links.wait)

    def _follow(self, world: World) -> None:
        """Send and receive what the world says, from now on."""
        parts, folder = self._parts, self._parts.app.paths.folder
        mapped = parts.app.roots.refresh()
        wishes = withdrawal.wishes(parts.app.state)
        parts.sender.hold_back(wishes.unshared)
        wished, self._wishes = wishes != self._wishes, wishes
        if parts.sender.send_to(open_outboxes(world), folder) or mapped or wished:
            self.look_at_all()
        first = self._requests.world.get() is None
        self._requests.world.set(world)
        if first or world.recovering:
            self._requests.checking.set()
        self._requests.receiving.set()
        for name in parts.receiver.receive_from([*outboxes(world), *inboxes(world)], folder):
            self._requests.arrivals.add(name, ALL)

    def _receive(self) -> float | None:
        parts, world = self._parts, self._requests.world.get()
        if world is None:
            return None
        receiver, arrivals = parts.receiver, self._requests.arrivals
        receiver.keep(kept(world))
        for name in receiver.try_again():
            arrivals.add(name, ALL)
        while not self._receiving.stopping and (arrived := arrivals.take()):
            receiver.take_in(*arrived)
        receiver.settle()
        if not receiver.scrub():
            return 1.0  # a receipt must not say that something is gone while it is in a log
        if leftovers(parts.app.paths, world):
            return 1.0  # nor while it lies in a folder: the cycle deletes that
        wait = soonest(parts.receipts.run(world), receiver.wait)
        if parts.receipts.take_news():
            self._requests.sends.tidy()
        return wait

    def _check(self) -> float | None:
        world = self._requests.world.get()
        if world is None:
            return None  # the first cycle wakes us
        # the first outbox has its turn in ten minutes: what is open should not grow that late
        self._parts.app.library.connect()
        found = self._parts.checker.run(world)
        if found.recovered:
            self._requests.cycle.set()
        if found.mended:
            self._requests.sends.mended(found.mended)
        return found.wait

    def _measure(self) -> float | None:
        world = self._requests.world.get()
        return self._parts.progress.look(world) if world else None
