"""Tells how many directories this process watches with inotify, and how to allow more.

watchdog passes over directories below the first for which Linux refuses a watch, without an error.
So what it holds is counted and compared with what there is.
"""

import errno
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from karma_sync.files import is_open

_INSTANCES, _WATCHES = "max_user_instances", "max_user_watches"
_ENOUGH = {_INSTANCES: 512, _WATCHES: 524_288}


def instances() -> frozenset[str]:
    """The inotify instances of this process, by file descriptor; none where there is no inotify."""
    found = set()
    for number in _names("/proc/self/fd"):
        try:
            if str(Path(f"/proc/self/fd/{number}").readlink()) == "anon_inode:inotify":
                found.add(number)
        except OSError:
            continue  # closed meanwhile
    return frozenset(found)


@contextmanager
def collect_opened(own: set[str]) -> Iterator[None]:
    """Add to `own` the instances that the block opens; those of other watchers are not counted."""
    before = instances()
    try:
        yield
    finally:
        own |= instances() - before


def held(numbers: Collection[str]) -> int:
    """The number of directories that these instances watch."""
    count = 0
    for number in numbers:
        try:
            count += Path(f"/proc/self/fdinfo/{number}").read_text("ascii").count("inotify wd:")
        except OSError:
            continue  # closed meanwhile
    return count


def directories(trees: Iterable[str], single: Iterable[str]) -> int:
    """The number of directories that can be watched: in trees, which follow no link, and single."""
    found = set()
    for place in single:
        found |= _identity(place)
    for tree in trees:
        for where, _, _ in os.walk(tree):
            found |= _identity(where)
    return len(found)


def remedy(error: OSError) -> str:
    """Name the limit that is used up and the command that raises it; other errors as they are."""
    if error.errno not in {errno.ENOSPC, errno.EMFILE}:
        return str(error)
    is_watches = error.errno == errno.ENOSPC
    what, name = ("watches", _WATCHES) if is_watches else ("instances", _INSTANCES)
    try:
        now = int(Path(f"/proc/sys/fs/inotify/{name}").read_text("ascii"))
    except (OSError, ValueError):
        now = 0
    most = max(_ENOUGH[name], 2 * now)
    command = f"sudo sysctl fs.inotify.{name}={most}"
    return f"your user's inotify {what} are used up; to allow more: {command}"


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208  only the names are needed
    except OSError:
        return []


def _identity(place: str) -> set[tuple[int, int]]:
    """Device and inode of a directory that we may watch; empty if it is gone or closed to us."""
    try:
        found = Path(place).stat()
    except OSError:
        return set()
    return {(found.st_dev, found.st_ino)} if is_open(Path(place)) else set()
