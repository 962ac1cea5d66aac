"""Purged sessions never come back; limits are kept; a crash or a lost file loses nothing else."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from karma_sync.archive import store
from karma_sync.archive.pack import DamagedPack
from karma_sync.errors import NotFound
from karma_sync.settings import ArchiveSettings
from tests.support.archives import ME, Desk, desk
from tests.support.transcripts import Session

DAY_S = 86_400


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def _aged(session: Session, days: float) -> Session:
    when = session.path.stat().st_mtime - days * DAY_S
    os.utime(session.path, (when, when))
    return session


def _key(session: Session) -> store.Key:
    return "claude-code", session.id


# ---- purging


def test_a_purged_session_is_gone_from_disk_and_is_not_archived_again(d: Desk) -> None:
    session, other = d.write("zebra crossing"), d.write("other")
    with session.path.open("ab") as out:
        out.write(b'{"type": "custom-title", "customTitle": "zebra crossing"}\n')
    d.pass_()

    d.forgetter.purge([_key(session)], d.now_ms())
    session.append("more")
    d.requests.touch(session.path)
    d.seconds += 1000
    d.pass_()

    assert d.ids() == {other.id}
    with pytest.raises(NotFound):
        d.copy(session)
    assert len(d.packs()) == 1
    for path in d.folder.glob("archive.db*"):
        assert b"zebra" not in path.read_bytes()


def test_a_purge_holds_in_a_new_process(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()
    d.forgetter.purge([_key(session)], d.now_ms())
    d.close()
    d.open()

    d.pass_()

    assert d.ids() == set()


def test_a_purge_that_a_crash_cut_off_is_completed(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()
    pack = d.packs()[0]
    content = pack.read_bytes()
    d.forgetter.purge([_key(session)], d.now_ms())
    pack.write_bytes(content)  # as if it had not been deleted yet
    d.close()
    d.open()

    d.pass_()

    assert d.ids() == set()
    assert d.packs() == []


# ---- limits


def test_sessions_older_than_the_limit_are_forgotten_and_not_archived_again(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, ArchiveSettings(days=20)) as d:
        old, new = _aged(d.write("old"), 15), d.write("new")
        d.pass_()
        assert d.ids() == {old.id, new.id}

        d.days = 10
        d.pass_()
        assert d.ids() == {new.id}
        assert len(d.packs()) == 1
        d.pass_()
        assert d.ids() == {new.id}


def test_above_the_quota_the_oldest_go_and_are_not_archived_again(tmp_path: Path) -> None:
    with desk(tmp_path, ArchiveSettings(quota=250_000)) as d:
        sessions = [_aged(d.write(f"session {n}"), n) for n in range(4)]
        for session in sessions:
            session.beside("tool-results/x.txt", os.urandom(100_000))
            when = session.path.stat().st_mtime
            os.utime(session.path.with_suffix("") / "tool-results" / "x.txt", (when, when))
        d.pass_()
        newest = {session.id for session in sessions[:2]}
        assert d.ids() == newest
        stored = sum(path.stat().st_size for path in d.packs())
        assert stored <= 250_000

        d.pass_()
        assert d.ids() == newest
        sessions[3].append("it lives again")
        d.pass_()
        assert d.ids() == {sessions[3].id, sessions[0].id}


def test_the_newest_session_stays_even_if_it_is_larger_than_the_quota(tmp_path: Path) -> None:
    with desk(tmp_path, ArchiveSettings(quota=1000)) as d:
        session = d.write("hello")
        session.beside("tool-results/x.txt", os.urandom(100_000))

        d.pass_()

        assert d.ids() == {session.id}


# ---- after a crash, or the loss of a file


def test_what_a_crash_left_behind_the_archived_length_is_of_no_harm(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()
    with d.packs()[0].open("ab") as out:
        out.write(b'{"name": "transcript.jsonl", "version": 1, "at"')
    d.close()
    d.open()
    session.append("more")

    d.pass_()

    assert d.read(session) == session.content


def test_a_lost_database_is_made_again_from_the_packs(d: Desk) -> None:
    gone, kept = d.write("gone"), d.write("kept")
    gone.beside("subagents/agent-1.jsonl", b'{"cwd": "/src/other"}\n')
    first = gone.content
    d.pass_()
    gone.path.write_bytes(first.replace(b"gone", b"away"))
    content = gone.content
    d.pass_()
    gone.path.unlink()
    shutil.rmtree(gone.path.with_suffix(""))
    before = d.copy(gone)
    d.close()
    for path in d.folder.glob("archive.db*"):
        path.unlink()
    d.open()

    d.pass_()

    after = d.copy(gone)
    assert d.ids() == {gone.id, kept.id}
    assert d.read(gone) == content
    assert d.read(gone, "transcript.jsonl@1") == first
    assert d.read(gone, "subagents/agent-1.jsonl") == b'{"cwd": "/src/other"}\n'
    assert (after.row.about.title, after.row.folder) == (before.row.about.title, before.row.folder)
    assert d.copy(kept).earlier == []
    size = sum(path.stat().st_size for path in d.packs())
    kept.append("and it goes on")
    d.pass_()
    assert d.read(kept) == kept.content
    assert sum(path.stat().st_size for path in d.packs()) < size + 2000


def test_an_older_database_loses_nothing_that_the_packs_have(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()
    backup = d.folder / "backup.db"
    d.store.checkpoint()
    shutil.copy(d.folder / "archive.db", backup)
    session.append("more")
    later = d.write("later")
    d.pass_()
    contents = session.content, later.content
    d.close()
    for path in d.folder.glob("archive.db*"):
        path.unlink()
    backup.rename(d.folder / "archive.db")
    session.path.unlink()
    later.path.unlink()
    d.open()

    d.pass_()

    assert (d.read(session), d.read(later)) == contents


def test_a_damaged_pack_is_told_and_harms_no_other(d: Desk) -> None:
    session, other = d.write("hello"), d.write("other")
    d.pass_()
    key = _key(session)
    pack = next(p for p in d.packs() if b'"session":"' + key[1].encode() in p.read_bytes())
    content = bytearray(pack.read_bytes())
    content[-1] ^= 0xFF
    pack.write_bytes(content)

    with pytest.raises(DamagedPack, match=re.escape(f"{pack} is damaged")):
        d.read(session)
    assert d.read(other) == other.content


def test_a_pack_that_lost_its_end_is_told_and_keeps_the_rest(
    d: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    session = d.write("hello")
    before = session.content
    d.pass_()
    session.append("more")
    d.pass_()
    session.path.unlink()
    [pack] = d.packs()
    os.truncate(pack, pack.stat().st_size - 1)
    d.close()
    d.open()

    d.pass_()

    assert d.read(session) == before
    assert f"lost the end of session {session.id}" in caplog.text


def test_a_pack_that_was_deleted_while_it_was_used_is_made_again(d: Desk) -> None:
    session, other = d.write("hello"), d.write("other")
    d.pass_()
    shutil.rmtree(d.root)
    session.append("more")
    other.append("more")

    d.pass_()
    assert any("is missing" in error for error in d.errors)
    d.pass_()

    assert (d.read(session), d.read(other)) == (session.content, other.content)
    assert d.errors == []


# ---- packs


def test_a_scattered_pack_is_written_anew_with_the_same_content(
    d: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("karma_sync.archive.upkeep._SPARE_ENTRIES", 3)
    session = d.write("hello")
    todo = d.claude / "todos" / f"{session.id}-agent-{session.id}.json"
    todo.parent.mkdir()
    first = session.content
    d.pass_()
    session.path.write_bytes(first.replace(b"hello", b"jello"))
    for number in range(10):
        session.append(f"line {number}")
        todo.write_text(f'["todo {number}"]')
        d.pass_()
    entries = d.copy(session).row.entries

    d.days = 1
    d.pass_()

    assert d.copy(session).row.entries < entries / 2
    assert d.read(session) == session.content
    assert d.read(session, "transcript.jsonl@1") == first
    assert d.read(session, f"todos/{todo.name}") == b'["todo 9"]'
    assert len(d.packs()) == 1
    assert b"todo 8" not in _all_of(d, session)
    session.append("it goes on")
    d.pass_()
    assert d.read(session) == session.content


def _all_of(d: Desk, session: Session) -> bytes:
    copy = d.copy(session)
    return b"".join(b"".join(d.reader.content(copy, file)) for file in copy.files)


# ---- what the agent lacks


def test_a_session_that_the_agent_swept_is_kept_and_not_taken_for_purged(d: Desk) -> None:
    session = _aged(d.write("old"), 31)
    d.pass_()
    session.path.unlink()

    d.pass_()

    row = d.copy(session).row
    assert row.gone_ms
    assert not row.early


def test_a_project_that_the_agent_purged_is_told_with_what_the_archive_has(d: Desk) -> None:
    from karma_sync.archive.holdings import PurgedProject, holdings

    purged = [d.write(f"session {n}", cwd="/src/web") for n in range(2)]
    d.write("other", cwd="/src/other")
    swept = _aged(d.write("swept", cwd="/src/old"), 40)
    d.pass_()
    for session in (*purged, swept):
        session.path.unlink()

    d.pass_()

    found = holdings(d.folder / "archive.db", 0)
    assert found.purged == (PurgedProject("/src/web", 2),)
    assert (found.sessions, found.kept) == (4, 3)


def test_a_purged_project_has_a_directory_that_a_person_can_name(d: Desk) -> None:
    from karma_sync.archive.holdings import holdings

    known, nowhere = d.write("one", cwd="/src/web"), d.write("two", cwd="/src/web")
    alone = d.write("three", cwd="/src/alone")
    for session in (nowhere, alone):
        session.path.write_bytes(session.content.replace(b'"cwd"', b'"was"'))
    d.pass_()
    for session in (known, nowhere, alone):
        session.path.unlink()
    d.pass_()

    found = holdings(d.folder / "archive.db", 0)
    assert [each.directory for each in found.purged] == ["/src/web"]


def test_one_deleted_session_of_a_project_is_no_purge(d: Desk) -> None:
    from karma_sync.archive.holdings import holdings

    one = d.write("one", cwd="/src/web")
    d.write("two", cwd="/src/web")
    d.pass_()
    one.path.unlink()
    d.pass_()

    assert holdings(d.folder / "archive.db", 0).purged == ()


def test_an_agent_that_is_not_there_has_not_deleted_its_sessions(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()
    d.claude.rename(d.folder / "unmounted")

    d.pass_()

    assert not d.copy(session).row.gone_ms


def test_the_agents_own_setting_tells_when_it_deletes(d: Desk) -> None:
    (d.claude / "settings.json").write_text('{"cleanupPeriodDays": 5}')
    session = _aged(d.write("hello"), 6)
    d.pass_()
    session.path.unlink()

    d.pass_()

    assert not d.copy(session).row.early


def test_a_session_without_an_own_id_in_a_scope_is_not_found(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()

    assert d.reader.sessions(ME.within(project="example.org/other/thing")) == []
    assert d.reader.sessions(ME.within(team="TEAM")) == []
    assert d.reader.sessions(ME.within(agent="codex")) == []
    found = d.reader.sessions(ME.within(project="example.org/acme/repo", agent="claude-code"))
    assert [row.session for row in found] == [session.id]
