"""Lists directories for sources; a listing is read again only after the directory changed."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from karma_sync.domain.session.source_files import SourceFile, Stat
from karma_sync.files import is_open

# Two changes within one tick of the file system's clock leave the same time. Ticks of up to 10 ms
# are common. A time without fractions may come from a file system that counts in whole seconds, or
# in steps of two seconds (FAT).
_TICK_NS = 50 * 10**6
_COARSE_TICK_NS = 3 * 10**9


class Listings:
    """Lists and remembers the files and directories in directories, without links."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, dict[str, Path]]] = {}

    def of(self, directory: Path) -> dict[str, Path]:
        """The paths of a directory's entries by name; empty if the directory does not exist."""
        try:
            changed = directory.lstat()
            if changed.st_mode & 0o170000 != 0o040000:
                return {}
            known = self._known.get(directory)
            if known and known[0] == changed.st_mtime_ns:
                return known[1]
            found = {e.name: Path(e.path) for e in os.scandir(directory) if not e.is_symlink()}
        except OSError:
            return {}  # vanished, or unreadable; the next scan tries again
        tick = _TICK_NS if changed.st_mtime_ns % 10**9 else _COARSE_TICK_NS
        if time.time_ns() - changed.st_mtime_ns > tick:
            self._known[directory] = changed.st_mtime_ns, found
        else:
            self._known.pop(directory, None)
        return found


def walk(directory: Path, prefix: str) -> list[tuple[str, Path]]:
    """All files below a directory: (name inside the item, path). No link is followed.

    A directory that we may not read is returned itself, in place of its files.
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
    """The directories that we may not read among the paths that `walk` returned."""
    return tuple(path for _, path in found if path.is_dir() and not is_open(path))


def file_at(name: str, path: Path) -> SourceFile | None:
    """The file at `path`; None if it vanished or is not a regular file.

    A link is not followed, because it may lead out of the agent's directory.
    """
    try:
        found = path.lstat()
    except OSError:
        return None
    if found.st_mode & 0o170000 != 0o100000:
        return None
    return SourceFile(name, path, Stat.of(found))


def file_behind(name: str, path: Path) -> SourceFile | None:
    """The file at `path`, also if `path` is a link to it; None if there is no regular file.

    The result has the path of the file itself, so that it is opened without following a link.
    """
    if not path.is_symlink():
        return file_at(name, path)
    try:
        return file_at(name, path.resolve(strict=True))
    except (OSError, RuntimeError):
        return None  # it leads nowhere, or back to itself
