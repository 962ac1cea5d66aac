"""`status` while something is on its way, and on a terminal, with real daemons."""

import os
import random
import signal
from typing import Any

import pytest
import requests

from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, found_team, share, up

pytestmark = pytest.mark.daemon
LARGE = 240_000_000  # packaged in seconds, not in moments


@pytest.fixture(scope="module")
def trio(town: Town) -> tuple[Member, Member, Member]:
    """Alice, Bob and Carol share `repo`; a first session was confirmed by all."""
    a, b, c = town.members("alice", "bob", "carol")
    found_team(a, b, c)
    share(a, b, c)
    first = a.write_session("the first")
    for member in (b, c):
        member.until_readable(first)
    until(lambda: confirmed(a) == {"bob.box", "carol.box"}, "all to be quiet")
    return a, b, c


def confirmed(member: Member) -> set[str]:
    found = project_of(member)["receivers"]
    return {tag for tag, receiver in found.items() if receiver["whole"]}


def slow(member: Member, kbps: int) -> None:
    url, key = member.gui()
    limits = {"limitBandwidthInLan": True, "maxSendKbps": kbps}
    requests.patch(
        f"{url}/rest/config/options", json=limits, headers={"X-API-Key": key}, timeout=20
    ).raise_for_status()


def test_what_is_on_its_way_is_told_on_both_sides_until_it_is_there(
    trio: tuple[Member, Member, Member],
) -> None:
    a, b, _ = trio
    slow(a, 300)
    noise = random.Random(7)  # noqa: S311 does not shrink below half
    long = a.write_session(*(noise.randbytes(15_000).hex() for _ in range(200)))

    def arriving() -> bool:
        about = project_of(b)["arriving"].get("alice.box")
        return bool(about) and about["bytes_left"] > 0 and about["seconds_left"] is not None

    def leaving() -> bool:
        about = project_of(a)["receivers"]["bob.box"]["about"]
        return bool(about) and about["bytes_left"] > 0

    until(arriving, "B to tell what is arriving, and how long it takes")
    until(leaving, "A to tell what is leaving")
    assert "about" in b.run("status").out

    slow(a, 0)
    b.until_readable(long)
    until(lambda: not project_of(b)["arriving"], "B to see that all arrived")
    until(lambda: not project_of(a)["receivers"]["bob.box"]["about"], "A to see it too")
    until(lambda: project_of(a)["receivers"]["bob.box"]["whole"], "B's receipt")


def test_a_small_team_fits_on_one_screen(trio: tuple[Member, Member, Member]) -> None:
    told = trio[0].on_terminal("status", answers=[])
    lines = told.lines

    assert told.code == 0
    assert len(lines) < 24
    assert all(len(line) <= 80 for line in lines)
    assert f"{PROJECT} in backend: accepted, both" in lines
    assert "bob.box    connected  now" in lines


def test_a_syncthing_that_was_killed_is_told_of_as_the_last_error(
    town: Town, trio: tuple[Member, Member, Member]
) -> None:
    alone = town.member("dave")
    up(alone)
    alone.run("team", "create", "solo")
    until(alone.folders, "its daemon to work")
    os.kill(alone.syncthing_pid, signal.SIGKILL)

    until(lambda: alone.json("status")["last_error"], "the fault to be told")
    assert alone.json("status")["last_error"]["subject"] == "Syncthing"
    until(lambda: "fault over: Syncthing" in alone.run("events").out, "its end")
    assert "last error" in alone.run("status").out


def test_how_much_of_a_large_session_is_still_to_be_packaged_is_told_until_it_is(
    trio: tuple[Member, Member, Member],
) -> None:
    """The last test here: what it writes keeps the readers busy afterwards."""
    a, _, _ = trio
    session = a.write_session("large")
    subagent = session.beside("subagents/agent-1.jsonl", session.content)
    grown = session.path.with_suffix("") / "subagents" / "agent-1.jsonl"
    written = grown.with_suffix(".new")
    with written.open("wb") as out:
        for _ in range(LARGE // (len(subagent) * 1000)):
            out.write(subagent * 1000)
    written.replace(grown)  # at once: else a part of it would be packaged first

    def left() -> bool:
        found = a.json("status")["packaging"]
        return bool(found) and found["items_left"] == 1 and LARGE // 9 < found["bytes_left"] < LARGE

    until(left, "A to tell how much of it is left")
    until(lambda: a.json("status")["packaging"] is None, "A to tell that nothing is left")
    assert "be packaged" not in a.run("status").out


def project_of(member: Member) -> dict[str, Any]:
    (found,) = member.json("status")["projects"]
    return dict(found)
