"""Databases that are lost come back from what else is there; those that are spoilt are named."""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.errors import DatabaseUnusable
from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon

DATABASES = ("state.db", "work.db", "library.db")
GARBAGE = b"this was a database once\n" * 400


@dataclass(frozen=True)
class Shared:
    """Two members that share a project, and what they wrote into it; each has all of it."""

    a: Member
    b: Member
    of_a: list[Session]
    of_b: list[Session]

    def all_is_at_both(self) -> None:
        self.b.until_readable(*self.of_a)
        self.a.until_readable(*self.of_b)
        for member in (self.a, self.b):
            until(lambda m=member: _confirmed(m), f"all that {member.tag} sent confirmed")  # type: ignore[misc] # mypy cannot infer a lambda with a default
            assert member.run("status", "--check").code == 0


@pytest.fixture(scope="module")
def shared(town: Town) -> Shared:
    a, b = town.pair()
    long = a.write_session("x" * 900_000)
    found = Shared(a, b, [long, *(a.write_session(f"A's {n}") for n in range(3))], [])
    found.of_b.append(b.write_session("B's"))
    found.all_is_at_both()
    return found


@pytest.mark.parametrize(
    ("who", "lost"),
    [
        pytest.param("receiver", ("state.db",), marks=pytest.mark.slow),
        pytest.param("receiver", ("work.db",), marks=pytest.mark.slow),
        pytest.param("owner", ("work.db",), marks=pytest.mark.slow),
        ("receiver", DATABASES),
        ("owner", DATABASES),
    ],
)
def test_databases_that_were_lost_are_made_anew_and_nothing_disappears(
    shared: Shared, who: str, lost: tuple[str, ...]
) -> None:
    member, other = (shared.b, shared.a) if who == "receiver" else (shared.a, shared.b)
    own = shared.of_b if who == "receiver" else shared.of_a
    before = {s.id: other.raw(s.id) for s in own}
    limit = _since(member)
    member.down()
    for name in lost:
        _lose(member, name)
    member.up()
    own[0].append(f"after {lost} went at the {who}")
    own.append(member.write_session(f"new after {lost} went at the {who}"))
    shared.all_is_at_both()

    assert {s.id: other.raw(s.id)[: len(before[s.id])] for s in own if s.id in before} == before
    assert _since(member) == limit


@pytest.mark.parametrize("fault", ["garbage", "newer"])
def test_a_database_that_cannot_be_used_is_named_and_nothing_is_changed(
    town: Town, fault: str
) -> None:
    member = town.member(fault)
    member.run("status")  # makes the databases
    for name in DATABASES:
        path = _path(member, name)
        kept = path.with_suffix(".kept")
        shutil.copy2(path, kept)
        _spoil(path, fault)
        before = _files(member)
        said = [member.run(*command, check=False) for command in (["up", "-d"], ["up"], ["status"])]
        after = _files(member)
        kept.replace(path)

        assert after == before
        for done in said:
            assert done.code == DatabaseUnusable.exit_code, done
            assert "Traceback" not in done.err
            assert done.err.startswith(f"karma-sync: {path} "), done
            assert ("is damaged" if fault == "garbage" else "by a newer karma-sync") in done.err
            assert "\n  try: " in done.err
    assert member.run("status").out


def _path(member: Member, name: str) -> Path:
    return member.paths.library_db if name == "library.db" else member.paths.data / name


def _lose(member: Member, name: str) -> None:
    path = _path(member, name)
    for each in path.parent.glob(f"{name}*"):
        each.unlink()


def _spoil(path: Path, fault: str) -> None:
    if fault == "garbage":
        path.write_bytes(GARBAGE)
        return
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 1000")
    database.close()


def _files(member: Member) -> dict[str, bytes]:
    """Every file of a home, but for the log and the empty lock."""
    return {
        str(p.relative_to(member.home)): p.read_bytes()
        for p in member.home.rglob("*")
        if p.is_file() and not p.name.startswith(("karma-sync.log", "daemon.lock"))
    }


def _confirmed(member: Member) -> bool:
    (project,) = member.json("status")["projects"]
    receivers = project["receivers"].values()
    return bool(receivers) and all(r["whole"] for r in receivers)


def _since(member: Member) -> object:
    (found,) = member.json("subscription", "list")["subscriptions"]
    return found["since"]
