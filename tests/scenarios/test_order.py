"""In any order, with anybody away: who comes late gets everything all the same."""

from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from karma_sync.agents import read_ahead
from tests.support.harness import Member, until
from tests.support.town import Town, up

pytestmark = pytest.mark.daemon


@dataclass(frozen=True)
class Pair:
    a: Member
    b: Member


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    """Two members who share a project."""
    a, b = town.pair()
    return Pair(a, b)


def test_b_may_pair_and_accept_before_a_has_a_team_or_a_daemon(town: Town) -> None:
    a, b = town.member("anna"), town.member("bert")
    session = a.write_session("early")
    b.up()
    b.run("pair", a.code)
    accepting = b.start("accept", "repo", "--yes", "--wait")
    a.up()
    a.run("team", "create", "early")
    a.run("team", "add", b.code)
    a.run("project", "share", ".", "--yes")

    said = b.finish(accepting)

    assert said.code == 0, said
    assert f"Readable: {session.id[:8]} by anna.box: " in said.out
    b.until_readable(session)


def test_commands_given_while_the_daemon_is_down_take_effect_once_it_is_up(town: Town) -> None:
    a, b = town.member("cora"), town.member("dirk")
    session = a.write_session("on paper")
    for text in (
        a.run("team", "create", "paper").out,
        a.run("team", "add", b.code).out,
        a.run("project", "share", ".", "--yes").out,
        b.run("pair", a.code).out,
    ):
        assert "The daemon is not running: this takes effect once it runs" in text
    up(a, b)

    accepted = b.run("accept", "repo", "--yes", "--wait")

    assert f"Readable: {session.id[:8]} by " in accepted.out


def test_what_a_writes_while_b_is_off_arrives_when_b_is_back(pair: Pair) -> None:
    known, other = pair.a.write_session("first"), pair.a.write_session("second")
    pair.b.until_readable(known, other)
    pair.b.down()
    new = pair.a.write_session("written while B was off")
    known.append("and more")
    other.append("and more", "and still more")
    pair.a.until_readable(new, known, other)
    pair.b.up()

    pair.b.until_readable(new, known, other)


def test_what_the_agent_writes_while_as_daemon_is_off_arrives_when_it_is_back(pair: Pair) -> None:
    known = pair.a.write_session("first")
    pair.b.until_readable(known)
    pair.a.down()
    new = pair.a.write_session("written while A was off")
    known.append("and more")
    pair.a.up()

    pair.b.until_readable(new, known)


def test_both_restarted_while_both_wrote(pair: Pair) -> None:
    pair.a.down()
    pair.b.down()
    by_a, by_b = pair.a.write_session("A's"), pair.b.write_session("B's")
    up(pair.a, pair.b)

    pair.b.until_readable(by_a)
    pair.a.until_readable(by_b)


def test_a_restart_sends_and_signs_nothing_anew(pair: Pair) -> None:
    session = pair.a.write_session("stays as it is")
    pair.b.until_readable(session)
    before = _revisions(pair.b)
    pair.a.down()
    pair.a.up()
    late = pair.a.write_session("after the restart")
    pair.b.until_readable(late)

    after = _revisions(pair.b)
    assert {i: r for i, r in after.items() if i in before} == before


def _revisions(member: Member) -> dict[str, int]:
    return {s["id"]: s["revision"] for s in member.sessions()}


def test_a_history_that_appears_while_as_daemon_is_off_is_read_ahead_and_sent_whole(
    pair: Pair,
) -> None:
    pair.a.down()
    said = "much to tell " * 20_000
    history = [pair.a.write_session(*(f"{n}, {m}: {said}" for m in range(8))) for n in range(26)]
    begun = pair.a.start("up", "-d")  # it may return after the other process has read all

    until(lambda: reading_ahead(pair.a), "another process reads")
    assert pair.a.finish(begun).code == 0
    pair.b.until_readable(*history)
    until(lambda: not reading_ahead(pair.a), "the other process to end")


def reading_ahead(member: Member) -> list[psutil.Process]:
    """The processes of a member's daemon that read ahead."""
    found = []
    for process in member.processes():
        with suppress(psutil.NoSuchProcess):
            found += [process] if read_ahead.__name__ in process.cmdline() else []
    return found
