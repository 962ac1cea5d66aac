"""The daemon: lock, signals, scheduler, wake-ups. It holds no rule; it says when, never what."""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from karma_sync.app import App
from karma_sync.daemon import wiring
from karma_sync.daemon.lock import announced, locked
from karma_sync.daemon.systemd_notify import Notifier
from karma_sync.daemon.threads import Workers
from karma_sync.errors import DatabaseUnusable, KarmaError, SyncthingError
from karma_sync.runtime.timing import poll, utc_now
from karma_sync.syncthing.process import SyncthingProcess

_ARENA_MAX = -8  # M_ARENA_MAX


def share_one_arena() -> None:
    """Have all threads to come allocate from one arena.

    glibc gives each its own and keeps what is freed there for it (mallopt(3)): 2.3 of 80 MB here,
    for threads that wait for each other anyway. Other C libraries know no arenas.
    """
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


log = logging.getLogger(__name__)

CYCLE_S = 60
FULL_PASS_S = 600
_TICK_S = 0.2  # how soon a command of another process is noticed
_JUMP_S = 30.0  # more than a clock that is kept right is ever corrected at once
_READY_S = 300.0  # Syncthing v2 may migrate its database first
# 0.1 to 1 s is usual; 1.29 takes 10 s while it dials a peer that rejects it, and loses nothing
_STOP_S = 3.0


class Daemon:
    """One member's daemon; `run` returns when it was told to stop."""

    def __init__(self, app: App) -> None:
        self._app = app
        # no Event: a signal may come while its own thread holds the lock that is in one
        self._stopping = False
        self._up = False
        self._systemd = Notifier.take(os.environ)

    def run(self, ready: Callable[[str], None]) -> None:
        """Run until SIGTERM, SIGINT or `stop`; calls `ready` with Syncthing's version once up.

        Raises:
            AlreadyRunning: another daemon has this home.
            DatabaseUnusable: nothing was changed.
            SyncthingError: Syncthing cannot be started.
        """
        tag = self._app.settings.tag  # before `init` nothing is made, not even a lock
        log.debug("starting for %s", tag)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        share_one_arena()
        with locked(self._app.paths):
            self._app.open_databases()
            process, client = wiring.syncthing_process(self._app)
            foundation = wiring.prepare(self._app, client)
            wiring.make_whole(self._app, foundation.recovery)
            process.start()
            try:
                process.wait_ready(client, _READY_S)
                self._up = True
                version = client.version()
                with announced(self._app.paths, utc_now(), version):
                    workers = Workers(wiring.wire(self._app, foundation))
                    if not self._begun(process, workers):
                        return
                    timer = Timer(workers)
                    ready(version)
                    self._systemd.ready(f"Syncthing {version}")
                    try:
                        self._loop(process, workers, timer)
                    finally:
                        self._systemd.stopping()
                        timer.stop()
                        workers.stop()
            finally:
                process.stop(_STOP_S)

    def stop(self) -> None:
        """Have `run` return soon."""
        self._stopping = True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()
        if not self._up:
            raise SystemExit(0)  # nothing runs yet that would look at the flag

    def _told_within(self, seconds: float) -> bool:
        """Wait this long, or until the daemon is told to stop; returns whether it was."""
        return poll(lambda: self._stopping, _TICK_S, seconds)

    def _begun(self, process: SyncthingProcess, workers: Workers) -> bool:
        """Start the workers, and Syncthing again if it died meanwhile; False if told to stop."""
        while not self._stopping:
            try:
                workers.start()
            except SyncthingError:  # it answered a moment ago
                process.stop(_STOP_S)
                self._restart(process, workers)
            else:
                return True
        return False

    def _loop(self, process: SyncthingProcess, workers: Workers, timer: "Timer") -> None:
        version = self._app.state.data_version()
        while not self._told_within(_TICK_S):
            self._systemd.alive()
            timer.look()
            now = self._app.state.data_version()
            if now != version:
                version = now
                workers.wake()
            if process.poll() is not None:
                self._restart(process, workers)

    def _restart(self, process: SyncthingProcess, workers: Workers) -> None:
        """Syncthing died: start it again, less and less often if that fails."""
        why = f"it ended with code {process.poll()} and is started again"
        log.warning("Syncthing: %s", why)
        self._note(self._app.notes.syncthing_ended, why)
        self._note(workers.syncthing_gone)
        pause = 1.0
        while not self._stopping:
            self._systemd.alive(at_once=True)
            try:
                workers.before_syncthing_starts()
                process.start()
                process.wait_ready(workers.client, _READY_S, lambda: self._stopping)
                workers.syncthing_restarted()
            except (KarmaError, OSError) as error:  # OSError: such as a disk that is full
                if self._told_within(0.0):
                    return
                log.warning("%s; tried again in %g seconds", error, pause)
                self._note(self._app.notes.syncthing_ended, str(error))
                self._note(workers.syncthing_gone)
                process.stop(_STOP_S)  # it may run and yet not answer
                self._told_within(pause)
                pause = min(pause * 2, 60.0)
            else:
                self._note(self._app.notes.syncthing_started)
                return

    def _note(self, tell: Callable[..., None], *said: str) -> None:
        """Note what became of Syncthing, where there is room to."""
        try:
            tell(*said)
        except DatabaseUnusable as error:
            log.warning("it could not be noted: %s", error)


class Timer:
    """Wakes the workers now and then; after a sleep or a clock jump once: no burst, and not never.

    The scheduler's due times are moments of a clock that can be set, forth and back.
    """

    def __init__(self, workers: Workers) -> None:
        self._ahead = _ahead()
        # one thread: what it runs only wakes others, and as many as jobs would come and stay
        executors = {"default": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(timezone="UTC", executors=executors)
        once = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        for wake, seconds in (
            (workers.wake, CYCLE_S),
            (workers.look_at_all, FULL_PASS_S),
        ):
            self._scheduler.add_job(wake, "interval", seconds=seconds, **once)
        self._scheduler.start()

    def look(self) -> None:
        """If the clock was set, or the machine slept, all is due now."""
        ahead = _ahead()
        if abs(ahead - self._ahead) > _JUMP_S:
            self._ahead = ahead
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=utc_now())

    def stop(self) -> None:
        """Wake nobody any more."""
        self._scheduler.shutdown(wait=False)


def _ahead() -> float:
    """By how many seconds the clock is ahead of the time that passes while the machine is awake."""
    return time.time() - time.monotonic()
