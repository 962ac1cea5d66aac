"""Listings of directories, read again only when the directory changed."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from karma_sync.domain.session.source_files import SourceFile, Stat
from karma_sync.files import is_open

# Two changes within one tick of the file system's clock leave one time behind. Ticks of up to 10 ms
# are common; a time without fractions may be from one that counts whole seconds, or two (FAT).
_TICK_NS = 50 * 10**6
_COARSE_TICK_NS = 3 * 10**9


class Listings:
    """What lies in directories, by name: files and directories, never links."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, dict[str, Path]]] = {}

    def of(self, directory: Path) -> dict[str, Path]:
        """The entries of a directory by name; nothing if there is no such directory."""
        try:
            changed = directory.lstat()
            if changed.st_mode & 0o170000 != 0o040000:
                return {}
            known = self._known.get(directory)
            if known and known[0] == changed.st_mtime_ns:
                return known[1]
            found = {e.name: Path(e.path) for e in os.scandir(directory) if not e.is_symlink()}
        except OSError:
            return {}  # gone, or not ours to read: the next look will see
        tick = _TICK_NS if changed.st_mtime_ns % 10**9 else _COARSE_TICK_NS
        if time.time_ns() - changed.st_mtime_ns > tick:
            self._known[directory] = changed.st_mtime_ns, found
        else:
            self._known.pop(directory, None)
        return found


def walk(directory: Path, prefix: str) -> list[tuple[str, Path]]:
    """All files below a directory with their names inside an item; no link is followed.

    A directory that is closed to us stands there itself, in place of its files.
    """
    if not directory.is_dir() or directory.is_symlink():
        return []
    if not is_open(directory):
        return [(prefix, directory)]
    found = []
    for entry in os.scandir(directory):
        name = f"{prefix}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            found += walk(Path(entry.path), name)
        elif entry.is_file(follow_symlinks=False):
            found.append((name, Path(entry.path)))
    return found


def closed(found: Iterable[tuple[str, Path]]) -> tuple[Path, ...]:
    """Those of what `walk` found that are directories closed to us."""
    return tuple(path for _, path in found if path.is_dir() and not is_open(path))


def file_at(name: str, path: Path) -> SourceFile | None:
    """The file at `path`; None if it is gone or not a regular file (a link might lead away)."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if found.st_mode & 0o170000 != 0o100000:
        return None
    return SourceFile(name, path, Stat.of(found))
