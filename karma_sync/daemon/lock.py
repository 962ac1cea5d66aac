"""Tells whether a daemon runs on a home: a lock that ends with its process, and daemon.json."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from karma_sync.errors import AlreadyRunning
from karma_sync.files import PRIVATE_FILE, TEMPORARY, write_private
from karma_sync.paths import Paths

_CLOCK_S = 2.0  # between the system's time of a start of a process and a file's time


@dataclass(frozen=True)
class Running:
    """A daemon that is up: its process ID, when it started (UTC), and Syncthing's version."""

    pid: int
    since: datetime
    syncthing: str


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """Hold this home's lock, and delete the temporary files of killed processes.

    Raises:
        AlreadyRunning: another process holds it.
    """
    paths.create()
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        if not _lock(descriptor):
            raise AlreadyRunning(
                f"a karma-sync daemon is running on {paths.data} already",
                hint="karma-sync status, or karma-sync down",
            )
        _sweep(paths)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def announced(paths: Paths, since: datetime, syncthing: str) -> Iterator[None]:
    """Publish in daemon.json that this process is up, and on which Syncthing."""
    running = {"pid": os.getpid(), "since": since.isoformat(), "syncthing": syncthing}
    write_private(paths.running, json.dumps(running).encode())
    try:
        yield
    finally:
        paths.running.unlink(missing_ok=True)


def running(paths: Paths) -> Running | None:
    """The daemon that is up on this home, else None; a file left by a killed one does not count."""
    if not is_held(paths):
        return None
    try:
        found = json.loads(paths.running.read_text(encoding="utf-8"))
        return Running(found["pid"], datetime.fromisoformat(found["since"]), found["syncthing"])
    except (OSError, ValueError, KeyError):
        return None  # it is starting or stopping


def _sweep(paths: Paths) -> None:
    """Delete temporary files whose writer is gone; a running command may be writing others."""
    for root in {paths.config, paths.data, paths.state}:
        for leftover in root.rglob(f"{TEMPORARY}*"):
            pid, _, _ = leftover.name.removeprefix(TEMPORARY).partition("-")
            if pid.isdecimal() and not _may_write(int(pid), leftover):
                leftover.unlink(missing_ok=True)


def _may_write(pid: int, file: Path) -> bool:
    """Whether the process with this number may be writing a temporary file.

    The system gives the number of a process that ended to a later one.
    """
    import psutil

    if pid == os.getpid():  # in a container every daemon may have the same number
        return False
    try:
        process = psutil.Process(pid)
        is_older = process.create_time() <= _changed_s(file) + _CLOCK_S
        return is_older and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return True


def _changed_s(file: Path) -> float:
    """The time at which a file last changed in any way; its time of modification may be set."""
    return file.lstat().st_ctime


def is_held(paths: Paths) -> bool:
    """Whether a process holds the lock: a daemon that is up, is starting or is stopping."""
    try:
        descriptor = os.open(paths.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
