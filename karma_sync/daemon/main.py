"""The daemon's main thread: lock, signals, start and restart of Syncthing, timer.

It decides only when something runs. The parts that it wakes decide what to do.
"""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from karma_sync.app import App
from karma_sync.daemon import wiring
from karma_sync.daemon.before_start import before_start
from karma_sync.daemon.lock import announced, locked
from karma_sync.daemon.renewal import Renewal
from karma_sync.daemon.systemd_notify import Notifier
from karma_sync.daemon.threads import LoneArchive, Workers
from karma_sync.errors import DatabaseUnusable, KarmaError, SyncthingError
from karma_sync.runtime.timing import Retry, poll, utc_now
from karma_sync.settings import Keep
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.greeting import greet
from karma_sync.syncthing.process import SyncthingProcess
from karma_sync.syncthing.program import is_missing

log = logging.getLogger(__name__)

CYCLE_S = 60
FULL_PASS_S = 600
UNNOTICED_S = 30  # between looks for changes that no event reports
_TICK_S = 0.2  # how soon the daemon notices a change that a command made
_JUMP_S = 30.0  # time synchronisation never corrects a clock by more than this at once
_READY_S = 300.0  # Syncthing v2 may migrate its database first
# Syncthing ends within 0.1 to 1 s. 1.29 takes 10 s while it dials a peer that rejects it; ending it
# by force then loses nothing.
_STOP_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # between two attempts to start Syncthing again
_ARENA_MAX = -8  # M_ARENA_MAX in malloc.h


