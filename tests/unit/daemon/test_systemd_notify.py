"""The messages to systemd, through a real datagram socket, also from a real daemon."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from karma_sync.daemon.systemd_notify import Notifier
from tests.support.harness import COMMAND_S, WAIT_S
from tests.support.town import Town

MICROSECONDS = 10**6


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that systemd would read; its file is named `notify`."""
    monkeypatch.chdir(tmp_path)  # a socket's path may have no more than 107 bytes
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("notify")
        bound.settimeout(WAIT_S)
        yield bound


def told(inbox: socket.socket) -> str:
    """The next message to systemd."""
    return inbox.recv(4096).decode()


def is_empty(inbox: socket.socket) -> bool:
    """Whether no message waits; on one machine a datagram arrives when it is sent."""
    inbox.setblocking(False)
    try:
        inbox.recv(4096)
    except BlockingIOError:
        return True
    return False


def test_ready_and_stopping_are_told(inbox: socket.socket) -> None:
    notifier = Notifier("notify")

    notifier.ready("Syncthing v1.29.5")
    notifier.stopping()

    assert told(inbox) == "READY=1\nSTATUS=Syncthing v1.29.5"
    assert told(inbox) == "STOPPING=1"


def test_the_program_that_goes_on_in_this_process_gets_the_variables_back() -> None:
    given = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "60000000", "PATH": "/bin"}
    environ = dict(given)
    notifier = Notifier.take(environ)

    assert environ == {"PATH": "/bin"}
    notifier.give_back(environ)
    assert environ == given


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract addresses")
def test_an_abstract_address_is_understood() -> None:
    name = f"karma-sync-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0{name}")
        bound.settimeout(WAIT_S)

        Notifier(f"@{name}").stopping()

        assert told(bound) == "STOPPING=1"


def test_the_first_sign_of_life_is_given_on_a_machine_that_has_just_started(
    inbox: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1.0)

    Notifier("notify", watchdog_s=3600).alive()

    assert told(inbox) == "WATCHDOG=1"


def test_a_sign_of_life_is_given_when_due_and_at_once_before_long_work(
    inbox: socket.socket,
) -> None:
    notifier = Notifier("notify", watchdog_s=3600)

    notifier.alive()
    assert told(inbox) == "WATCHDOG=1"

    notifier.alive()
    assert is_empty(inbox)

    notifier.alive(at_once=True)
    assert told(inbox) == "WATCHDOG=1"


def test_without_a_watchdog_no_sign_of_life_is_given(inbox: socket.socket) -> None:
    notifier = Notifier("notify")

    notifier.alive()
    notifier.alive(at_once=True)

    assert is_empty(inbox)


def test_what_systemd_said_is_not_handed_on_to_children(inbox: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())}
    environ["HOME"] = "/"

    Notifier.take(environ).alive()

    assert environ == {"HOME": "/"}
    assert told(inbox) == "WATCHDOG=1"


def test_a_watchdog_of_another_process_is_not_ours(inbox: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}

    Notifier.take(environ).alive(at_once=True)

    assert is_empty(inbox)


def test_without_systemd_nobody_is_told_and_nothing_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notifier = Notifier.take({})

    notifier.ready("")
    notifier.alive(at_once=True)

    assert caplog.messages == []


def test_a_systemd_that_went_away_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(str(tmp_path / "gone")).ready("")

    assert "could not be sent to systemd" in caplog.text


@pytest.mark.daemon
def test_a_daemon_tells_systemd_that_it_is_ready_alive_and_stopping(
    town: Town, inbox: socket.socket, tmp_path: Path
) -> None:
    member = town.member("nora")
    member.environ |= {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": str(MICROSECONDS // 2),
    }
    daemon = member.start("up")

    assert told(inbox).startswith("READY=1\nSTATUS=Syncthing v")
    assert [told(inbox), told(inbox)] == ["WATCHDOG=1", "WATCHDOG=1"]
    assert "NOTIFY_SOCKET" not in psutil.Process(member.syncthing_pid).environ()

    daemon.send_signal(signal.SIGTERM)
    heard = told(inbox)
    while heard == "WATCHDOG=1":
        heard = told(inbox)
    assert heard == "STOPPING=1"
    daemon.communicate(timeout=COMMAND_S)
    assert daemon.returncode == 0
