"""Taking the lock of a home deletes the temporary files of killed processes."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from karma_sync.daemon import lock
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


def test_what_a_process_that_nobody_waited_for_left_is_removed(paths: Paths) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        left = _temporary(paths, ended.pid)
        with locked(paths):
            assert not left.exists()


def test_what_is_left_goes_although_a_later_process_has_the_same_number(paths: Paths) -> None:
    sleeping = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(sleeping, stdin=subprocess.PIPE) as writer:
        writing = _temporary(paths, writer.pid)
        older = writing.with_name(f".tmp-{writer.pid}-older.ks")
        older.write_bytes(b"half of")
        began = psutil.Process(writer.pid).create_time()
        changed_s = patch.object(lock, "_changed_s", lambda path: began - 60 * (path == older))
        with changed_s, locked(paths):
            assert (writing.exists(), older.exists()) == (True, False)


def test_what_a_command_is_writing_stays(paths: Paths) -> None:
    command = _temporary(paths, os.getppid())
    with locked(paths):
        assert command.exists()


def test_what_was_written_whole_stays(paths: Paths) -> None:
    write_private(paths.intent, b"whole")
    with locked(paths):
        assert paths.intent.read_bytes() == b"whole"
