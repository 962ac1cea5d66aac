"""Watches directories that may appear later, for changes of the files in them."""

import logging
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from watchdog.events import FileSystemEvent
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from karma_sync.sending import inotify
from karma_sync.sending.watching import (
    CHANGES,
    GONE,
    TellingHandler,
    ignore_double_watch_warning,
    stop,
)

log = logging.getLogger(__name__)


class DirectoryWatcher:
    """Calls `changed` when a file in one of some directories changes, from a thread of its own.

    `directories` returns them; `check` watches those that appeared since. Files below them do not
    count. While the system refuses to watch, `check` returns true each time, so that they are read.
    """

    def __init__(
        self, directories: Callable[[], Collection[Path]], changed: Callable[[], None]
    ) -> None:
        self._directories = directories
        self._changed = changed
        self._observer: BaseObserver | None = None
        self._watched: dict[_Place, ObservedWatch] = {}
        self._refused: set[str] = set()
        self._wanted = False

    def start(self) -> None:
        """Begin to watch."""
        ignore_double_watch_warning()
        self._wanted = True
        self.check()

    def stop(self) -> None:
        """Stop watching."""
        self._wanted = False
        observer, self._observer = self._observer, None
        if observer:
            stop(observer)

    def check(self) -> bool:
        """Watch what appeared; whether anything did, or nothing is watched: then it is read."""
        if not self._wanted:
            return False
        observer = self._observer = self._observer or self._begun()
        if observer is None:
            return True
        there = {place for path in self._directories() if (place := _place(path))}
        # the thread of a watch ends with its directory, although another may have its path by now
        live = {emitter.watch for emitter in observer.emitters if emitter.is_alive()}
        for place, watch in list(self._watched.items()):
            if place not in there or watch not in live:
                observer.unschedule(self._watched.pop(place))
        new = sorted(there - self._watched.keys())
        for place in new:
            path, *_ = place
            try:
                self._watched[place] = observer.schedule(TellingHandler(self._told), path)
            except OSError as error:
                self._log_refused(path, error)
        return bool(new)

    def _begun(self) -> BaseObserver | None:
        """A new observer; None if the system refuses one."""
        try:
            observer = Observer()
            observer.start()
        except OSError as error:
            self._log_refused("the directories of observations", error)
            return None
        return observer

    def _log_refused(self, what: str, error: OSError) -> None:
        """Log, once for each thing, that it is not watched."""
        if what not in self._refused:
            why = inotify.remedy(error)
            log.warning("cannot watch %s: %s; karma-sync looks every 30 seconds", what, why)
        self._refused.add(what)

    def _told(self, event: FileSystemEvent) -> None:
        if event.event_type in CHANGES | GONE and not event.is_directory:
            self._changed()


# The real path of a directory, and which directory it is: device and inode.
_Place = tuple[str, int, int]


def _place(path: Path) -> _Place | None:
    """The place of a directory; None if there is none."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)  # noqa: PTH116
    except OSError:
        return None
    return (real, found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
