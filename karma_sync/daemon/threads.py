"""The daemon's threads: each wakes when something changed, does its part's work, and sleeps."""

from collections.abc import Callable

from karma_sync.agents.claude.side_files import TELLING, WATCHED
from karma_sync.daemon.wiring import Parts, make_whole
from karma_sync.domain.mesh.channels import World, inboxes, kept, open_outboxes, outboxes
from karma_sync.errors import KarmaError
from karma_sync.mesh.reconciler import leftovers
from karma_sync.receiving.receiver import ALL
from karma_sync.runtime.timing import Deadline, soonest
from karma_sync.runtime.worker import Wake, Worker
from karma_sync.sending.watcher import Watcher
from karma_sync.service.sessions import withdrawal

_STOP_S = 10.0  # for all of them together; what is half done then is done again at the start


class Duties:
    """What each thread does when it is woken; a duty returns in how many seconds it is due again.

    None means: when it is woken. A test may call the duties one after the other instead.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._requests = parts.foundation.requests
        self._wishes: withdrawal.Withdrawals | None = None
        self._failed: set[str] = set()  # what the last cycle could not do
        self._is_stopping = False

    def prime(self) -> None:
        """Before the first duty, and after Syncthing was started again: listen, and take stock."""
        self._parts.listener.prime()
        self._parts.links.record_all(self._parts.foundation.client.connections())

    def stop(self) -> None:
        """End the duty in hand as soon as that loses nothing."""
        self._is_stopping = True

    def listen(self) -> float | None:
        """Wait for Syncthing's events, and turn them into requests."""
        return self._parts.listener.listen()

    def send(self) -> float | None:
        """Have one session sent."""
        return self._parts.dispatch.run()

    def cycle(self) -> float | None:
        """Compare what should be with what is, write the difference, and follow it."""
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
            self._requests.sends.request_pass()
        first = self._requests.world.get() is None
        self._requests.world.set(world)
        if first or world.recovering:
            self._requests.checking.set()
        self._requests.receiving.set()
        for name in parts.receiver.receive_from([*outboxes(world), *inboxes(world)], folder):
            self._requests.arrivals.add(name, ALL)

    def receive(self) -> float | None:
        """Take in what arrived, and sign receipts."""
        parts, world = self._parts, self._requests.world.get()
        if world is None:
            return None
        receiver, arrivals = parts.receiver, self._requests.arrivals
        receiver.forget_all_but(kept(world))
        for name in receiver.try_again():
            arrivals.add(name, ALL)
        while not self._is_stopping and (arrived := arrivals.take()):
            receiver.receive(*arrived)
        receiver.check_deletions()
        if not receiver.scrub():
            return 1.0  # a receipt must not say that something is gone while it is in a log
        if leftovers(parts.app.paths, world):
            return 1.0  # nor while it lies in a folder: the cycle deletes that
        wait = soonest(parts.receipts.run(world), receiver.wait)
        if parts.receipts.take_news():
            self._requests.sends.tidy()
        return wait

    def check(self) -> float | None:
        """Check folders, and mend them."""
        world = self._requests.world.get()
        if world is None:
            return None  # the first cycle wakes us
        # the first outbox has its turn in ten minutes: what is open should not grow that late
        self._parts.app.library.connect()
        found = self._parts.checker.run(world)
        if found.recovered:
            self._requests.cycle.set()
        if found.mended:
            self._requests.sends.reload(found.mended)
        return found.wait

    def measure(self) -> float | None:
        """Measure what is on its way."""
        world = self._requests.world.get()
        return self._parts.progress.look(world) if world else None


class Workers:
    """Everything that runs while Syncthing does: the workers, the watcher, the event listener."""

    def __init__(self, parts: Parts) -> None:
        self.client = parts.foundation.client
        self._parts = parts
        self._requests = requests = parts.foundation.requests
        self._duties = duties = Duties(parts)
        self._listening = self._worker("listening", duties.listen, Wake())
        self._workers = (
            self._worker("sending", duties.send, requests.sending),
            self._worker("receiving", duties.receive, requests.receiving),
            self._worker("checking", duties.check, requests.checking),
            self._worker("measuring", duties.measure, requests.measuring),
            self._worker("cycle", duties.cycle, requests.cycle),
        )
        home = parts.app.source.home
        self._watcher = Watcher(home, WATCHED, requests.sends.touch, TELLING)

    def start(self) -> None:
        """Begin; the event filter is primed before the first cycle acts."""
        self._duties.prime()
        self._watcher.start()
        for each in (self._listening, *self._workers):
            each.start()

    def stop(self) -> None:
        """End all threads; the work in hand is finished first."""
        self._duties.stop()
        for each in (*self._workers, self._listening):
            each.stop()
        self._watcher.stop()
        deadline = Deadline(_STOP_S)
        for each in self._workers:
            each.join(deadline.left)
        self._parts.app.matcher.close()
        self.syncthing_gone()

    def wake(self) -> None:
        """Something changed in state.db."""
        self._requests.cycle.set()

    def look_at_all(self) -> None:
        """Look at every session there is, the newest first."""
        self._requests.sends.request_pass()

    def before_syncthing_starts(self) -> None:
        """Syncthing ended, and is about to be started again: make every outbox whole."""
        make_whole(self._parts.app, self._parts.foundation.recovery)

    def syncthing_gone(self) -> None:
        """Nobody is connected any more."""
        self._parts.links.record_all({})

    def syncthing_restarted(self) -> None:
        """Event ids begin again, and anything may have been missed."""
        self._duties.prime()
        for name in self._parts.receiver.folders():
            self._requests.arrivals.add(name, ALL)
        self._requests.checks.check_all()
        self._requests.cycle.set()

    def _worker(self, name: str, work: Callable[[], float | None], wake: Wake) -> Worker:
        notes = self._parts.app.notes
        return Worker(name, work, lambda error: notes.record_worker(name, error), wake)
