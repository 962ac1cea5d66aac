"""A swept session comes back byte for byte, in its place, and nothing is overwritten."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from karma_sync.archive.pack import DamagedPack
from karma_sync.archive.reader import ArchiveReader
from karma_sync.archive.restoring import restore
from karma_sync.domain.access import AccessScope
from karma_sync.errors import Conflict, DatabaseUnusable
from tests.support.archives import Desk, desk
from tests.support.transcripts import Session


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def _whole_session(d: Desk) -> tuple[Session, dict[Path, bytes]]:
    """A session with a file of each kind, and all its files."""
    session = d.write("hello", "and more")
    session.beside("subagents/agent-1.jsonl", b'{"cwd": "/src/repo"}\n')
    session.beside("subagents/agent-1.meta.json", b"{}")
    session.beside("custom-title.json", b'{"customTitle": "a name"}')
    session.beside("tool-results/x.txt", os.urandom(2_500_000))
    legacy = f'{{"sessionId": "{session.id}", "cwd": "/src/repo"}}\n'
    session.legacy_subagent("agent-old.jsonl", legacy.encode())
    for name in (
        f"todos/{session.id}-agent-{session.id}.json",
        f"tasks/{session.id}/1.json",
        f"file-history/{session.id}/0123456789abcdef@v1",
        f"debug/{session.id}.txt",
    ):
        path = d.claude / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return session, _files(d)


def _files(d: Desk) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in d.claude.rglob("*") if p.is_file()}


def _sweep(d: Desk) -> None:
    for each in d.claude.iterdir():
        shutil.rmtree(each)


def test_a_swept_session_comes_back_byte_for_byte_with_all_its_files(d: Desk) -> None:
    session, files = _whole_session(d)
    d.pass_()
    _sweep(d)
    d.pass_()

    restored = restore(d.reader, d.copy(session), d.claude)

    assert _files(d) == files
    assert set(restored.written) == set(files)
    assert restored.kept == []
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_nlink == 1
    assert [s.session_id for s in d.source.sessions()] == [session.id]


def test_after_that_the_archive_goes_on_where_it_was(d: Desk) -> None:
    session, _ = _whole_session(d)
    d.pass_()
    _sweep(d)
    d.pass_()
    size = sum(path.stat().st_size for path in d.packs())
    restore(d.reader, d.copy(session), d.claude)

    d.pass_()
    assert sum(path.stat().st_size for path in d.packs()) == size
    assert not d.copy(session).row.gone_ms
    session.append("resumed")
    d.pass_()

    assert d.read(session) == session.content
    assert d.copy(session).earlier == []


def test_a_session_that_the_agent_has_is_left_alone(d: Desk) -> None:
    session, files = _whole_session(d)
    d.pass_()
    session.append("newer")
    files[session.path] = session.content

    with pytest.raises(Conflict, match="the agent has"):
        restore(d.reader, d.copy(session), d.claude)

    assert _files(d) == files


def test_a_file_in_the_place_of_another_is_left_alone_and_named(d: Desk) -> None:
    session, files = _whole_session(d)
    d.pass_()
    _sweep(d)
    task = d.claude / "tasks" / session.id / "1.json"
    task.parent.mkdir(parents=True)
    task.write_bytes(b"of somebody else")

    restored = restore(d.reader, d.copy(session), d.claude)

    assert restored.kept == [task]
    assert _files(d) == files | {task: b"of somebody else"}


def test_a_link_in_the_place_of_a_file_is_not_followed(d: Desk) -> None:
    session, _ = _whole_session(d)
    d.pass_()
    _sweep(d)
    outside = d.folder / "outside"
    session.path.parent.mkdir(parents=True)
    session.path.symlink_to(outside)

    with pytest.raises(Conflict):
        restore(d.reader, d.copy(session), d.claude)

    assert not outside.exists()


def test_from_a_damaged_archive_nothing_is_put_back(d: Desk) -> None:
    session, _ = _whole_session(d)
    d.pass_()
    _sweep(d)
    pack = d.packs()[0]
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.write_bytes(content)

    with pytest.raises(DamagedPack):
        restore(d.reader, d.copy(session), d.claude)

    assert _files(d) == {}


def test_on_a_file_system_without_links_it_comes_back_too(
    d: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, files = _whole_session(d)
    d.pass_()
    _sweep(d)

    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("karma_sync.archive.restoring.os.link", no_links)

    restore(d.reader, d.copy(session), d.claude)

    assert _files(d) == files


def test_a_linked_transcript_comes_back_under_its_own_name(d: Desk) -> None:
    session = d.write("hello")
    content = session.content
    elsewhere = d.folder / "dotfiles.jsonl"
    session.path.rename(elsewhere)
    session.path.symlink_to(elsewhere)
    d.pass_()
    session.path.unlink()

    restore(d.reader, d.copy(session), d.claude)

    assert session.content == content
    assert not session.path.is_symlink()


def test_a_damaged_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    database = tmp_path / "archive.db"
    database.write_bytes(b"no database" * 1000)

    with pytest.raises(DatabaseUnusable) as caught:
        ArchiveReader(tmp_path, database).sessions(AccessScope("alice.box", frozenset({""})))

    assert str(database) in str(caught.value)
    assert f"rename {database}" in caught.value.hint
