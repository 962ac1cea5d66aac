"""Whether a daemon runs on this home: a lock that dies with it, and what it says of itself."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from karma_sync.errors import AlreadyRunning
from karma_sync.files import PRIVATE_FILE, TEMPORARY, write_private
from karma_sync.paths import Paths


@dataclass(frozen=True)
class Running:
    """A daemon that is up: its process id, since when (UTC), and Syncthing's version."""

    pid: int
    since: datetime
    syncthing: str


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """Hold this home's lock; what a killed process left half-written is removed.

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
    """Let other processes know that we are up, and on which Syncthing."""
    running = {"pid": os.getpid(), "since": since.isoformat(), "syncthing": syncthing}
    write_private(paths.running, json.dumps(running).encode())
    try:
        yield
    finally:
        paths.running.unlink(missing_ok=True)


def running(paths: Paths) -> Running | None:
    """The daemon that is up on this home; None if none is, whatever an earlier one left."""
    if not is_held(paths):
        return None
    try:
        said = json.loads(paths.running.read_text(encoding="utf-8"))
        return Running(said["pid"], datetime.fromisoformat(said["since"]), said["syncthing"])
    except (OSError, ValueError, KeyError):
        return None  # starting, or stopping


def _sweep(paths: Paths) -> None:
    """Remove temporary files whose writer is gone; a command may be writing one just now."""
    import psutil

    for root in {paths.config, paths.data, paths.state}:
        for leftover in root.rglob(f"{TEMPORARY}*"):
            pid, _, _ = leftover.name.removeprefix(TEMPORARY).partition("-")
            # our own number too: in a container every daemon may have the same
            if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
                leftover.unlink(missing_ok=True)


def is_held(paths: Paths) -> bool:
    """Whether a process holds this home: a daemon that is up, is starting, or is stopping."""
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
