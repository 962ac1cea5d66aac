"""A folder that cannot be written is named, and when it was repaired all goes on by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.errors import Stuck
from tests.support.faults import immutable
from tests.support.harness import PROJECT, Member, programs, until
from tests.support.town import Town, found_team, share, up

pytestmark = pytest.mark.daemon
CHANNEL = f"{PROJECT} by alice.box in backend"
DUE = "receiving"  # a receipt of mine, which lies there too, may be due meanwhile


@dataclass(frozen=True)
class Pair:
    """Two members that share a project; B, the receiver, runs the newest Syncthing there is."""

    a: Member
    b: Member

    @property
    def channel(self) -> str:
        """The channel from A to B."""
        (outbox,) = self.a.outboxes()
        return outbox.name


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.member("alice", programs()[0]), town.member("bob", programs()[-1])
    up(a, b)
    found_team(a, b)
    share(a, b)
    b.until_readable(a.write_session("before"))
    return Pair(a, b)


def test_an_outbox_that_cannot_be_written_is_named_and_goes_on_when_it_was_repaired(
    pair: Pair,
) -> None:
    a, b, channel = pair.a, pair.b, pair.channel
    long = a.write_session("x" * 900_000)
    b.until_readable(long)
    place = a.paths.folder(channel)
    before = _files(place)
    with immutable(*_directories(place)):
        long.append("while it could not be written")
        sessions = [long, *(a.write_session(f"meanwhile {n}") for n in range(3))]
        fault = _fault(a, CHANNEL)
        checked = a.run("status", "--check", check=False)
        theirs = b.write_session("B's goes on")
        a.until_readable(theirs)
        assert _files(place) == before
    b.until_readable(*sessions)

    assert fault == f"{place} cannot be written: Operation not permitted"
    assert (checked.code, fault in checked.err) == (Stuck.exit_code, True)
    _all_clean(pair)


def test_an_inbox_that_cannot_be_written_is_named_and_goes_on_when_it_was_repaired(
    pair: Pair,
) -> None:
    a, b, channel = pair.a, pair.b, pair.channel
    with immutable(*_directories(b.paths.folder(channel))):
        sessions = [a.write_session(f"B's inbox is closed {n}") for n in range(3)]
        fault = _fault(b, CHANNEL)
        checked = b.run("status", "--check", check=False)
        b_goes_on = b.write_session("B's own goes on")
        a.until_readable(b_goes_on)
    b.until_readable(*sessions)

    assert "operation not permitted" in fault.lower()
    assert (checked.code, CHANNEL in checked.err) == (Stuck.exit_code, True)
    _all_clean(pair)


def test_a_library_that_cannot_be_written_is_named_and_goes_on_when_it_was_repaired(
    pair: Pair,
) -> None:
    a, b = pair.a, pair.b
    library = b.paths.library
    with immutable(*(p for p in library.rglob("*") if p.is_dir())):
        session = a.write_session("B's library is closed")
        fault = _fault(b, CHANNEL)
        assert session.id not in {s["id"] for s in b.sessions()}
    b.until_readable(session)

    assert fault == "items that arrived cannot be stored: Operation not permitted"
    _all_clean(pair)


def test_a_metadata_folder_that_cannot_be_written_is_named_and_goes_on_when_it_was_repaired(
    pair: Pair,
) -> None:
    a, b = pair.a, pair.b
    (metadata,) = [p for p in b.paths.folders.iterdir() if p.name.startswith("ks-m-")]
    with immutable(*_directories(metadata)):
        a.run("subscription", "pause", "repo")
        fault = _fault(b, "documents of team backend", DUE)
    until(lambda: not b.json("status")["faults"], "no fault at B")
    a.run("subscription", "resume", "repo")
    b.until_readable(a.write_session("afterwards"))

    assert "operation not permitted" in fault.lower()
    _all_clean(pair)


def test_what_i_signed_and_cannot_write_is_named_and_leaves_once_it_can_be(pair: Pair) -> None:
    a, b = pair.a, pair.b
    (metadata,) = [p for p in b.paths.folders.iterdir() if p.name.startswith("ks-m-")]
    with immutable(*_directories(metadata)):
        b.run("subscription", "pause", "repo")
        fault = _fault(b, "documents of team backend", DUE)
        assert b.run("status", "--check", check=False).code == 7
        assert _answer_of(a, b) == "accepted"
    until(lambda: _answer_of(a, b) == "paused", "B's answer at A")
    until(lambda: not b.json("status")["faults"], "no fault at B")
    b.run("subscription", "resume", "repo")
    b.until_readable(a.write_session("afterwards too"))

    # Syncthing may name the fault first, for a receipt of A's that it cannot write there.
    assert "operation not permitted" in fault.lower()
    _all_clean(pair)


def test_a_folder_that_cannot_be_made_is_named_and_made_once_it_can_be(pair: Pair) -> None:
    a, b = pair.a, pair.b
    with immutable(b.paths.folders):
        b.run("subscription", "change", "repo", "--direction", "receive", "--retract")
        b.run("subscription", "change", "repo", "--direction", "both", "--yes")
        found = until(lambda: b.json("status")["faults"].get("cycle"), "a fault of B's cycle")
        assert b.run("status", "--check", check=False).code == 7
    until(lambda: not b.json("status")["faults"], "no fault at B")
    a.until_readable(b.write_session("from B, afterwards"))

    assert "Operation not permitted" in found
    _all_clean(pair)


def _answer_of(reader: Member, member: Member) -> str:
    (found,) = reader.json("subscription", "list")["subscriptions"]
    return next(str(o["status"]) for o in found["others"] if o["member"] == member.tag)


def _fault(member: Member, folder: str, *beside: str) -> str:
    """The fault of this folder in `status`; no folder but those `beside` has one."""

    def said() -> dict[str, str]:
        faults: dict[str, str] = member.json("status")["faults"]
        return faults if faults.keys() - set(beside) else {}

    found = until(said, f"a fault at {member.tag}")
    assert found.keys() - set(beside) == {folder}
    assert folder in member.run("status").out
    return str(found[folder])


def _all_clean(pair: Pair) -> None:
    for member in (pair.a, pair.b):
        until(lambda m=member: not m.json("status")["stuck"], f"nothing stuck at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert member.run("status", "--check").code == 0
    box = pair.a.paths.folder(pair.channel)
    until(
        lambda: _files(box) == _files(pair.b.paths.folder(pair.channel)),
        "the same bytes in both folders",
    )
    for member in (pair.a, pair.b):
        leftovers = [p for p in member.paths.folders.rglob("*") if ".tmp" in p.name]
        assert leftovers == []


def _directories(root: Path) -> Iterable[Path]:
    return [root, *(p for p in root.rglob("*") if p.is_dir() and p.name != ".stfolder")]


def _files(folder: Path) -> dict[str, bytes]:
    found = (p for part in ("items", "chunks") for p in (folder / part).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}
