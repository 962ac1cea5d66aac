"""Watches the agent's directory and says which paths changed; what changed is for others to read.

Only closing, writing, moving and creating count: our own reading must not wake us. Of what is
deleted only `telling` folders say something: a file that is gone from there is news.
"""

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
from watchdog.observers.api import BaseObserver

_STOP_S = 3.0
_CHANGES = {EVENT_TYPE_CLOSED, EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED}


class Watcher:
    """Calls `changed` with each path written below one of the folders of `home`.

    From a thread of its own. A folder that is not there yet is watched from when it comes.
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

    def start(self) -> None:
        """Begin to watch; a home that is not there yet is made, as the agent would make it.

        Raises:
            OSError: the system refuses, for instance because its watches are used up.
        """
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._observer = Observer()
        self._observer.schedule(_Home(self._came), str(self._home), recursive=False)
        for name in sorted(self._folders):
            if (self._home / name).is_dir():
                self._watch(self._observer, name)
        self._observer.start()

    def stop(self) -> None:
        """Stop watching; a thread that does not end soon ends with the process."""
        if self._observer:
            self._observer.stop()
            self._observer.join(_STOP_S)

    def _watch(self, observer: BaseObserver, name: str) -> None:
        kinds = _CHANGES | ({EVENT_TYPE_DELETED} if name in self._telling else set())
        observer.schedule(_Handler(self._changed, kinds), str(self._home / name), recursive=True)

    def _came(self, folder: Path) -> None:
        """A directory of the home appeared: watch it, and say what was in it before we did."""
        if folder.name in self._folders and self._observer:
            self._watch(self._observer, folder.name)
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    self._changed(path)


class _Home(FileSystemEventHandler):
    """Sees directories that appear in the home itself."""

    def __init__(self, came: Callable[[Path], None]) -> None:
        self._came = came

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory and event.event_type in {EVENT_TYPE_CREATED, EVENT_TYPE_MOVED}:
            self._came(_path(event))


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[Path], None], kinds: Collection[str]) -> None:
        self._changed = changed
        self._kinds = kinds

    def on_any_event(self, event: FileSystemEvent) -> None:
        if not event.is_directory and event.event_type in self._kinds:
            self._changed(_path(event))


def _path(event: FileSystemEvent) -> Path:
    moved = event.event_type == EVENT_TYPE_MOVED
    return Path(str(event.dest_path if moved else event.src_path))
