"""Sends the daemon's log to journald, to a file of limited size, or to standard error.

Here it is also decided what a log may hold. The message of a foreign error may quote data, for
instance a line of a transcript. So of such an error only the kind and the place are logged.
"""

import copy
import logging
import logging.handlers
import os
import sys
import threading
import traceback
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

from karma_sync.errors import KarmaError
from karma_sync.files import PRIVATE_FILE, private_dir

LOG_BYTES = 1_000_000
LOG_FILES = 3  # the current file and two older ones

_TIMED = "%(asctime)s %(levelname)s %(message)s"
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
# Priorities of syslog(3), which journald reads at the beginning of a line.
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}
_DEBUG_PRIORITY = 7

log = logging.getLogger(__name__)


def log_daemon(file: Path | None) -> None:
    """Set up the log of this process: to `file`, or else to standard error.

    Our own loggers log from INFO on, or everything if KARMA_SYNC_DEBUG is set. Loggers of
    libraries log from WARNING on, that of apscheduler from ERROR on, so that an idle cycle logs
    nothing.
    """
    handler: logging.Handler
    if file:
        private_dir(file.parent)
        handler = _KeptSmall(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8")
        handler.setFormatter(Discreet(_TIMED))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Prioritised() if _is_journal(_STANDARD_ERROR) else Discreet(_TIMED))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    level = logging.DEBUG if os.environ.get("KARMA_SYNC_DEBUG") else logging.INFO
    logging.getLogger("karma_sync").setLevel(level)
    # it warns of each run that a busy machine makes it leave out, although the next one does it all
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    sys.excepthook = _log_the_end
    threading.excepthook = _log_the_end_of_a_thread


class Discreet(logging.Formatter):
    """Formats foreign errors without their messages."""

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)  # other handlers must get the record unchanged
        record.exc_text = None
        record.msg = _discreet(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_discreet(each) for each in record.args)
        return super().format(record)

    def formatException(  # noqa: N802 logging's own name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        error = ei[1]
        if error is None:
            return ""
        places = "".join(traceback.format_tb(error.__traceback__))
        return f"{places}{type(error).__name__}: {error}" if _is_fit(error) else places.rstrip()


class Prioritised(Discreet):
    """Formats lines for journald: each begins with its priority, and none has a time."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, _DEBUG_PRIORITY)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


class _KeptSmall(logging.handlers.RotatingFileHandler):
    """A rotating log file, mode 0600, that also receives standard output and standard error.

    Both follow each rotation. So the last output of a daemon is in the newest file, and no old file
    keeps growing.
    """

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self.baseFilename, flags, PRIVATE_FILE)
        os.fchmod(descriptor, PRIVATE_FILE)
        for standard in (_STANDARD_OUTPUT, _STANDARD_ERROR):
            os.dup2(descriptor, standard)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="replace")


def _discreet(value: object) -> object:
    """The value itself; for an error whose message may quote data, its kind and its place."""
    if not isinstance(value, BaseException) or _is_fit(value):
        return value
    frames = traceback.extract_tb(value.__traceback__)
    places = [f for f in frames if f.filename.startswith(_PACKAGE)] or frames
    kind = type(value).__name__
    if not places:
        return kind
    return f"{kind} at {places[-1].filename.removeprefix(_PACKAGE)}:{places[-1].lineno}"


def _is_fit(error: BaseException) -> bool:
    """Whether an error's message may be logged: ours, the system's, or SQLite's without values."""
    return isinstance(error, KarmaError | OSError) or type(error).__module__ == "sqlite3"


def _is_journal(descriptor: int) -> bool:
    """Whether a descriptor leads to journald, by systemd.exec(5).

    The variable alone proves nothing: a child process inherits it.
    """
    found = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _log_the_end(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    log.critical("the daemon ends: %s", error, exc_info=error)


def _log_the_end_of_a_thread(end: threading.ExceptHookArgs) -> None:
    name = end.thread.name if end.thread else "?"
    log.error("thread %s ends: %s", name, end.exc_value, exc_info=end.exc_value)
