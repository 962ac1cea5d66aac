"""A machine that sleeps, and a clock that jumps: connected and current at once, without a burst."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.crashwalk import start
from tests.support.harness import COMMAND_S, Member, until
from tests.support.sound import assert_sound, until_same
from tests.support.town import Town

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(sys.platform != "linux", reason="libfaketime is loaded as on Linux"),
]
_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_CYCLE_S = 4
_MOST_CYCLES = 8  # for what came, for each peer, for receipts; 8 hours of missed ones are 7,200


class Machine:
    """A member whose daemon and Syncthing can be put to sleep; the daemon's clock can be set.

    Syncthing's cannot: programs written in Go ask the kernel without libc.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        self._clock = member.folder / "clock"
        self._asked = member.folder / "asked"
        self._asked.touch()
        self.set_clock(0)
        self._process = start(
            member,
            KARMA_CRASH_ASKED=str(self._asked),
            KARMA_CRASH_CYCLE_S=str(_CYCLE_S),
            LD_PRELOAD=str(_FAKETIME[0]),
            FAKETIME_TIMESTAMP_FILE=str(self._clock),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            NO_FAKE_STAT="1",
        )

    def set_clock(self, hours: int) -> None:
        """Have the daemon's clock be so many hours ahead, at once."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"+{hours}h")
        new.replace(self._clock)

    def sleep(self, seconds: float) -> None:
        """Nothing of it runs for so long."""
        processes = [psutil.Process(pid) for pid in (self._process.pid, self.member.syncthing_pid)]
        for process in processes:
            process.suspend()
        time.sleep(seconds)
        for process in reversed(processes):
            process.resume()

    def cycles(self) -> int:
        """How many there were: each reads Syncthing's configuration."""
        return self._asked.read_text().count("GET /rest/config\n")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(COMMAND_S) == 0


@pytest.fixture(scope="module")
def pair(town: Town) -> Iterator[tuple[Machine, Member]]:
    """Two members that share `repo`; A can sleep."""
    if not _FAKETIME:
        pytest.skip("libfaketime is not installed")
    a, b = town.pair()
    a.down()
    machine = Machine(a)
    try:
        until_same(b, a, a.write_session("before"))
        yield machine, b
    finally:
        machine.stop()


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_after_a_sleep_and_eight_hours_on_the_clock_all_is_current_without_a_burst(
    pair: tuple[Machine, Member], seconds: int
) -> None:
    machine, b = pair
    a = machine.member
    mine, theirs = a.write_session("mine"), b.write_session("theirs")
    until_same(b, a, mine)
    until_same(a, b, theirs)
    until(lambda: _is_confirmed(a) and _is_confirmed(b), "all receipts")
    before = machine.cycles()
    machine.set_clock(8)
    mine.append("just before it slept")
    machine.sleep(seconds)
    theirs.append("while the other slept")
    woken = time.monotonic()
    b.until_readable(mine)
    a.until_readable(theirs)
    until(lambda: _connected(a) and _connected(b), "both connected")
    until(lambda: machine.cycles() > before, "a cycle")
    while (passed_s := time.monotonic() - woken) < _CYCLE_S:
        time.sleep(0.5)
    assert machine.cycles() - before <= _MOST_CYCLES + passed_s / _CYCLE_S
    assert_sound(b)


@pytest.mark.slow  # the timer has to be waited for
def test_a_clock_that_is_set_back_does_not_stop_the_timer(pair: tuple[Machine, Member]) -> None:
    machine, _ = pair
    machine.set_clock(8)
    _three_cycles(machine, "with the clock ahead")  # what else woke it is over by then
    machine.set_clock(0)
    _three_cycles(machine, "after the clock was set back")


def _three_cycles(machine: Machine, when: str) -> None:
    """Wait for as many as only the timer can wake while nothing happens."""
    before = machine.cycles()
    until(lambda: machine.cycles() > before + 2, f"three cycles {when}", 12 * _CYCLE_S)


def _connected(member: Member) -> bool:
    return all(peer["connected"] for peer in member.json("status")["peers"])


def _is_confirmed(member: Member) -> bool:
    (project,) = member.json("status")["projects"]
    return all(receiver["whole"] for receiver in project["receivers"].values())
