"""A full disk stops what needs room, says so, and once there is room all goes on by itself."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.errors import Stuck
from tests.support.faults import fill, small_disk
from tests.support.harness import Member, programs, until
from tests.support.town import Town, found_team, share, up

pytestmark = pytest.mark.daemon

DISK_MB = 48
SEED = 20261121


@dataclass(frozen=True)
class Pair:
    """Two members that share a project; each has its whole home on a small disk of its own."""

    a: Member
    b: Member
    disk: dict[str, Path]


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A small disk for each; asked for before `town`, so that it goes after all that runs on it."""
    with ExitStack() as stack:
        place = tmp_path_factory.mktemp("disks")
        yield {u: stack.enter_context(small_disk(place / u, DISK_MB)) for u in ("alice", "bob")}


@pytest.fixture(scope="module")
def pair(disks: dict[str, Path], town: Town) -> Pair:
    for user, disk in disks.items():
        (town.folder / user).mkdir()
        (town.folder / user / "karma").symlink_to(disk)
    a, b = town.member("alice", programs()[0]), town.member("bob", programs()[-1])
    up(a, b)
    found_team(a, b)
    share(a, b)
    b.until_readable(a.write_session("before"))
    return Pair(a, b, disks)


@pytest.mark.parametrize(
    ("who", "room"), [("sender", "none"), ("receiver", "none"), ("receiver", "some")]
)
def test_a_full_disk_is_named_and_once_there_is_room_everything_flows(
    pair: Pair, who: str, room: str
) -> None:
    member, other = (pair.a, pair.b) if who == "sender" else (pair.b, pair.a)
    (outbox,) = pair.a.outboxes()
    grown, theirs = pair.a.write_session("it grows"), pair.b.write_session("B's")
    pair.b.until_readable(grown)
    pair.a.until_readable(theirs)
    before = {s["id"]: other.raw(s["id"]) for s in other.sessions()}
    disk = pair.disk[member.user]
    filler = fill(disk, leave=0 if room == "none" else DISK_MB * 15_000)
    grown.append("while there was no room")
    theirs.append("while there was no room")
    sessions = [grown, pair.a.write_session(_noise()), pair.a.write_session("small")]
    faults = until(lambda: member.json("status")["faults"], f"a fault at {member.tag}")
    checked = member.run("status", "--check", check=False)
    paused = member.run("pause", check=False) if room == "none" else None
    filler.unlink()
    if paused:
        member.run("resume", check=False)  # the pause may have got as far as the database
    pair.b.until_readable(*sessions)
    pair.a.until_readable(theirs)

    assert faults
    assert checked.code == Stuck.exit_code
    if room == "none":
        assert any("make space" in why for why in faults.values()), faults
    if paused:
        assert "Traceback" not in paused.err
        assert paused.code == 0 or "cannot be" in paused.err, paused
    assert {i: other.raw(i)[: len(raw)] for i, raw in before.items()} == before
    for each in (pair.a, pair.b):
        until(lambda m=each: not m.json("status")["stuck"], f"nothing stuck at {each.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    until(
        lambda: _files(outbox) == _files(pair.b.paths.folder(outbox.name)),
        "the same bytes in both folders",
    )
    assert [p for p in member.paths.folders.rglob("*") if ".tmp" in p.name] == []


def _noise() -> str:
    """A text that does not compress well; the same each time."""
    print(f"seed {SEED}")
    letters = random.Random(SEED).choices("abcdefghijklmnopqrstuvwxyz     ", k=3_000_000)  # noqa: S311 not a secret
    return "".join(letters)


def _files(folder: Path) -> dict[str, bytes]:
    found = (p for part in ("items", "chunks") for p in (folder / part).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}
