"""A daemon that is forked, and a command on a terminal, are what new processes would be."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.support.forks import Command, exit_code
from tests.support.harness import Member, forks
from tests.support.terminal import a_process, run_on_terminal
from tests.support.town import Town

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc"),
]
_SAME = ("SigBlk", "SigIgn", "Umask", "CapEff")


@pytest.fixture(scope="module")
def ann(town: Town) -> Member:
    return town.member("ann")


def seen(member: Member) -> dict[str, object]:
    """The system's view of a member's daemon, and of the Syncthing that it started."""
    place = Path(f"/proc/{member.daemon_pid}")
    status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines())
    opened = {int(fd.name): fd.readlink() for fd in (place / "fd").iterdir()}
    syncthing = psutil.Process(member.syncthing_pid)
    return {
        **{name: status[name] for name in _SAME},
        "leads a session": os.getsid(member.daemon_pid) == member.daemon_pid,
        "is a child of the tests": psutil.Process() in psutil.Process(member.daemon_pid).parents(),
        "directory": (place / "cwd").readlink(),
        "streams": [opened[number] for number in range(3)],
        "files": {path for path in opened.values() if str(path).startswith(str(member.folder))},
        "environment": syncthing.environ(),
        "parent": syncthing.ppid() == member.daemon_pid,
    }


def test_a_forked_daemon_is_as_up_makes_one(ann: Member) -> None:
    ann.up()
    forked = seen(ann)
    ann.down()
    ann.run("up", "-d")
    made = seen(ann)
    ann.down()

    assert forked == made


@pytest.mark.parametrize("typed", ["status", "frobnicate"])
def test_a_forked_command_says_the_same_on_a_terminal(ann: Member, typed: str) -> None:
    new = run_on_terminal(a_process(ann.command([typed]), ann.environ, ann.repo), [])
    forked = ann.on_terminal(typed, answers=[])

    assert (forked.code, forked.out) == new


def test_a_command_whose_streams_cannot_be_opened_fails_and_the_next_one_starts(
    ann: Member, tmp_path: Path
) -> None:
    found = forks()
    files = [str(tmp_path / name) for name in ("in", "out", "err", "code")]
    command = Command(["code"], ann.environ, str(ann.repo), *files)

    with pytest.raises(AssertionError, match="could not be started"):
        found.start(replace(command, output=str(tmp_path / "missing" / "out")))
    found.start(command)

    assert exit_code(Path(command.code)) == 0
    assert Path(command.output).read_text() == ann.run("code").out
