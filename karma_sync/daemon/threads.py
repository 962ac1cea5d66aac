"""The daemon's threads: each sleeps until it is woken, does its duty, and sleeps again."""

from collections.abc import Callable
from functools import partial

from karma_sync.agents.claude.side_files import LINKED, REPORTED_DELETIONS, WATCHED
from karma_sync.app import App
from karma_sync.archive.schedule import ArchiveRequests
from karma_sync.daemon.before_start import before_start
from karma_sync.daemon.wiring import Parts, archive_schedule
from karma_sync.domain.mesh.channels import (
    World,
    inboxes,
    open_outboxes,
    outboxes,
    wanted_kinds,
)
from karma_sync.errors import Conflict, KarmaError
from karma_sync.mesh.reconciler import leftovers
from karma_sync.receiving.receiver import ALL
from karma_sync.runtime.timing import Deadline, soonest
from karma_sync.runtime.worker import Wake, Worker
from karma_sync.sending.directory_watcher import DirectoryWatcher
from karma_sync.sending.watcher import Folders, Watcher
from karma_sync.service.sessions import withdrawal

# with a directory, this stands in place of a folder in the fault "changes are not noticed"
WATCHING = "watching"
_STOP_S = 10.0  # for all threads together; work that is cut off is done again after the start


class Duties:
    """The work of each thread when it is woken.

    A duty returns after how many seconds it is due again; None means only when it is woken. A test
    may call the duties one after the other, without threads.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._requests = parts.foundation.requests
        self._withdrawals: withdrawal.Withdrawals | None = None
        self._failed: set[str] = set()  # the failures of the last cycle
        self._is_stopping = False

    def prime(self) -> None:
        """Begin to collect events, and record who is connected.

        Must run before the first duty, and after each start of Syncthing.

        Raises:
            SyncthingError: Syncthing does not answer.
        """
        self._parts.listener.prime()
        self._parts.connections.record_all(self._parts.foundation.client.connections())

    def stop(self) -> None:
        """Make the current duty return as soon as nothing is lost by that."""
        self._is_stopping = True

    def listen(self) -> float | None:
        """Wait for Syncthing's events, and turn them into requests."""
        return self._parts.listener.listen()

    def send(self) -> float | None:
        """Package and send one session."""
        return self._parts.scheduler.run()

    def cycle(self) -> float | None:
        """Run the reconciler, then send and receive by the new world.

        Raises:
            KarmaError: the same failure occurred in two cycles in a row.
        """
        parts = self._parts
        cycle = parts.reconciler.run_once()
        parts.app.change_log.run()  # a pause that ends by itself commits nothing
        self._follow(cycle.world)
        failed = {str(failure) for failure in cycle.failures}
        lasting, self._failed = failed & self._failed, failed
        if lasting:  # one may be chance: Syncthing wrote into a directory while it was deleted
            raise KarmaError("; ".join(sorted(lasting)))
        if parts.greetings.is_due:
            self._requests.greeting.set()
        waits = parts.connections.wait, parts.greetings.wait, parts.offers.wait
        return soonest(cycle.again, *waits)

    def _follow(self, world: World) -> None:
        """Send and receive by this world from now on."""
        parts, folder = self._parts, self._parts.app.paths.folder
        mapped = parts.app.roots.refresh()
        withdrawals = withdrawal.withdrawals(parts.app.state)
        parts.sender.hold_back(withdrawals.unshared)
        withdrawn, self._withdrawals = withdrawals != self._withdrawals, withdrawals
        if parts.sender.send_to(open_outboxes(world), folder) or mapped or withdrawn:
            self._requests.sends.request_pass()
        before = self._requests.world.get()
        if world != before:  # values derived from an equal world still hold
            self._requests.world.set(world)
        if before is None or world.recovering:
            self._requests.checking.set()
        self._requests.receiving.set()
        channels = [*outboxes(world), *inboxes(world)]
        wanted = partial(wanted_kinds, world)
        for name in parts.receiver.receive_from(channels, folder, wanted):
            self._requests.arrivals.add(name, ALL)

    def greet(self) -> float | None:
        """Greet the leaders at whose doors I knock."""
        self._parts.greetings.run()
        return None

    def receive(self) -> float | None:
        """Import the files that arrived, and sign receipts."""
        parts, world = self._parts, self._requests.world.get()
        if world is None:
            return None
        receiver, arrivals = parts.receiver, self._requests.arrivals
        receiver.forget(world)
        for name in receiver.try_again():
            arrivals.add(name, ALL)
        while not self._is_stopping and (arrived := arrivals.take()):
            receiver.receive(*arrived)
        is_behind = receiver.complete_index()
        receiver.check_deletions()
        if not receiver.scrub():
            return 1.0  # no receipt may confirm a removal while the database's log holds the text
        if leftovers(parts.app.paths, world):
            return 1.0  # nor while the files are in a folder: the cycle deletes it
        wait = soonest(parts.receipts.run(world), receiver.wait)
        if parts.receipts.take_accepted():
            self._requests.sends.tidy()
        return 0.0 if is_behind else wait

    def check(self) -> float | None:
        """Check folders and mend them."""
        world = self._requests.world.get()
        if world is None:
            return None  # the first cycle wakes this thread
        # open this thread's connection now: the first outbox has its turn in ten minutes, and an
        # idle daemon should not grow that late
        self._parts.app.library.connect()
        found = self._parts.checker.run(world)
        if found.recovered:
            self._requests.cycle.set()
        if found.mended:
            self._requests.sends.reload(found.mended)
        return found.wait

    def archive(self) -> float | None:
        """Archive new content of the agent's sessions."""
        return self._parts.archiving.run() if self._parts.archiving else None

    def measure(self) -> float | None:
        """Measure the transfers that are under way."""
        world = self._requests.world.get()
        return self._parts.transfers.run(world) if world else None


