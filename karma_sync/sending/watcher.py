"""Watches the agent's directory and reports the paths that changed; it reads no content.

A file counts as changed when it is closed after writing, written, moved or created; opening and
reading do not count, because our own reading must not wake us. Deletions are reported only in
folders where a missing file means something, such as the agent's list of running sessions.
"""

import errno
import logging
import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
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
_NEW = {EVENT_TYPE_CREATED, EVENT_TYPE_MOVED}
# Below a folder whose links are followed: project directories, and their entries.
_LINK_DEPTH = 2


@dataclass(frozen=True)
class Folders:
    """The folders of the agent's home that are watched, at any depth.

    `report_deletions` are those whose deleted files are reported too, `follow_links` those of
    which links in the first two levels are followed.
    """

    names: Collection[str]
    report_deletions: Collection[str] = ()
    follow_links: Collection[str] = ()


class _Watching:
    """One observer, and what it watches: real directory and watch, by the path that is reported.

    `files` are linked files: by the real directory and the name of each, the paths of its links.
    `grew` is true if a directory appeared since the watches were counted.
    """

    def __init__(self) -> None:
        self._instances: set[str] = set()
        with inotify.collect_opened(self._instances):
            self.observer: BaseObserver = Observer()
        self.trees: dict[Path, tuple[str, ObservedWatch]] = {}
        self.files: dict[str, dict[str, set[Path]]] = {}
        self.grew = False

    def start(self) -> None:
        """Start the observer's thread.

        Raises:
            OSError: the system refuses.
        """
        with inotify.collect_opened(self._instances):  # some versions of watchdog open them here
            self.observer.start()

    def schedule(
        self, handler: FileSystemEventHandler, directory: str, *, recursive: bool
    ) -> ObservedWatch:
        """Watch a directory.

        Raises:
            OSError: the system refuses, or the directory vanished.
        """
        with inotify.collect_opened(self._instances):
            return self.observer.schedule(handler, directory, recursive=recursive)

    def mark_grown(self, *, grew: bool = True) -> None:
        """A directory appeared; or with False, the watches are counted now."""
        self.grew = grew

    def unwatched(self, home: str) -> int:
        """How many directories should be watched and are not; 0 where the system does not tell."""
        trees = [real for real, _ in list(self.trees.values())]
        # first the directories, then the watches: a directory made in between is no fault
        there = inotify.directories(trees, [home, *list(self.files)])
        own = self._instances
        return max(0, there - inotify.held(own)) if own else 0


