"""The daemon starts again when its program was replaced by one that starts, and not before."""

import os
from itertools import count
from pathlib import Path

import pytest

from karma_sync.daemon.renewal import Renewal
from karma_sync.runtime.installation import Installation

_SECONDS = 60


class Program:
    """A program on disk and a daemon that runs it; `starts` is whether what is there can start."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.file = root / "main.py"
        self.starts = True
        self.tried = 0
        self._now = 0.0
        self._versions = count(1)
        self.install()
        self.renewal = Renewal(Installation(root), self._start, lambda: self._now)

    def install(self) -> None:
        """Put another version in place."""
        version = next(self._versions)
        self.file.write_text(f"version = {version}\n")
        os.utime(self.file, ns=(version, version))  # two may be written in one tick of the clock

    def renewed_within(self, seconds: int = _SECONDS) -> bool:
        """Whether the daemon is to start again at some look within this time."""
        for _ in range(seconds * 5):
            self._now += 0.2
            if self.renewal.is_due():
                return True
        return False

    def _start(self) -> bool:
        self.tried += 1
        return self.starts


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "site-packages" / "karma_sync")


def test_a_program_that_is_not_replaced_runs_on(program: Program) -> None:
    assert not program.renewed_within()
    assert program.tried == 0


def test_a_program_that_is_replaced_is_started_again_soon(program: Program) -> None:
    program.install()

    assert program.renewed_within(15)


def test_an_installer_that_still_writes_is_waited_for(program: Program) -> None:
    for _ in range(20):
        program.install()
        assert not program.renewed_within(1)
    assert program.tried == 0
    assert program.renewed_within(15)


def test_a_program_that_cannot_start_does_not_replace_one_that_runs(program: Program) -> None:
    program.starts = False
    program.install()

    assert not program.renewed_within()
    assert program.tried == 1  # it is not tried again while nothing changes
    program.starts = True
    program.install()
    assert program.renewed_within(15)


def test_a_program_that_comes_back_as_it_was_runs_on(program: Program) -> None:
    content, before = program.file.read_bytes(), program.file.stat()
    program.starts = False
    program.install()
    assert not program.renewed_within()
    program.starts = True
    program.file.write_bytes(content)
    os.utime(program.file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert not program.renewed_within()


def test_a_program_that_somebody_works_on_in_a_checkout_runs_on(tmp_path: Path) -> None:
    program = Program(tmp_path / "src" / "karma_sync")
    program.install()

    assert not program.renewed_within()
