"""Watches the agent's directory and says which paths changed; what changed is for others to read.

Only closing, writing, moving and creating count: our own reading must not wake us. Of what is
deleted only `telling` folders say something: a file that is gone from there is news.
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
_STOP_S = 3.0
_CHANGES = {EVENT_TYPE_CLOSED, EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED}


class Watcher:
    """Calls `changed` with each path written below one of the folders of `home`.

    From a thread of its own. A folder that is not there yet is watched from when it comes, and so
    is one that went and comes again.
    """

    def __init__(
        self,
        home: Path,
        folders: Collection[str],
        changed: Callable[[Path], None],
        telling: Collection[str] = (),
    ) -> None:
        self._home = home
        self._folders = frozenset(folders)
        self._telling = frozenset(telling)
        self._changed = changed
        self._observer: BaseObserver | None = None
        self._watched: dict[str, ObservedWatch] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to watch; a home that is not there yet is made, as the agent would make it.

        Raises:
            OSError: the system refuses, for instance because its watches are used up.
        """
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _take_what_is_found_twice()
        self._observer = Observer()
        home = os.path.realpath(self._home)  # a link itself is all that watchdog would watch
        self._observer.schedule(_Home(self._came, self._went), home, recursive=False)
        self._observer.start()  # from now on nothing comes unseen: only now look what is there
        for name in sorted(self._folders):
            if (self._home / name).is_dir():
                self._watch(self._observer, name)

    def stop(self) -> None:
        """Stop watching; a thread that does not end soon ends with the process."""
        if self._observer:
            self._observer.stop()
            self._observer.join(_STOP_S)

    def _watch(self, observer: BaseObserver, name: str) -> None:
        kinds = _CHANGES | ({EVENT_TYPE_DELETED} if name in self._telling else set())
        folder = self._home / name
        real = os.path.realpath(folder)

        def changed(path: str) -> None:
            self._changed(folder / os.path.relpath(path, real))

        with self._lock:
            if name not in self._watched:
                watch = observer.schedule(_Handler(changed, kinds), real, recursive=True)
                self._watched[name] = watch

    def _came(self, name: str) -> None:
        """A directory of the home appeared: watch it, and say what was in it before we did."""
        folder = self._home / name
        if name not in self._folders or not folder.is_dir() or not self._observer:
            return
        try:
            self._watch(self._observer, name)
        except OSError as error:  # it went again, or the system refuses: the others go on
            log.warning("%s is not watched, only looked at now and then: %s", folder, error)
        for where, _, names in os.walk(folder):
            for each in sorted(names):
                self._changed(Path(where, each))

    def _went(self, name: str) -> None:
        """A directory of the home is gone: another of its name will have to be watched anew."""
        with self._lock:
            watch = self._watched.pop(name, None)
        if watch and self._observer:
            self._observer.unschedule(watch)


class _Home(FileSystemEventHandler):
    """Sees what appears in the home itself, and what goes; by name, as it may be a link."""

    def __init__(self, came: Callable[[str], None], went: Callable[[str], None]) -> None:
        self._came = came
        self._went = went

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {EVENT_TYPE_DELETED, EVENT_TYPE_MOVED}:
            self._went(Path(str(event.src_path)).name)
        if event.event_type in {EVENT_TYPE_CREATED, EVENT_TYPE_MOVED}:
            self._came(Path(_path(event)).name)


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[str], None], kinds: Collection[str]) -> None:
        self._changed = changed
        self._kinds = kinds

    def on_any_event(self, event: FileSystemEvent) -> None:
        if not event.is_directory and event.event_type in self._kinds:
            self._changed(_path(event))


def _path(event: FileSystemEvent) -> str:
    """Where it lies now."""
    moved = event.event_type == EVENT_TYPE_MOVED
    return str(event.dest_path if moved else event.src_path)


def _take_what_is_found_twice() -> None:
    """Let watchdog find a directory twice: made while its parent is looked through.

    It watches the directory once all the same, but warns, with every path that it watches; and
    where warnings are errors, that ends its thread, and nothing is seen any more.
    """
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
