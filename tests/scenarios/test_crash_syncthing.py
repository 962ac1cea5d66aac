"""A Syncthing that is killed while much is written, or that dies at every start."""

import json
import os
import random
import signal
import stat
from pathlib import Path

import pytest

from tests.support.harness import Member, until
from tests.support.sound import assert_sound, until_same
from tests.support.town import Town, found_team, share

pytestmark = pytest.mark.daemon
_KILLS = 6
_TRIES = 3  # to start it again: then the daemon waits for seconds, and others ask meanwhile
_HANGS_S = 200.0  # requests wait for 30 s, and are tried twice
_DYING = """#!/bin/sh
if [ -e '{broken}' ] && [ "$1" = serve ]; then
    echo 'ERROR: the disk of this machine is on fire'
    exit 3
fi
exec '{real}' "$@"
"""


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """Two members that share `repo`; the Syncthing of A can be broken."""
    a, b = town.member("alice"), town.member("bob").up()
    real = Path(a.environ["KARMA_SYNC_SYNCTHING"])
    wrapper = a.folder / "syncthing"
    wrapper.write_text(_DYING.format(broken=_broken(a), real=real))
    wrapper.chmod(stat.S_IRWXU)
    a.environ["KARMA_SYNC_SYNCTHING"] = str(wrapper)
    a.up()
    found_team(a, b)
    share(a, b)
    return a, b


def test_syncthings_that_are_killed_while_much_is_written_lose_nothing(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    seed = random.SystemRandom().randrange(10**9)
    chance = random.Random(seed)  # noqa: S311 - for a test
    print(f"seed {seed}")
    sessions = [a.write_session("one"), a.write_session("two"), b.write_session("three")]
    for number in range(_KILLS):
        member = chance.choice([a, b])
        known = member.syncthing_pid
        os.kill(known, signal.SIGKILL)
        while _syncthing_pid(member) in {known, None}:
            for session in sessions:
                session.append(f"{number} {'x' * chance.randrange(50_000)}")
        sessions.append(chance.choice([a, b]).write_session(f"after kill {number}"))
    for session in sessions:
        author, reader = (a, b) if session.path.is_relative_to(a.claude) else (b, a)
        until_same(reader, author, session)

    assert_sound(a)
    assert_sound(b)


def test_a_syncthing_that_dies_again_and_again_is_told_of_until_it_lives(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    known = a.write_session("before")
    b.until_readable(known)
    told = len(_events(a))
    _broken(a).touch()
    os.kill(a.syncthing_pid, signal.SIGKILL)
    until(lambda: a.paths.log.read_text().count("on fire") > _TRIES, "the reason in A's log")
    known.append("while it dies again and again")
    a.until_readable(known)  # what needs no Syncthing goes on

    said = a.json("status")
    assert said["daemon"]
    assert [peer["connected"] for peer in said["peers"]] == [False]
    assert said["last_error"]["subject"] == "Syncthing"
    assert "on fire" in said["last_error"]["payload"]
    check = a.run("status", "--check", check=False)
    assert check.code == 7
    assert "Syncthing" in check.err

    _broken(a).unlink()
    b.until_readable(known)
    until(lambda: a.run("status", "--check", check=False).code == 0, "nothing to be stuck")
    of_syncthing = [e for e in _events(a)[told:] if e["subject"] == "Syncthing"]
    assert [e["type"] for e in of_syncthing] == ["fault", "fault", "fault over"], of_syncthing
    assert "it ended with code -9" in of_syncthing[0]["payload"]
    assert of_syncthing[1]["payload"].count("on fire") == 1


@pytest.mark.slow  # what waits are the requests that are not answered
def test_a_syncthing_that_hangs_is_told_of_until_it_answers(pair: tuple[Member, Member]) -> None:
    a, b = pair
    known = a.write_session("before it hangs")
    b.until_readable(known)
    told = len(_events(a))
    hung = a.syncthing_pid
    os.kill(hung, signal.SIGSTOP)
    try:
        a.run("pause", "--for", "1s")  # the daemon has something to ask
        said = until(lambda: a.json("status")["faults"], "the fault", timeout=_HANGS_S)
        assert said == {"Syncthing": "it does not answer"}
        assert [peer["connected"] for peer in a.json("status")["peers"]] == [False]
        assert a.run("status", "--check", check=False).code == 7
        known.append("while it hangs")
        a.until_readable(known)  # what needs no Syncthing goes on
    finally:
        os.kill(hung, signal.SIGCONT)
    b.until_readable(known)
    until(lambda: a.run("status", "--check", check=False).code == 0, "nothing to be stuck")
    assert a.syncthing_pid == hung
    of_syncthing = [e for e in _events(a)[told:] if e["subject"] == "Syncthing"]
    assert [e["type"] for e in of_syncthing] == ["fault", "fault over"], of_syncthing


def test_up_says_why_syncthing_does_not_start_and_leaves_nothing_running(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    a.down()
    _broken(a).touch()
    for options in (("-d",), ()):
        failed = a.run("up", *options, check=False)

        assert failed.code == 4
        assert "Syncthing ended with code 3 while starting" in failed.err
        assert "on fire" in failed.err
        assert "  try: see " in failed.err
        assert not a.processes()
    assert "the daemon is not running" in a.run("status").out

    _broken(a).unlink()
    a.up()
    until_same(b, a, a.write_session("afterwards"))


def _events(member: Member) -> list[dict[str, str]]:
    return [json.loads(line) for line in member.run("events", "--json").lines]


def _syncthing_pid(member: Member) -> int | None:
    try:
        return member.syncthing_pid
    except FileNotFoundError:
        return None  # taken away before the next start


def _broken(member: Member) -> Path:
    """While this file is there, the member's Syncthing dies as it starts."""
    return member.folder / "broken"
