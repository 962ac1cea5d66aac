"""Members accept one after another: what the others exchange is not interrupted by that."""

from itertools import permutations
from typing import Any

import pytest

from tests.support.harness import Member, programs, until
from tests.support.memory_member import Peer
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.town import Town, found_team, wait_for_offer

USERS = ("alice", "bob", "carol", "dave", "erin")
PROJECTS = ("docs", "repo", "site", "tools")


class Five:
    """The first leads, and shares all projects; nobody else has answered."""

    def __init__(self, town: Town) -> None:
        self.all = town.members(*USERS)
        found_team(*self.all)
        for name in PROJECTS:
            for member in self.all:
                if name != "repo":  # of which everybody has a clone
                    member.clone(f"git@example.org:acme/{name}.git", name)
            leader = self.all[0]
            leader.run("project", "share", str(leader.folder / "src" / name), "--yes")
        for member in self.all[1:]:
            for name in PROJECTS:
                wait_for_offer(member, name)


def entries(member: MemoryMember) -> dict[str, Any]:
    """The entries of all folders in Syncthing's configuration, by ID."""
    return {folder["id"]: folder for folder in member.rest("config/folders")}


def connections(town: MemoryTown) -> dict[tuple[str, str], Peer]:
    """The connections that members have; one that was lost and came back is another object."""
    every = town.network.members.items()
    return {(mine, other): peer for mine, m in every for other, peer in m.peers.items()}


def test_an_accept_changes_nothing_of_what_others_exchange(here: MemoryTown) -> None:
    five = Five(here)
    here.settle()
    connected = connections(here)
    assert len(connected) == 20
    for member in five.all[1:]:
        for name in PROJECTS:
            others = [m for m in here.everybody if m is not member]
            before = {m: entries(m) for m in others}
            member.run("accept", name, "--yes")
            here.settle()

            for other in others:
                after = entries(other)
                changed = {name for name in before[other] if after.get(name) != before[other][name]}
                assert not changed, other.tag
    now = connections(here)
    assert len(now) == 20
    assert all(now[pair] is peer for pair, peer in connected.items())


def lost(member: Member) -> list[str]:
    """The devices with which a connection was lost, since this was asked first."""
    found = member.rest("events?events=DeviceDisconnected&since=0&timeout=1")
    return [event["data"]["id"] for event in found]


@pytest.mark.slow
@pytest.mark.daemon
@pytest.mark.parametrize("town", programs(), indirect=True, scope="module")
def test_what_is_exchanged_goes_on_while_others_accept(town: Town) -> None:
    five = Five(town)
    author, reader, *late = five.all
    for name in PROJECTS:
        reader.run("accept", name, "--yes")
    session = author.write_session("a session that goes on")
    reader.until_readable(session)
    before = sum(len(lost(member)) for member in five.all)
    for member in late:
        for name in PROJECTS:
            member.run("accept", name, "--yes")
            session.append(f"{member.user} accepts {name}")
            reader.until_readable(session)
    written = {member: member.write_session(f"by {member.user}") for member in five.all}
    for one, other in permutations(five.all, 2):
        one.until_readable(written[other])
    for member in late:
        member.until_readable(session)

    accepts = len(late) * len(PROJECTS)
    times = (sum(len(lost(member)) for member in five.all) - before) // 2  # both ends tell of it
    assert times <= accepts // 4, "lists that follow each accept cost more than one each"
    late[-1].down()
    until(lambda: lost(author), "a loss to be told")  # so none told is none lost
