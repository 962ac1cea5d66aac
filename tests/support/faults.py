"""Faults of a disk, made for real; a test that cannot make one skips, and gives the reason."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.forks import Forks
from tests.support.harness import Member, forks


@contextmanager
def immutable(*directories: Path) -> Iterator[None]:
    """As long as it lasts, nothing can be made, changed or deleted in these, not even by root."""
    for each in directories:
        _or_skip("chattr", "+i", str(each))
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *map(str, directories)], check=True)


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own at `place`, a directory that is made."""
    place.mkdir(parents=True, mode=0o700)
    options = f"size={megabytes}m,mode=0700"
    _or_skip("mount", "-t", "tmpfs", "-o", options, "karma-sync-test", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Use up the space of a disk but for about `leave` bytes; the file that does."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as out:
        os.posix_fallocate(out.fileno(), 0, shutil.disk_usage(disk).free - leave)
    return filler


class Unprivileged(Member):
    """A member for whom permissions hold, also where root runs the tests."""

    @property
    def needs_processes(self) -> bool:
        return True

    @property
    def forks(self) -> Forks:
        return forks(*without_privileges())

    def command(self, args: Sequence[str]) -> list[str]:
        return [*without_privileges(), *super().command(args)]


class WithoutInotify(Member):
    """A member whose user may watch no directory: inotify instances are used up."""

    @property
    def needs_processes(self) -> bool:
        return True

    @property
    def forks(self) -> None:
        return None

    def command(self, args: Sequence[str]) -> list[str]:
        plain = super().command(args)
        if args[:1] != ("up",):
            return plain
        # a user namespace of its own has limits of its own, and its root may set them
        limit = "echo 0 > /proc/sys/user/max_inotify_instances"
        if subprocess.run(["unshare", "-Ur", "sh", "-c", limit], check=False).returncode:
            pytest.skip("this system gives no user namespace")
        return ["unshare", "-Ur", "sh", "-c", f'{limit}; exec "$@"', "sh", *plain]


def without_privileges() -> list[str]:
    """The words before a command that make a file without permissions closed to it."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root, and no setpriv to give up root's privileges")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def _or_skip(program: str, *args: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not here")
    done = subprocess.run([found, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{program} does not work here: {done.stderr.strip()}")
