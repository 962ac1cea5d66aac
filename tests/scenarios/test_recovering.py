"""An outbox that lost what nothing here can give back takes it from the peers.

Nothing disappears at anyone meanwhile: what is missing in a send-only folder would be deleted at
every peer. With three members, on every Syncthing there is.
"""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")


@pytest.fixture(scope="module")
def trio(town: Town) -> tuple[list[Member], list[Session]]:
    """A and two receivers; five sessions of A's have arrived at both, one of them with chunks."""
    members = town.members("alice", "bob", "carol")
    a, b, c = members
    found_team(a, b, c)
    share(a, b, c)
    sessions = [a.write_session(f"session {n}") for n in range(4)]
    large = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(12_000))
    sessions.append(a.write_session(large))
    for receiver in (b, c):
        receiver.until_readable(*sessions)
    return members, sessions


def test_what_library_outbox_and_source_lost_comes_back_from_the_peers(
    trio: tuple[list[Member], list[Session]],
) -> None:
    (a, b, c), sessions = trio
    (outbox,) = a.outboxes()
    before = _content(outbox)
    at_peers = [_content(_inbox(member, outbox)) for member in (b, c)]
    contents = {session.id: session.content for session in sessions}
    a.down()
    for session in sessions[:2]:
        session.path.unlink()
    shutil.rmtree(outbox)
    shutil.rmtree(a.paths.library)
    for name in ("work.db", "library.db"):
        _lose(a, name)
    for receiver in (b, c):
        receiver.down()
    a.up()
    until(lambda: _recovering(a), "A to say that it takes its sessions back")
    up(b, c)
    written = a.write_session("after the loss")
    contents[written.id] = written.content
    for member in (a, b, c):
        _until_readable(member, contents)
    kept = set(before) & set(_content(outbox))
    events = "\n".join(a.run("events").lines)

    assert _items(before) <= _items(_content(outbox))
    assert {name for name in before if name.startswith("chunks")} <= kept
    for member, had in zip((b, c), at_peers, strict=True):
        assert set(had) <= set(_content(_inbox(member, outbox)))
    assert "recovering" in events
    assert "recovered" in events
    assert not _recovering(a)
    until(lambda: a.run("status", "--check", check=False).code == 0, "nothing to be stuck at A")


def test_a_machine_restored_from_an_earlier_day_takes_nothing_away_and_gets_the_rest_back(
    trio: tuple[list[Member], list[Session]], tmp_path: Path
) -> None:
    (a, b, c), sessions = trio
    (outbox,) = a.outboxes()
    a.down()
    shutil.copytree(a.home, tmp_path / "yesterday")
    a.up()
    newer = [a.write_session("written after the copy"), a.write_session("and one more")]
    sessions[2].append("a line that yesterday does not know")
    for receiver in (b, c):
        receiver.until_readable(*sessions[2:], *newer)
    today = _content(outbox)
    contents = {session.id: session.content for session in (*sessions[2:], *newer)}
    a.down()
    shutil.rmtree(a.home)
    shutil.copytree(tmp_path / "yesterday", a.home)
    newer[0].path.unlink()  # as the agent's own clean-up does
    a.up()
    written = a.write_session("today again")
    contents[written.id] = written.content
    for member in (a, b, c):
        _until_readable(member, contents)

    assert _items(today) <= _items(_content(outbox))
    for receiver in (b, c):
        assert _items(today) <= _items(_content(_inbox(receiver, outbox)))
    assert "recovered" in "\n".join(a.run("events").lines)


def _recovering(member: Member) -> str:
    (project,) = member.json("status")["projects"]
    return str(project["recovering"])


def _until_readable(member: Member, contents: dict[str, bytes]) -> None:
    for session, content in contents.items():
        what = f"session {session} at {member.tag}"
        until(lambda s=session, c=content: member.peek(s) == c, what)  # type: ignore[misc] # mypy cannot infer a lambda with a default


def _inbox(member: Member, outbox: Path) -> Path:
    return member.paths.folders / outbox.name


def _content(folder: Path) -> dict[str, bytes]:
    found = (p for part in ("items", "chunks") for p in (folder / part).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}


def _items(content: dict[str, bytes]) -> set[str]:
    return {name for name in content if name.startswith("items/")}


def _lose(member: Member, name: str) -> None:
    for path in member.paths.data.glob(f"{name}*"):
        path.unlink()
