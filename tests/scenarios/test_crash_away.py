"""Daemons and Syncthings that come and go in any order, and a member that is away for long."""

import os
import signal
from functools import partial

import pytest

from karma_sync.daemon.lock import is_held
from tests.support.harness import Member, until
from tests.support.sound import assert_sound, until_same
from tests.support.town import Town

pytestmark = pytest.mark.daemon
_MANY = 200


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """Two members that share `repo`, in both directions."""
    a, b = town.pair()
    return a, b


@pytest.mark.parametrize(
    "order",
    [
        pytest.param("down a, down b, up a, up b", marks=pytest.mark.slow),
        pytest.param("down a, down b, up b, up a", marks=pytest.mark.slow),
        "down b, kill a, up b, up a",
        "syncthing a, syncthing b, down a, syncthing b, up a",
        "kill a, up a, kill b, up b, syncthing b, syncthing a",
    ],
)
def test_after_restarts_in_any_order_everybody_has_everything(
    pair: tuple[Member, Member], order: str
) -> None:
    members = dict(zip("ab", pair, strict=True))
    sessions = {member: member.write_session(order) for member in pair}
    for step in order.split(", "):
        what, _, who = step.partition(" ")
        _do(what, members[who])
        for session in sessions.values():
            session.append(f"after {step}")
    a, b = pair
    until_same(b, a, sessions[a])
    until_same(a, b, sessions[b])

    for member, other in ((a, b), (b, a)):
        assert_sound(member)
        until(partial(_sees, member, other), f"{member.tag} to say so")
        assert member.run("status", "--check").code == 0


def test_a_member_that_was_away_gets_all_that_came_meanwhile(pair: tuple[Member, Member]) -> None:
    a, b = pair
    b.down()
    sessions = [a.write_session(f"while B is away, {n}") for n in range(_MANY)]
    a.until_readable(*sessions)
    until(lambda: not _sees(a, b), "A to say that B is away")
    waiting = a.json("status")["projects"][0]
    sent = waiting["sent"]
    assert sent >= _MANY
    assert waiting["receivers"][b.tag]["items"] <= sent - _MANY
    assert not waiting["receivers"][b.tag]["whole"]
    assert a.run("status", "--check").code == 0

    b.up()
    until_same(b, a, *sessions)
    until(lambda: a.json("status")["projects"][0]["receivers"][b.tag]["whole"], "B's receipt")
    assert b.json("status")["projects"][0]["received"] == {a.tag: sent}
    assert_sound(b)


def _do(what: str, member: Member) -> None:
    """One step; what `status` says of a daemon that is gone must be so."""
    if what == "up":
        member.up()
        return
    if what == "syncthing":
        os.kill(member.syncthing_pid, signal.SIGKILL)
        return
    if what == "down":
        member.down()
    else:
        member.kill9()
        until(lambda: _is_gone(member), f"{member.tag} and its Syncthing to be gone")
    stuck = member.run("status", "--check", check=False)
    assert stuck.code == 7
    assert "the daemon is not running" in stuck.out
    said = member.json("status")
    assert said["daemon"] is None
    assert [peer["connected"] for peer in said["peers"]] == [False]


def _is_gone(member: Member) -> bool:
    """Whether nothing runs; a dying process holds its lock a moment longer than its memory."""
    return not member.processes() and not is_held(member.paths)


def _sees(member: Member, other: Member) -> bool:
    """Whether `member` says that `other` is connected."""
    peers = {peer["tag"]: peer["connected"] for peer in member.json("status")["peers"]}
    return bool(peers[other.tag])
