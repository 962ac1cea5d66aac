"""The daemon and its Syncthing live and die together, and come back."""

import os
import signal
import socket
import sys
import tomllib
from dataclasses import dataclass

import psutil
import pytest

from tests.support.faults import WithoutInotify
from tests.support.harness import Member, Result, until
from tests.support.town import Town

pytestmark = pytest.mark.daemon


@dataclass(frozen=True)
class Pair:
    a: Member
    b: Member


@dataclass(frozen=True)
class Stopped:
    """The results of two stops: their output, the processes left behind, and the log."""

    down: Result
    again: Result
    said: str
    foreground: Result
    left: list[int]
    logged: str


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    """Two members who share a project."""
    a, b = town.pair()
    return Pair(a, b)


def test_a_second_up_on_one_home_exits_6_with_a_hint(pair: Pair) -> None:
    for options in (("-d",), ()):
        again = pair.a.run("up", *options, check=False)

        assert again.code == 6
        assert "already" in again.err
        assert "try: karma-sync" in again.err


def test_a_second_up_leaves_the_first_one_alone(pair: Pair) -> None:
    before = pair.a.daemon_pid, pair.a.syncthing_pid
    pair.a.run("up", check=False)

    assert (pair.a.daemon_pid, pair.a.syncthing_pid) == before
    session = pair.a.write_session("still there")
    pair.b.until_readable(session)


def test_one_member_is_one_daemon_with_one_syncthing(pair: Pair) -> None:
    assert {p.pid for p in pair.a.processes()} == {pair.a.daemon_pid, pair.a.syncthing_pid}


def test_a_syncthing_that_was_killed_comes_back_by_itself(pair: Pair) -> None:
    known = pair.a.write_session("before")
    pair.b.until_readable(known)
    killed = pair.a.syncthing_pid
    os.kill(killed, signal.SIGKILL)
    known.append("meanwhile")
    pair.b.until_readable(known)

    assert pair.a.syncthing_pid != killed
    known.append("afterwards")
    pair.b.until_readable(known)


def test_a_receiver_whose_syncthing_was_killed_misses_nothing(pair: Pair) -> None:
    known = pair.a.write_session("before")
    pair.b.until_readable(known)
    os.kill(pair.b.syncthing_pid, signal.SIGKILL)
    known.append("meanwhile")
    new = pair.a.write_session("new, meanwhile")

    pair.b.until_readable(known, new)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_daemon_that_is_killed_takes_its_syncthing_with_it(pair: Pair) -> None:
    daemon, syncthing = pair.a.daemon_pid, pair.a.syncthing_pid
    pair.a.kill9()
    until(lambda: not psutil.pid_exists(daemon), "the daemon gone", 20)
    until(lambda: not psutil.pid_exists(syncthing), "its Syncthing gone", 30)

    assert "the daemon is not running" in pair.a.run("status").out
    for command in (["session", "list"], ["sub", "list", "--json"], ["events"]):
        told = pair.a.run(*command)
        assert "the daemon is not running" in told.err
        assert told.out, "what is known is shown all the same"
    pair.a.up()


def test_after_a_kill_up_works_at_once_and_appends_flow_again(pair: Pair) -> None:
    known = pair.a.write_session("before")
    pair.b.until_readable(known)
    pair.a.kill9()
    known.append("while nobody looked")
    pair.a.up()
    pair.b.until_readable(known)
    known.append("afterwards")

    pair.b.until_readable(known)


@pytest.fixture(scope="module")
def stopped(pair: Pair) -> Stopped:
    """B's daemon stopped by `down`, then run in the foreground and stopped by Ctrl-C."""
    b = pair.b
    pids, at = {b.daemon_pid, b.syncthing_pid}, len(b.paths.log.read_text())
    down = b.run("down")
    left = [pid for pid in pids if psutil.pid_exists(pid)] + [p.pid for p in b.processes()]
    logged = b.paths.log.read_text()[at:]
    process = b.start("up")
    assert process.stdout
    said = process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    foreground = b.finish(process)
    left += [p.pid for p in b.processes()]
    again = b.run("down")
    b.up()
    return Stopped(down, again, said, foreground, left, logged)


def test_down_says_so_and_a_second_down_that_there_is_none(stopped: Stopped) -> None:
    assert stopped.down.out == "bob.box is down.\n"
    assert stopped.again.out == "The daemon of bob.box is not running.\n"


def test_a_daemon_in_the_foreground_says_that_it_is_up_and_ends_on_ctrl_c(
    stopped: Stopped,
) -> None:
    assert stopped.foreground.code == 0
    assert stopped.said.startswith("bob.box is up, on Syncthing v")


def test_a_daemon_that_was_stopped_leaves_no_process(stopped: Stopped) -> None:
    assert stopped.left == []


def test_a_stop_writes_no_warning_into_the_log(stopped: Stopped) -> None:
    assert "WARNING" not in stopped.logged
    assert "WARNING" not in stopped.foreground.err


@pytest.mark.parametrize("holder", ["another program", "our own Syncthing, for its peers"])
def test_up_takes_another_rest_port_if_the_one_it_had_is_taken(town: Town, holder: str) -> None:
    member = town.member("anna" if holder == "another program" else "olga")
    with socket.create_server(("127.0.0.1", 0)) as other:
        own = int(tomllib.loads(member.paths.settings.read_text())["network"]["port"])
        taken = other.getsockname()[1] if holder == "another program" else own
        _set_rest_port(member, taken)
        member.up()

        assert member.gui()[0] != f"http://127.0.0.1:{taken}"
        assert member.rest("system/ping") == {"ping": "pong"}


def _set_rest_port(member: Member, port: int) -> None:
    """Have config.xml say, as it does after a first start, that this port was chosen."""
    path = member.paths.syncthing / "config.xml"
    address = member.gui()[0].removeprefix("http://")
    chosen = f"127.0.0.1:{port}</address><user>karma-sync</user>"
    path.write_text(path.read_text().replace(f"{address}</address>", chosen))


def test_a_daemon_that_may_watch_nothing_stays_up_and_says_so(town: Town) -> None:
    alone = town.member("alone", kind=WithoutInotify)
    alone.up()

    def faults() -> dict[str, str]:
        found: dict[str, str] = alone.json("status")["faults"]
        return found

    what = f"watching {alone.claude}"
    until(lambda: what in faults(), "the fault is shown")
    assert "sudo sysctl fs.inotify.max_user_instances=" in faults()[what]
    assert alone.run("status", "--check", check=False).code == 7
    assert psutil.pid_exists(alone.daemon_pid)
