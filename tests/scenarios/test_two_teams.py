"""Two teams share one project: each session lies once on its author's disk, and stays apart.

With three members, on every Syncthing there is.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.channel.layout import chunk_name
from karma_sync.signing import SigningKey
from tests.support.evil import Evil, manifest_of
from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")

# Of its 768 kB, which hardly compress, all but the end lie in chunks.
LARGE = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(12_000))


@dataclass(frozen=True)
class Two:
    """A leads two teams with the same members and project; `one`, `two` are A's outboxes."""

    members: tuple[Member, Member, Member]
    one: Path
    two: Path
    session: Session

    def inbox(self, member: Member, outbox: Path) -> Path:
        return member.paths.folder(outbox.name)


@pytest.fixture(scope="module")
def teams(town: Town) -> Two:
    a, b, c = town.members("alice", "bob", "carol")
    session = a.write_session(LARGE)
    boxes = [_found(name, a, b, c) for name in ("one", "two")]
    _until_same((b, c), boxes, session)
    return Two((a, b, c), boxes[0], boxes[1], session)


def _found(name: str, leader: Member, *others: Member) -> Path:
    """Make a team that shares the leader's project; the leader's outbox."""
    before = leader.outboxes()
    leader.run("team", "create", name)
    for other in others:
        other.run("pair", leader.code)
        leader.run("team", "add", other.code, "--team", name)
    leader.run("project", "share", str(leader.repo), "--team", name, "--yes")
    for other in others:
        until(lambda o=other: name in _offers(o), f"{name} offered to {other.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        other.run("accept", "repo", "--team", name, "--direction", "receive", "--yes")
    (box,) = until(lambda: [b for b in leader.outboxes() if b not in before], f"{name}'s outbox")
    return box


def _offers(member: Member) -> set[str]:
    return {s["team"] for s in member.json("subscription", "list")["subscriptions"]}


def test_a_chunk_lies_once_on_the_authors_disk(teams: Two) -> None:
    a, _, _ = teams.members
    until(lambda: set(_inodes(teams.one)) <= set(_inodes(a.paths.library)), "A's own library")
    one, two, library = (_inodes(box) for box in (teams.one, teams.two, a.paths.library))

    assert len(one) >= 3
    assert one == two
    assert {name: library[name] for name in one} == one


def test_what_is_appended_arrives_in_both_and_lies_once(teams: Two) -> None:
    _, b, c = teams.members
    for _ in range(3):
        teams.session.append(LARGE[:300_000])
        _until_same((b, c), (teams.one, teams.two), teams.session)

    assert _inodes(teams.one) == _inodes(teams.two)


def test_an_outbox_that_recovers_does_not_touch_the_other(teams: Two) -> None:
    a, b, c = teams.members
    before = _content(teams.two)
    inodes = _inodes(teams.two)
    a.down()
    shutil.rmtree(teams.one)
    shutil.rmtree(a.paths.library)
    for path in a.paths.data.glob("library.db*"):
        path.unlink()
    a.up()
    _until_same((b, c), (teams.one, teams.two), teams.session)

    until(lambda: "recovered" in a.run("events").out, "the end of recovering")
    assert _content(teams.two) == before
    assert _inodes(teams.two) == inodes


def test_a_chunk_that_a_member_spoils_in_one_team_reaches_nothing_that_is_linked(
    teams: Two,
) -> None:
    a, b, c = teams.members
    sha = sorted(_inodes(teams.one))[0].removesuffix(".zst")
    name = chunk_name(sha)
    held = [box / name for box in (teams.one, teams.two, a.paths.library, b.paths.library)]
    held.append(teams.inbox(b, teams.two) / name)
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in held}
    arrived = teams.inbox(b, teams.one) / name
    evil = Evil(c)
    try:
        with a.suspended():  # else A may undo it before B fetched it
            evil.take_over(teams.one.name)
            spoilt = teams.inbox(c, teams.one) / name
            spoilt.unlink()  # or its own library would have it
            evil.write(teams.one.name, name, b"spoilt".ljust(len(before[held[0]][1])))
            evil.announce(teams.one.name)
            until(lambda: _bytes(arrived).startswith(b"spoilt"), "what C spoilt at B")
            assert {path: (path.stat().st_ino, path.read_bytes()) for path in held} == before
            assert b.raw(teams.session.id) == teams.session.content
        until(lambda: "changed by others" in a.run("events").out, "A to notice")
        until(lambda: _bytes(arrived) == before[held[0]][1], "what A wrote at B again")
    finally:
        evil.stop()
        c.up()

    assert {path: (path.stat().st_ino, path.read_bytes()) for path in held} == before
    assert b.raw(teams.session.id) == teams.session.content
    _until_same((b, c), (teams.one, teams.two), teams.session)


def test_what_is_withdrawn_from_one_team_is_whole_in_the_other(teams: Two) -> None:
    a, b, c = teams.members
    before = _named(a, teams.one)
    a.run("decline", "repo", "--team", "two", "--yes")
    for member in (b, c):
        box = teams.inbox(member, teams.two)
        until(lambda box=box: _is_empty(box), f"withdrawn at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default

    until(lambda: _is_empty(teams.two), "gone from A's outbox")
    for place in (teams.one, teams.inbox(b, teams.one), teams.inbox(c, teams.one)):
        assert _named(a, place) == before
    for member in (b, c):
        assert member.raw(teams.session.id) == teams.session.content
    teams.session.append("and it goes on")
    _until_same((b, c), (teams.one,), teams.session)


def _until_same(readers: tuple[Member, ...], boxes: Sequence[Path], session: Session) -> None:
    for reader in readers:
        reader.until_readable(session)
        for box in boxes:
            inbox = reader.paths.folder(box.name)
            until(lambda i=inbox, o=box: _content(i) == _content(o), f"{box.name} at {reader.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default


def _is_empty(folder: Path) -> bool:
    try:
        return not _items(folder) and not _inodes(folder)
    except FileNotFoundError:
        return False  # a directory went while we looked


def _inodes(folder: Path) -> dict[str, int]:
    """The files of a folder's chunks, by name."""
    return {p.name: p.stat().st_ino for p in (folder / "chunks").rglob("*.zst")}


def _items(folder: Path) -> list[Path]:
    return list((folder / "items").rglob("*.ks"))


def _content(folder: Path) -> dict[str, bytes]:
    """Items and chunks as they lie there."""
    found = [*_items(folder), *(folder / "chunks").rglob("*.zst")]
    return {str(p.relative_to(folder)): _bytes(p) for p in found}


def _named(owner: Member, folder: Path) -> dict[str, bytes]:
    """The owner's items and the chunks that they name."""
    content, key = _content(folder), SigningKey.load(owner.paths.key).public
    items = {name: raw for name, raw in content.items() if name.startswith("items/")}
    chunks = {chunk_name(sha) for raw in items.values() for sha in manifest_of(raw, key).chunks()}
    return items | {name: content[name] for name in chunks}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # Syncthing removes a file before it renames the new one to its place