class Workers:
    """All threads that run while Syncthing runs: the workers, the event listener, the watcher."""

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
            self._worker("archiving", duties.archive, requests.archiving),
            self._worker("greeting", duties.greet, requests.greeting),
            self._worker("cycle", duties.cycle, requests.cycle),
        )
        folders = Folders(WATCHED, report_deletions=REPORTED_DELETIONS, follow_links=LINKED)
        record = parts.app.event_log.record_state
        self._watchers = [
            Watcher(home, folders, requests.touch, partial(record, f"{WATCHING} {home}"))
            for home in parts.app.source.homes
        ]
        self._observations = DirectoryWatcher(
            parts.app.observations.directories, requests.sends.touch_observations
        )

    def start(self) -> None:
        """Start all threads; events are collected before the first cycle acts.

        Raises:
            SyncthingError: Syncthing does not answer.
        """
        self._duties.prime()
        for watcher in self._watchers:
            watcher.start()
        self._observations.start()
        for each in (self._listening, *self._workers):
            each.start()

    def stop(self) -> None:
        """End all threads after their current work; returns after ten seconds at most."""
        self._duties.stop()
        for each in (*self._workers, self._listening):
            each.stop()
        for watcher in self._watchers:
            watcher.stop()
        self._observations.stop()
        deadline = Deadline(_STOP_S)
        for each in self._workers:
            each.join(deadline.left)
        self._parts.app.matcher.close()
        self._parts.receiver.close()
        if self._parts.archiving:
            self._parts.archiving.close()
        self.syncthing_gone()

    def wake(self) -> None:
        """Run a cycle soon: state.db changed, or 60 seconds passed."""
        self._requests.cycle.set()

    def look_at_all(self) -> None:
        """Look through all sessions soon."""
        for watcher in self._watchers:
            watcher.check(thoroughly=True)
        self._requests.request_pass()

    def look_at_unnoticed(self) -> None:
        """Look for changes that no event reports: in unwatched files, and by killed processes."""
        for path in self._parts.app.source.ended():
            self._requests.sends.touch(path)
        if any([watcher.check() for watcher in self._watchers]):
            self._requests.request_pass()
        if self._observations.check():
            self._requests.sends.touch_observations()

    def before_syncthing_starts(self) -> None:
        """Prepare for another start of Syncthing."""
        before_start(self._parts.app, self._parts.foundation.recovery)

    def syncthing_gone(self) -> None:
        """Record that no device is connected, because Syncthing ended."""
        self._parts.connections.record_all({})

    def syncthing_restarted(self) -> None:
        """Look at everything: Syncthing was started again, so event IDs begin at 1.

        Raises:
            SyncthingError: Syncthing does not answer.
        """
        self._duties.prime()
        for name in self._parts.receiver.folders():
            self._requests.arrivals.add(name, ALL)
        self._requests.checks.check_all()
        self._requests.cycle.set()

    def _worker(self, name: str, work: Callable[[], float | None], wake: Wake) -> Worker:
        event_log = self._parts.app.event_log
        return Worker(name, work, lambda error: event_log.record_worker(name, error), wake)


class LoneArchive:
    """The threads that run while there is no Syncthing: archiving, and the watchers."""

    def __init__(self, app: App) -> None:
        self._wake = Wake()
        self._requests = ArchiveRequests(self._wake, app.source.representative)
        archiving = archive_schedule(app, self._requests)
        if archiving is None:
            raise Conflict("without Syncthing and without the archive there is nothing to do")
        log = app.event_log
        self._close = archiving.close
        self._worker = Worker(
            "archiving",
            archiving.run,
            lambda error: log.record_worker("archiving", error),
            self._wake,
        )
        folders = Folders(WATCHED, follow_links=LINKED)
        self._watchers = [
            Watcher(
                home, folders, self._requests.touch, partial(log.record_state, f"{WATCHING} {home}")
            )
            for home in app.source.homes
        ]

    def start(self) -> None:
        """Start all threads."""
        for watcher in self._watchers:
            watcher.start()
        self._worker.start()

    def stop(self) -> None:
        """End all threads after their current work."""
        self._worker.stop()
        for watcher in self._watchers:
            watcher.stop()
        self._worker.join(_STOP_S)
        self._close()

    def wake(self) -> None:
        """Nothing depends on state.db without Syncthing."""

    def look_at_all(self) -> None:
        """Compare all sessions with the archive."""
        for watcher in self._watchers:
            watcher.check(thoroughly=True)
        self._requests.request_pass()

    def look_at_unnoticed(self) -> None:
        """Compare all sessions with the archive if changes of some are not noticed."""
        if any([watcher.check() for watcher in self._watchers]):
            self._requests.request_pass()
