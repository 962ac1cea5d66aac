"""Writes private files durably: after a crash, a file has its old content or its new content."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync.errors import NotWritable

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

PRIVATE_DIR = 0o700

PRIVATE_FILE = 0o600

# How names begin of files that are not whole yet. They end in another way than whole ones, so that
# no allow-list lets Syncthing take them.
TEMPORARY = ".tmp-"


def require_writable(path: Path) -> None:
    """Raises NotWritable for a file that is there and that we may not change."""
    if path.exists() and not os.access(path, os.W_OK):
        raise NotWritable(f"{path} cannot be written", hint=f"chmod 600 {path}")


def private_dir(path: Path) -> Path:
    """Make `path` a directory with mode 0700, its missing parents with the same mode."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for each in reversed(missing):
            each.mkdir(mode=PRIVATE_DIR, exist_ok=True)
        mode = path.stat().st_mode
    if mode & 0o777 != PRIVATE_DIR:
        path.chmod(PRIVATE_DIR)
    return path


def write_private(path: Path, data: bytes, mtime_ns: int | None = None) -> None:
    """Replace `path` by `data` durably and at once: mode 0600, fsynced, then renamed.

    With `mtime_ns` the file appears with that modification time (Unix nanoseconds).
    """
    put_in_place([stage_private(path, data, mtime_ns)])


@dataclass(frozen=True)
class Staged:
    """A file that is written in full beside its place; `put_in_place` takes it there."""

    temporary: Path
    path: Path

    def discard(self) -> None:
        """Leave no trace of it."""
        self.temporary.unlink(missing_ok=True)


def stage_private(path: Path, data: bytes, mtime_ns: int | None = None) -> Staged:
    """Write what `path` is to be replaced by (see `write_private`); not durable yet."""
    staged = _staged(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(staged.temporary, flags, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
        if mtime_ns is not None:
            os.utime(staged.temporary, ns=(mtime_ns, mtime_ns))
    except BaseException:
        staged.discard()
        raise
    return staged


def stage_link(path: Path, source: Path) -> Staged:
    """As `stage_private`, with another name of `source` instead of a new file.

    Raises:
        OSError: `source` is not there, or the file system does not let it have another name.
    """
    staged = _staged(path)
    staged.discard()  # a crash may have left one
    os.link(source, staged.temporary, follow_symlinks=False)
    return staged


def _staged(path: Path) -> Staged:
    return Staged(path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}.part"), path)


def put_in_place(*steps: Sequence[Staged]) -> None:
    """Make these files durable, then rename them, step by step: each is durable before the next.

    What is not in its place when something fails is discarded. They are fsynced side by side: a
    file system writes its journal once for all that wait for it.
    """
    staged = [each for step in steps for each in step]
    try:
        _side_by_side(_fsync, [each.temporary for each in staged])
        for step in steps:
            for each in step:
                each.temporary.replace(each.path)
            fsync_dirs({each.path.parent for each in step})
    except BaseException:
        for each in staged:
            each.discard()
        raise


def _side_by_side(do: Callable[[Path], None], paths: Sequence[Path]) -> None:
    if len(paths) <= 1:
        for path in paths:
            do(path)
        return
    from concurrent.futures import wait

    waiting = [_syncing().submit(do, path) for path in paths]
    wait(waiting)
    for each in waiting:
        each.result()


@cache
def _syncing() -> "ThreadPoolExecutor":
    """Threads that wait for the disk, kept: to start them for each batch took longer than it."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(4, "fsync")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_dirs(paths: Iterable[Path]) -> None:
    """Make renames inside all of these survive a power cut."""
    _side_by_side(_fsync_dir, sorted(paths))


def _fsync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_open(directory: Path) -> bool:
    """Whether it is there, and we may list and enter it."""
    return os.access(directory, os.R_OK | os.X_OK)


def is_readable(path: Path) -> bool:
    """Whether a file can be read, or a directory is open to us."""
    return is_open(path) if path.is_dir() else os.access(path, os.R_OK)
