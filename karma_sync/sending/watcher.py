"""Watches the agent's directory and reports the paths that changed; it reads no content.

A file counts as changed when it is closed after writing, written, moved or created; opening and
reading do not count, because our own reading must not wake us. Deletions are reported only in
folders where a missing file means something, such as the agent's list of running sessions.
"""

import logging
import os
import threading
import warnings
from collections.abc import Callable, Collection
from pathlib import Path

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

log = logging.getLogger(__name__)
_STOP_S = 3.0  # the longest wait for watchdog's thread to end
_CHANGES = {EVENT_TYPE_CLOSED, EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED}


class Watcher:
    """Calls `changed`, from a thread of its own, with each path that changed below `home`.

    Watches only the named `folders` of `home`, at any depth. A folder that does not exist is
    watched as soon as it appears, also after it was deleted. `report_deletions` are the folders
    whose deleted files are reported too.
    """

    def __init__(
        self,
        home: Path,
        folders: Collection[str],
        changed: Callable[[Path], None],
        report_deletions: Collection[str] = (),
    ) -> None:
        self._home = home
        self._folders = frozenset(folders)
        self._report_deletions = frozenset(report_deletions)
        self._changed = changed
        self._observer: BaseObserver | None = None
        self._watched: dict[str, ObservedWatch] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to watch; creates `home` if it is missing, as the agent would.

        Raises:
            OSError: the system refuses, for instance because its watches are used up.
        """
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _ignore_double_watch_warning()
        self._observer = Observer()
        home = os.path.realpath(self._home)  # of a symbolic link watchdog watches only the link
        self._observer.schedule(_Home(self._appeared, self._vanished), home, recursive=False)
        # started before the folders are listed: a folder that appears in between is not missed
        self._observer.start()
        for name in sorted(self._folders):
            if (self._home / name).is_dir():
                self._watch(self._observer, name)

    def stop(self) -> None:
        """Stop watching; if watchdog's thread does not end in time, it ends with the process."""
        if self._observer:
            self._observer.stop()
            self._observer.join(_STOP_S)

    def _watch(self, observer: BaseObserver, name: str) -> None:
        kinds = _CHANGES | ({EVENT_TYPE_DELETED} if name in self._report_deletions else set())
        folder = self._home / name
        real = os.path.realpath(folder)

        def changed(path: str) -> None:
            self._changed(folder / os.path.relpath(path, real))

        with self._lock:
            if name not in self._watched:
                watch = observer.schedule(_Handler(changed, kinds), real, recursive=True)
                self._watched[name] = watch

    def _appeared(self, name: str) -> None:
        """Watch a directory that appeared in the home, and report the files already in it."""
        folder = self._home / name
        if name not in self._folders or not folder.is_dir() or not self._observer:
            return
        try:
            self._watch(self._observer, name)
        except OSError as error:  # the folder vanished, or the system refuses; others still work
            log.warning(
                "cannot watch %s: %s; the regular pass over all sessions reads it", folder, error
            )
        for where, _, names in os.walk(folder):
            for each in sorted(names):
                self._changed(Path(where, each))

    def _vanished(self, name: str) -> None:
        """Forget the watch of a directory that is gone; if it comes back, it needs a new one."""
        with self._lock:
            watch = self._watched.pop(name, None)
        if watch and self._observer:
            self._observer.unschedule(watch)


class _Home(FileSystemEventHandler):
    """Reports what appears in the home itself and what vanishes, by name: it may be a link."""

    def __init__(self, appeared: Callable[[str], None], vanished: Callable[[str], None]) -> None:
        self._appeared = appeared
        self._vanished = vanished

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {EVENT_TYPE_DELETED, EVENT_TYPE_MOVED}:
            self._vanished(Path(str(event.src_path)).name)
        if event.event_type in {EVENT_TYPE_CREATED, EVENT_TYPE_MOVED}:
            self._appeared(Path(_path(event)).name)


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[str], None], kinds: Collection[str]) -> None:
        self._changed = changed
        self._kinds = kinds

    def on_any_event(self, event: FileSystemEvent) -> None:
        if not event.is_directory and event.event_type in self._kinds:
            self._changed(_path(event))


def _path(event: FileSystemEvent) -> str:
    """The path of the file after the event."""
    moved = event.event_type == EVENT_TYPE_MOVED
    return str(event.dest_path if moved else event.src_path)


def _ignore_double_watch_warning() -> None:
    """Ignore watchdog's warning about a directory that it found twice.

    That happens when a directory is created while watchdog lists its parent. Watchdog still
    watches it once, but the warning prints every watched path; and where warnings are errors, it
    ends watchdog's thread, so that no change is reported any more.
    """
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