def share_one_arena() -> None:
    """Make all later threads allocate memory from one arena.

    glibc gives each thread an arena of its own and keeps freed memory in it (mallopt(3)). That
    costs 2.3 of 80 MB here, for threads that wait for each other anyway. Other C libraries have no
    arenas.
    """
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def return_freed_memory() -> None:
    """Give memory that was freed back to the system, where the C library can.

    glibc keeps it for later (malloc_trim(3)): after a pass that is some 10 MB of 90.
    """
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Daemon:
    """One member's daemon; `run` returns after it was told to stop, or is to start again."""

    def __init__(self, app: App, renewal: Renewal) -> None:
        self._app = app
        self._renewal = renewal
        self._is_renewed = False
        # no threading.Event: a signal may arrive while this thread holds the lock inside it
        self._stopping = False
        self._up = False
        self._systemd = Notifier.take(os.environ)

    def run(self, ready: Callable[[str], None]) -> bool:
        """Run until SIGTERM, SIGINT or `stop`; calls `ready` with Syncthing's version once up.

        Returns whether to start the program again, because another one replaced it.

        Raises:
            NotInitialised: `karma-sync init` was not run.
            AlreadyRunning: another daemon runs on this home.
            DatabaseUnusable: a database cannot be used; nothing was changed.
            SyncthingError: Syncthing cannot be started.
        """
        tag = self._app.settings.tag  # raises before `init`: then not even a lock is made
        log.debug("starting for %s", tag)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        share_one_arena()
        self._run(ready)
        if not self._is_renewed:
            return False
        self._systemd.give_back(os.environ)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # nothing is left that would read the flag
        return not self._stopping

    def _run(self, ready: Callable[[str], None]) -> None:
        with locked(self._app.paths):
            self._app.open_databases()
            found = self._syncthing(ready)
            if found is None:
                return
            process, client = found
            say_hello = partial(greet, self._app.paths.syncthing)
            foundation = wiring.prepare(self._app, client, say_hello)
            before_start(self._app, foundation.recovery)
            process.start()
            try:
                process.wait_ready(client, _READY_S)
                self._up = True
                version = client.version()
                with announced(self._app.paths, utc_now(), version):
                    workers = Workers(wiring.wire(self._app, foundation))
                    if not self._start_workers(process, workers):
                        return
                    timer = Timer(workers)
                    ready(version)
                    self._systemd.ready(f"Syncthing {version}")
                    try:
                        self._loop(process, workers, timer)
                    finally:
                        if not self._is_renewed:
                            self._systemd.stopping()
                        timer.stop()
                        workers.stop()
            finally:
                process.stop(_STOP_S)

    def _syncthing(
        self, ready: Callable[[str], None]
    ) -> tuple[SyncthingProcess, SyncthingClient] | None:
        """Our Syncthing, not started yet; None if the daemon was told to stop before there was one.

        Without an installed Syncthing, sessions are archived until there is one.
        """
        app = self._app
        if not is_missing(app.settings.syncthing) or app.settings.archive.keep is Keep.OFF:
            return wiring.syncthing_process(app)
        log.warning("Syncthing is not installed: sessions are archived, and nothing is shared")
        with announced(app.paths, utc_now(), ""):
            threads = LoneArchive(app)
            threads.start()
            timer = Timer(threads)
            self._up = True
            ready("")
            self._systemd.ready("without Syncthing")
            look = Retry()
            asked = WakeFile(app.paths.wake)
            try:
                while not self._stops_within(_TICK_S):
                    self._systemd.alive()
                    timer.check_clock()
                    if asked.was_touched():
                        threads.look_at_all()
                    if self._is_to_renew():
                        return None
                    if look.is_due() and not is_missing(app.settings.syncthing):
                        break
            finally:
                timer.stop()
                threads.stop()
        self._up = False
        return None if self._stopping else wiring.syncthing_process(app)

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()
        if not self._up:
            raise SystemExit(0)  # no loop runs yet that would read the flag

    def _is_to_renew(self) -> bool:
        """Whether the program was replaced, so that the daemon must start again."""
        self._is_renewed = self._is_renewed or self._renewal.is_due()
        return self._is_renewed

    def _stops_within(self, seconds: float) -> bool:
        """Wait this long, or until the daemon is told to stop; returns whether it was."""
        return poll(lambda: self._stopping, _TICK_S, seconds)

    def _start_workers(self, process: SyncthingProcess, workers: Workers) -> bool:
        """Start the workers, and Syncthing again if it ended meanwhile.

        Returns False if the daemon was told to stop before they ran.
        """
        while not self._stopping:
            try:
                workers.start()
            except SyncthingError:  # it answered a moment ago, so it ended since
                process.stop(_STOP_S)
                self._restart(process, workers)
            else:
                return True
        return False

    def _loop(self, process: SyncthingProcess, workers: Workers, timer: "Timer") -> None:
        version = self._app.state.data_version()
        asked = WakeFile(self._app.paths.wake)
        while not self._stops_within(_TICK_S) and not self._is_to_renew():
            self._systemd.alive()
            timer.check_clock()
            if asked.was_touched():
                workers.look_at_all()
            now = self._app.state.data_version()
            if now != version:
                version = now
                workers.wake()
            if process.poll() is not None:
                self._restart(process, workers)

    def _restart(self, process: SyncthingProcess, workers: Workers) -> None:
        """Start Syncthing again; the pause doubles with each failed attempt, up to 60 s."""
        why = f"it ended with code {process.poll()} and is started again"
        log.warning("Syncthing: %s", why)
        self._record(self._app.event_log.syncthing_ended, why)
        self._record(workers.syncthing_gone)
        pause = _FIRST_PAUSE_S
        while not self._stopping and not self._is_to_renew():
            self._systemd.alive(at_once=True)
            try:
                workers.before_syncthing_starts()
                process.start()
                process.wait_ready(workers.client, _READY_S, lambda: self._stopping)
                workers.syncthing_restarted()
            except (KarmaError, OSError) as error:  # OSError: for instance a full disk
                if self._stops_within(0.0):  # `self._stopping`, but mypy takes that for false here
                    return
                log.warning("%s; tried again in %g seconds", error, pause)
                self._record(self._app.event_log.syncthing_ended, str(error))
                self._record(workers.syncthing_gone)
                process.stop(_STOP_S)  # it may run without answering
                self._stops_within(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                self._record(self._app.event_log.syncthing_started)
                return

    def _record(self, record: Callable[..., None], *reasons: str) -> None:
        """Record the end or start of Syncthing, unless the disk is full."""
        try:
            record(*reasons)
        except DatabaseUnusable as error:
            log.warning("the state of Syncthing could not be recorded: %s", error)


class WakeFile:
    """A file that a hook of the agent touches when a session ended; its content means nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._touched_ns()

    def was_touched(self) -> bool:
        """Whether the file was made or touched since the last look."""
        before, self._seen = self._seen, self._touched_ns()
        return self._seen not in (before, 0)

    def _touched_ns(self) -> int:
        try:
            return self._path.lstat().st_mtime_ns
        except OSError:
            return 0


class Timer:
    """The 60-second timer: jobs that apscheduler runs in its own thread.

    Every 60 seconds one job wakes the cycle thread, and one gives freed memory back. Every 600
    seconds a job starts a pass over all sessions. Every 30 seconds a job looks for changes that no
    event reports. apscheduler keeps due times by a clock that can be set forward and back. So after
    a jump of the clock, or a sleep of the machine, each job runs once and at once: not once for
    every interval that passed, and not only after the clock has caught up.
    """

    def __init__(self, workers: Workers | LoneArchive) -> None:
        self._offset = _clock_offset()
        # one thread is enough, as the jobs only wake others; a pool keeps every thread that it made
        executors = {"default": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(timezone="UTC", executors=executors)
        run_once = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        for job, seconds in (
            (workers.wake, CYCLE_S),
            (workers.look_at_all, FULL_PASS_S),
            (workers.look_at_unnoticed, UNNOTICED_S),
            (return_freed_memory, CYCLE_S),
        ):
            self._scheduler.add_job(job, "interval", seconds=seconds, **run_once)
        self._scheduler.start()

    def check_clock(self) -> None:
        """Make all jobs due now if the clock was set or the machine slept; call this often."""
        offset = _clock_offset()
        if abs(offset - self._offset) > _JUMP_S:
            self._offset = offset
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=utc_now())

    def stop(self) -> None:
        """End all jobs."""
        self._scheduler.shutdown(wait=False)


def _clock_offset() -> float:
    """Seconds between the clock and the time during which the machine was awake.

    The difference changes only if the clock is set or the machine sleeps.
    """
    return time.time() - time.monotonic()
