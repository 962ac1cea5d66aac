"""A thread that sleeps until it is woken, does its work, and survives errors."""

import logging
import threading
from collections.abc import Callable

from karma_sync.runtime.timing import RETRY_S

log = logging.getLogger(__name__)

_LOGGED_MOST = 10  # log lines of one failure: each error may name another file


class Wake:
    """Wakes one worker. Any thread may call `set`, also before the worker exists."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Make the worker run soon. Several calls before it runs have the effect of one."""
        self._event.set()

    def wait(self, seconds: float | None) -> bool:
        """Wait until `set` was called, at most this many seconds, then clear the wake-up.

        Returns whether `set` was called. Only the worker may call this.
        """
        was_set = self._event.wait(seconds)
        self._event.clear()
        return was_set


class Worker(threading.Thread):
    """Calls `work` each time it is woken; `work` returns after how many seconds it is due again.

    This is the only place in the daemon that catches every exception. It logs the exception and
    calls `work` again after RETRY_S seconds. A repeated exception is logged once until `work`
    succeeds. `report` is called with each exception, and with None when `work` succeeds again.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], float | None],
        report: Callable[[Exception | None], None] = lambda error: None,
        wake: Wake | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._report = report
        self._failed = False
        self._logged: set[str] = set()  # since `work` last succeeded
        self._wake = wake or Wake()
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def wake(self) -> None:
        """Call `work` soon. Several calls before that have the effect of one."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the current call of `work`."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Run until `stop` is called; the thread starts here."""
        due_in: float | None = 0.0
        while not self._stopping.is_set():
            self._wake.wait(due_in)
            if self._stopping.is_set():
                return
            due_in = self._run_once()

    def _run_once(self) -> float | None:
        try:
            due_in = self._work()
            if self._failed:
                self._report(None)
                self._failed = False
                self._logged.clear()
            return due_in
        except Exception as error:  # noqa: BLE001 the daemon's one cycle boundary
            if self.stopping:
                return None  # the daemon ends Syncthing too, so it cannot answer
            self._log_once("%s: %s; tried again every %g seconds", error, RETRY_S)
            log.debug("the error occurred here", exc_info=True)
            self._failed = True
            self._report_failure(error)
            return RETRY_S

    def _report_failure(self, error: Exception) -> None:
        """Report an error. If that fails too (a full disk), the log has both errors."""
        try:
            self._report(error)
        except Exception as second:  # noqa: BLE001 the worker must survive this one as well
            self._log_once("%s: the error could not be recorded: %s", second)

    def _log_once(self, form: str, error: Exception, *more: object) -> None:
        """Log an error, unless it was logged since `work` last succeeded."""
        line = form + type(error).__name__ + str(error)
        if line not in self._logged and len(self._logged) < _LOGGED_MOST:
            self._logged.add(line)
            log.warning(form, self.name, error, *more)
