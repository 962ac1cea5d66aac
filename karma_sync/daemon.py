"""The daemon: lock, signals, scheduler, wake-ups. It holds no rule; it says when, never what."""

import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from karma_sync.app import App, utc_now
from karma_sync.errors import DatabaseUnusable, KarmaError
from karma_sync.service.notify import Notifier
from karma_sync.service.presence import announced, locked
from karma_sync.service.workers import Workers
from karma_sync.syncthing.process import SyncthingProcess

log = logging.getLogger(__name__)

CYCLE_S = 60
FULL_PASS_S = 600
_TICK_S = 0.1  # how soon a command of another process is noticed
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
        with locked(self._app.paths):
            self._app.open_databases()
            process, client = self._app.syncthing_process()
            self._app.make_whole()
            process.start()
            try:
                process.wait_ready(client, _READY_S)
                self._up = True
                version = client.version()
                with announced(self._app.paths, utc_now(), version):
                    workers = Workers(self._app.engine(client))
                    workers.start()
                    timer = _timer(workers)
                    ready(version)
                    self._systemd.ready(f"Syncthing {version}")
                    try:
                        self._loop(process, workers)
                    finally:
                        self._systemd.stopping()
                        timer.shutdown(wait=False)
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
        """Wait so long, or until told to stop; whether that was so."""
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(_TICK_S, left))
        return self._stopping

    def _loop(self, process: SyncthingProcess, workers: Workers) -> None:
        version = self._app.state.data_version()
        while not self._told_within(_TICK_S):
            self._systemd.alive()
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
        self._note(self._app.notes.fault, "fault", "Syncthing", why)
        self._note(workers.syncthing_gone)
        pause = 1.0
        while not self._stopping:
            self._systemd.alive(at_once=True)
            try:
                self._app.make_whole()
                process.start()
                process.wait_ready(workers.client, _READY_S, lambda: self._stopping)
                workers.syncthing_restarted()
            except (KarmaError, OSError) as error:  # OSError: such as a disk that is full
                if self._told_within(0.0):
                    return
                log.warning("%s; tried again in %g seconds", error, pause)
                self._note(workers.syncthing_gone, str(error))
                process.stop(_STOP_S)  # it may run and yet not answer
                self._told_within(pause)
                pause = min(pause * 2, 60.0)
            else:
                self._note(self._app.notes.note, "fault over", "Syncthing", "it runs again")
                return

    def _note(self, tell: Callable[..., None], *said: str) -> None:
        """Note what became of Syncthing, where there is room to."""
        try:
            tell(*said)
        except DatabaseUnusable as error:
            log.warning("it could not be noted: %s", error)


def _timer(workers: Workers) -> BackgroundScheduler:
    """Wakes the workers now and then; after a sleep or a clock jump once, not in a burst."""
    # one thread: what it runs only wakes others, and as many as jobs would come and stay
    timer = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(1)})
    once = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    timer.add_job(workers.wake, "interval", seconds=CYCLE_S, **once)
    timer.add_job(workers.look_at_all, "interval", seconds=FULL_PASS_S, **once)
    timer.add_job(workers.check_all, "interval", seconds=FULL_PASS_S, **once)
    timer.start()
    return timer
