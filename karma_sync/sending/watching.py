"""The parts of watchdog that both watchers use: its file events, and the end of its threads."""

import warnings
from collections.abc import Callable

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver

_STOP_S = 3.0  # the longest wait for watchdog's thread to end
CHANGES = {EVENT_TYPE_CLOSED, EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED}
GONE = {EVENT_TYPE_DELETED, EVENT_TYPE_MOVED}


class TellingHandler(FileSystemEventHandler):
    """Tells every event."""

    def __init__(self, told: Callable[[FileSystemEvent], None]) -> None:
        self._told = told

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._told(event)


def stop(observer: BaseObserver) -> None:
    """End an observer and its threads, or leave it after some seconds."""
    if observer.is_alive():
        observer.stop()
        observer.join(_STOP_S)


def ignore_double_watch_warning() -> None:
    """Ignore watchdog's warning about a directory that it found twice.

    That happens when a directory is created while watchdog lists its parent. Watchdog still
    watches it once, but the warning prints every watched path; and where warnings are errors, it
    ends watchdog's thread, so that no change is reported any more.
    """
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
