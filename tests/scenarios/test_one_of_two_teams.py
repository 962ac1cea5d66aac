"""Two teams share one project: what a member does in one touches nothing in the other."""

from collections.abc import Callable

import pytest

from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryMember, MemoryTown

Act = Callable[[MemoryMember, MemoryMember], object]

ACTS: dict[str, Act] = {
    "pauses": lambda one, x: x.run("subscription", "pause", PROJECT, "--team", "one"),
    "only receives": lambda one, x: x.run(
        *("subscription", "change", PROJECT, "--team", "one"),
        *("--direction", "receive", "--retract", "--yes"),
    ),
    "declines": lambda one, x: x.run("decline", PROJECT, "--team", "one", "--yes"),
    "declines and purges": lambda one, x: x.run(
        "decline", PROJECT, "--team", "one", "--purge", "--yes"
    ),
    "leaves": lambda one, x: x.run("team", "leave", "--team", "one", "--yes"),
    "is removed": lambda one, x: one.run("team", "remove", x.tag, "--retract", "--yes"),
    "sees the project unshared": lambda one, x: one.run("project", "unshare", PROJECT, "--yes"),
    "sees the team dissolved": lambda one, x: one.run("team", "dissolve", "--yes"),
}


def team_up(here: MemoryTown, name: str, leader: MemoryMember, x: MemoryMember) -> None:
    leader.run("team", "create", name)
    x.run("pair", leader.code)
    leader.run("team", "add", x.code)
    leader.run("project", "share", str(leader.repo), "--yes")
    here.settle()
    x.run("accept", PROJECT, "--team", name, "--direction", "both", "--yes")
    here.settle()


def of_team(x: MemoryMember, shared_with: str) -> dict[str, object]:
    """Syncthing's folders that x shares with this device, whole, by id."""
    folders = x.rest("config/folders")
    devices = {f["id"]: {d["deviceID"] for d in f["devices"]} for f in folders}
    return {f["id"]: f for f in folders if shared_with in devices[f["id"]]}


@pytest.mark.parametrize("name", ACTS)
def test_what_happens_in_one_team_leaves_the_other_as_it_was(here: MemoryTown, name: str) -> None:
    one, two, x = (m for m in here.members("alice", "bob", "erin") if isinstance(m, MemoryMember))
    team_up(here, "one", one, x)
    team_up(here, "two", two, x)
    by_x, by_two = x.write_session("by x"), two.write_session("by two")
    here.settle()
    assert one.holds(by_x)
    device = two.json("code")["device"]
    before = of_team(x, device)
    assert len(before) == 3  # documents, an outbox and an inbox
    ACTS[name](one, x)
    here.settle()
    here.an_hour_passes()

    assert of_team(x, device) == before
    assert two.holds(by_x)
    assert x.holds(by_two)
    new_by_x, new_by_two = x.write_session("new by x"), two.write_session("new by two")
    here.settle()
    here.an_hour_passes()
    assert two.holds(by_x, new_by_x)
    assert x.holds(by_two, new_by_two)
    assert one.peek(new_by_x.id) is None
