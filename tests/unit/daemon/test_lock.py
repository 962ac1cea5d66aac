"""Taking the lock of a home deletes the temporary files of killed processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from karma_sync.daemon.lock import locked
from karma_sync.files import write_private
from karma_sync.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.inside(tmp_path / "home")
    found.create()
    return found


def _temporary(paths: Paths, pid: int) -> Path:
    path = paths.folders / f".tmp-{pid}-item.ks"
    path.write_bytes(b"half of")
    return path


def test_what_a_killed_process_left_half_written_is_removed(paths: Paths) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = [_temporary(paths, gone.pid), _temporary(paths, os.getpid())]
    with locked(paths):
        assert not any(path.exists() for path in left)


def test_what_a_command_is_writing_stays(paths: Paths) -> None:
    command = _temporary(paths, os.getppid())
    with locked(paths):
        assert command.exists()


def test_what_was_written_whole_stays(paths: Paths) -> None:
    write_private(paths.intent, b"whole")
    with locked(paths):
        assert paths.intent.read_bytes() == b"whole"
