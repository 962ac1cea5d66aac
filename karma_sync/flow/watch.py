"""Watches the agent's directory and says which paths changed; what changed is for others to read.

Only closing, writing, moving and creating count: our own reading must not wake us.
"""

from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
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
    """Calls `changed` with each path that was written below `root`, from a thread of its own."""

    def __init__(self, root: Path, changed: Callable[[Path], None]) -> None:
        self._root = root
        self._handler = _Handler(changed)
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Begin to watch; a directory that is not there yet is made, as the agent would make it.

        Raises:
            OSError: the system refuses, for instance because its watches are used up.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._observer = Observer()
        self._observer.schedule(self._handler, str(self._root), recursive=True)
        self._observer.start()

    def stop(self) -> None:
        """Stop watching; a thread that does not end soon ends with the process."""
        if self._observer:
            self._observer.stop()
            self._observer.join(_STOP_S)


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[Path], None]) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory or event.event_type not in _CHANGES:
            return
        path = event.dest_path if event.event_type == EVENT_TYPE_MOVED else event.src_path
        self._changed(Path(str(path)))