class Watcher:
    """Calls `changed`, from a thread of its own, with each path that changed below `home`.

    A folder that does not exist is watched as soon as it appears, also after it was deleted. If
    the system refuses to watch, as when inotify is used up, `report` gets the reason, and "" once
    everything is watched: until then the caller has to look at all files regularly.
    """

    def __init__(
        self,
        home: Path,
        folders: Folders,
        changed: Callable[[Path], None],
        report: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._home = home
        self._folders = folders
        self._changed = changed
        self._report = report
        self._why = ""
        self._now: _Watching | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to watch; creates `home` if it is missing, as the agent would."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        ignore_double_watch_warning()
        self._begin()

    def stop(self) -> None:
        """Stop watching; if watchdog's thread does not end in time, it ends with the process."""
        with self._lock:
            now, self._now = self._now, None
        if now:
            stop(now.observer)

    def check(self, *, thoroughly: bool = False) -> bool:
        """Whether something is not watched; tries to watch it, and reports why that fails.

        Does nothing if all was watched and no directory appeared since, unless `thoroughly`.
        """
        now = self._now
        if not (self._why or thoroughly or now is None or now.grew):
            return False
        if self._why or self._unwatched():
            self.stop()
            self._begin()
        return bool(self._why)

    # ---- beginning

    def _begin(self) -> None:
        """Watch everything, and report whether that was possible."""
        try:
            self._watch_all()
        except OSError as error:
            self.stop()
            why = f"changes of the agent's files are not noticed, because {inotify.remedy(error)}"
        else:
            count = self._unwatched()
            used_up = inotify.remedy(OSError(errno.ENOSPC, ""))
            why = f"{count} of the agent's directories are not watched, because {used_up}"
            why = why if count else ""
        if why != self._why:
            self._why = why
            if why:
                log.warning("%s; karma-sync looks at all sessions every 30 seconds", why)
            self._report(why)

    def _watch_all(self) -> None:
        now = _Watching()
        with self._lock:
            self._now = now
        home = os.path.realpath(self._home)  # of a symbolic link watchdog watches only the link
        now.schedule(_Home(self._appeared, self._vanished), home, recursive=False)
        # started before the folders are listed: a folder that appears in between is not missed
        now.start()
        for name in sorted(self._folders.names):
            if (self._home / name).is_dir():
                self._watch_tree(now, self._home / name)

    def _unwatched(self) -> int:
        now = self._now
        if now is None:
            return 0
        now.mark_grown(grew=False)
        return now.unwatched(os.path.realpath(self._home))

    # ---- trees and links

    def _watch_tree(self, now: _Watching, place: Path) -> None:
        """Watch a folder, or a directory that a link leads to, with the links in it.

        Raises:
            OSError: the system refuses, or the directory vanished.
        """
        real = os.path.realpath(place)
        with self._lock:
            known = [tree for tree, _ in now.trees.values()]
            if now is not self._now or any(Path(real).is_relative_to(tree) for tree in known):
                return
            folder = place.relative_to(self._home).parts[0]
            is_told = folder in self._folders.report_deletions
            kinds = CHANGES | ({EVENT_TYPE_DELETED} if is_told else set())
            handler = TellingHandler(lambda event: self._on_event(now, place, real, event, kinds))
            watch = now.schedule(handler, real, recursive=True)
            now.trees[place] = real, watch
        for link in self._links_below(place):
            self._follow(now, link)

    def _links_below(self, place: Path) -> list[Path]:
        """The links to be followed in a directory, down to the last level at which they are."""
        found: list[Path] = []
        if self._is_followed(place / "x"):
            for entry in _entries(place):
                if entry.is_symlink():
                    found.append(place / entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    found += self._links_below(place / entry.name)
        return found

    def _is_followed(self, path: Path) -> bool:
        """Whether a link at this path is followed: it is at one of the first two levels."""
        folder, *below = path.relative_to(self._home).parts
        return folder in self._folders.follow_links and 0 < len(below) <= _LINK_DEPTH

    def _follow(self, now: _Watching, link: Path) -> None:
        real = os.path.realpath(link)
        try:
            if os.path.isdir(real):  # noqa: PTH112
                self._watch_tree(now, link)
            elif os.path.isfile(real):  # noqa: PTH113
                self._watch_file(now, link, *os.path.split(real))
        except OSError as error:
            log.warning("cannot watch %s: %s; the regular look reads it", link, error)
            now.mark_grown()  # so that the next check counts

    def _watch_file(self, now: _Watching, link: Path, directory: str, name: str) -> None:
        with self._lock:
            is_new = directory not in now.files
            now.files.setdefault(directory, {}).setdefault(name, set()).add(link)
        if is_new:

            def told(event: FileSystemEvent) -> None:
                path = _path(event)
                if event.event_type in CHANGES and os.path.dirname(path) == directory:  # noqa: PTH120
                    for each in sorted(now.files[directory].get(Path(path).name, ())):
                        self._changed(each)

            now.schedule(TellingHandler(told), directory, recursive=False)

    # ---- events

    def _on_event(
        self,
        now: _Watching,
        place: Path,
        real: str,
        event: FileSystemEvent,
        kinds: Collection[str],
    ) -> None:
        path = place / os.path.relpath(_path(event), real)
        if event.is_directory:
            if event.event_type in _NEW:
                now.mark_grown()
            return
        if event.event_type in GONE:
            self._unfollow(now, place / os.path.relpath(str(event.src_path), real))
        if event.event_type in kinds:
            self._changed(path)
        if event.event_type in _NEW and self._is_followed(path) and path.is_symlink():
            self._follow(now, path)
            self._report_files(path)

    def _unfollow(self, now: _Watching, link: Path) -> None:
        """Forget the watch of a link that is gone."""
        with self._lock:
            watched = now.trees.pop(link, None)
            for names in now.files.values():
                for links in names.values():
                    links.discard(link)
        if watched:
            now.observer.unschedule(watched[1])

    def _appeared(self, name: str) -> None:
        """Watch a directory that appeared in the home, and report the files already in it."""
        folder, now = self._home / name, self._now
        if name not in self._folders.names or not folder.is_dir() or now is None:
            return
        try:
            self._watch_tree(now, folder)
        except OSError as error:  # the folder vanished, or the system refuses; others still work
            log.warning("cannot watch %s: %s; the regular look reads it", folder, error)
        now.mark_grown()
        self._report_files(folder)

    def _report_files(self, folder: Path) -> None:
        for where, _, names in os.walk(folder):
            for each in sorted(names):
                self._changed(Path(where, each))

    def _vanished(self, name: str) -> None:
        """Forget the watch of a directory that is gone; if it comes back, it needs a new one."""
        if self._now:
            self._unfollow(self._now, self._home / name)


class _Home(FileSystemEventHandler):
    """Reports what appears in the home itself and what vanishes, by name: it may be a link."""

    def __init__(self, appeared: Callable[[str], None], vanished: Callable[[str], None]) -> None:
        self._appeared = appeared
        self._vanished = vanished

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in GONE:
            self._vanished(Path(str(event.src_path)).name)
        if event.event_type in _NEW:
            self._appeared(Path(_path(event)).name)


def _path(event: FileSystemEvent) -> str:
    """The path of the file after the event."""
    moved = event.event_type == EVENT_TYPE_MOVED
    return str(event.dest_path if moved else event.src_path)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(directory))
    except OSError:
        return []  # vanished, or closed to us
