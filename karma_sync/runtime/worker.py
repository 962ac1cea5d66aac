"""A thread that sleeps until it is woken, works, and survives its errors."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
_RETRY_S = 5.0
_LOGGED_MOST = 10  # lines of a part that does not work: an error may name another file each time


class Wake:
    """Wakes one worker; anybody may call `set`, before the worker exists too."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Have the worker do its work soon: once, however often this is called meanwhile."""
        self._event.set()

    def wait(self, seconds: float | None) -> bool:
        """Return once it was set, or after so many seconds, and clear it; whether it was set.

        For the worker alone.
        """
        was_set = self._event.wait(seconds)
        self._event.clear()
        return was_set


class Worker(threading.Thread):
    """Calls `work` each time it was woken; what it returns is how soon to call again (seconds).

    An exception is logged with what happens next, and `work` is called again after five seconds:
    this is the one place of the daemon that catches them all. The same one again and again is
    logged once. `tell` gets each of them, and None when `work` did its work after one.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], float | None],
        tell: Callable[[Exception | None], None] = lambda error: None,
        wake: Wake | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._tell = tell
        self._failed = False
        self._logged: set[str] = set()  # since it last worked
        self._woken = wake or Wake()
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether the daemon is about to stop."""
        return self._stopping.is_set()

    def wake(self) -> None:
        """Have `work` called soon; once, however often this is called meanwhile."""
        self._woken.set()

    def stop(self) -> None:
        """Let the thread end after the work in hand."""
        self._stopping.set()
        self._woken.set()

    def run(self) -> None:
        again: float | None = 0.0
        while not self._stopping.is_set():
            self._woken.wait(again)
            if self._stopping.is_set():
                return
            again = self._once()

    def _once(self) -> float | None:
        try:
            again = self._work()
            if self._failed:
                self._tell(None)
                self._failed = False
                self._logged.clear()
            return again
        except Exception as error:  # noqa: BLE001 the daemon's one cycle boundary
            if self.stopping:
                return None  # Syncthing is going too: of course it does not answer
            self._log_once("%s: %s; tried again every %g seconds", error, _RETRY_S)
            log.debug("where it happened", exc_info=True)
            self._failed = True
            self._say(error)
            return _RETRY_S

    def _say(self, error: Exception) -> None:
        """Tell of it; if that fails too (a full disk), the log has both."""
        try:
            self._tell(error)
        except Exception as second:  # noqa: BLE001 the worker must survive this one as well
            self._log_once("%s: it could not be noted: %s", second)

    def _log_once(self, form: str, error: Exception, *more: object) -> None:
        """Log an error; what was logged since `work` last worked is not logged again."""
        said = form + type(error).__name__ + str(error)
        if said not in self._logged and len(self._logged) < _LOGGED_MOST:
            self._logged.add(said)
            log.warning(form, self.name, error, *more)
