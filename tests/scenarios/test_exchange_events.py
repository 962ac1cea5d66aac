"""Each session that leaves or arrives for the first time is told in `events`, once."""

import json
from collections.abc import Iterator

from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


def told(player: Player, *kinds: str) -> list[tuple[str, str, str]]:
    """Type, subject and payload of the events of these types, oldest first."""
    types = [each for kind in kinds for each in ("--type", kind)]
    lines: Iterator[str] = iter(player.member.run("events", "--json", *types).out.splitlines())
    found = [json.loads(line) for line in lines]
    return [(each["type"], each["subject"], each["payload"]) for each in found]


def test_a_session_is_packaged_and_received_once_however_often_it_grows(here: MemoryTown) -> None:
    a, b, _ = team_of(here, "alice", "bob", "carol")
    what = "1 new item of example.org/acme/repo in backend"
    session = a.member.write_session("hello")
    here.settle()
    session.append("more")
    here.settle()
    assert b.member.holds(session)

    assert told(a, "packaged", "received") == [("packaged", a.me.tag, what)]
    assert told(b, "packaged", "received") == [("received", a.me.tag, what)]
    a.member.kill()
    a.member.up()
    a.member.write_session("another")
    here.settle()
    assert told(a, "packaged") == [("packaged", a.me.tag, what)] * 2
    assert told(b, "received") == [("received", a.me.tag, what)] * 2


def test_what_is_unshared_and_who_is_no_longer_paired_is_told(here: MemoryTown) -> None:
    a, b, _ = team_of(here, "alice", "bob", "carol")
    session = b.member.write_session("hello")
    here.settle()
    b.member.run("session", "unshare", session.id, "--yes")
    here.settle()
    assert told(b, "session unshared") == [("session unshared", b.me.tag, session.id)]
    assert len(told(a, "retracted")) == 1
    a.remove(b, retracted=False)
    here.settle()
    here.an_hour_passes()

    assert [(kind, who) for kind, who, _ in told(b, "unpaired")] == [("unpaired", a.me.tag)]
