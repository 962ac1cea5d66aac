"""The archive holds every byte of every own session, and loses nothing that it had."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents.growing_file import open_source
from karma_sync.archive.pack import FRAME_BYTES
from karma_sync.archive.taking import MOST_VERSIONS
from karma_sync.domain.session.source_files import SourceFile
from karma_sync.errors import NotFound
from karma_sync.settings import ArchiveSettings, Keep
from tests.support.archives import Desk, desk
from tests.support.builders import examples, scratch


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def test_every_file_of_a_session_is_archived_byte_for_byte(d: Desk) -> None:
    session = d.write("hello")
    files = {
        "subagents/agent-1.jsonl": session.beside("subagents/agent-1.jsonl", b'{"a": 1}\n'),
        "tool-results/x.txt": session.beside("tool-results/x.txt", os.urandom(3_000_000)),
        "tool-results/empty.txt": session.beside("tool-results/empty.txt", b""),
    }
    history = d.claude / "file-history" / session.id / "0123456789abcdef@v1"
    history.parent.mkdir(parents=True)
    history.write_bytes(b"source code")

    d.pass_()

    assert d.read(session) == session.content
    assert {name: d.read(session, name) for name in files} == files
    assert d.read(session, "file-history/0123456789abcdef@v1") == b"source code"


def test_the_plans_that_a_session_names_are_archived_in_the_same_pass(d: Desk) -> None:
    session = d.write("plan it")
    plan = d.claude / "plans" / "blue-fox.md"
    plan.parent.mkdir()
    plan.write_text("the plan")
    record = {"type": "user", "slug": "blue-fox", "sessionId": session.id}
    with session.path.open("a") as out:
        out.write(json.dumps(record) + "\n")

    d.pass_()

    assert d.read(session, "plans/blue-fox.md") == b"the plan"


def test_the_title_beside_a_transcript_is_shown_and_other_files_there_are_kept(d: Desk) -> None:
    session = d.write("hello")
    session.beside("custom-title.json", b'{"customTitle": "A name"}')
    session.beside("unknown.bin", b"\0\1\2")

    d.pass_()

    assert d.copy(session).row.about.title == "A name"
    names = [file.name for file in d.copy(session).newest]
    assert names == ["transcript.jsonl", "beside/unknown.bin", "custom-title.json"]
    assert d.read(session, "beside/unknown.bin") == b"\0\1\2"


def test_files_and_folders_are_private(d: Desk) -> None:
    d.write("hello")

    d.pass_()

    for path in (d.root, *d.root.rglob("*"), d.folder / "archive.db"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_an_append_reads_only_what_is_new(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    session = d.write(*(f"question {n} " + "x" * 1000 for n in range(3000)))
    d.pass_()
    session.append("one more")
    reads = _count_reads(monkeypatch)

    d.pass_()

    assert d.read(session) == session.content
    assert sum(reads) < 100_000 < len(session.content)


def test_a_pass_with_nothing_new_opens_no_file_and_writes_nothing(
    d: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        d.write(f"session {number}").beside("tool-results/x.txt", b"text")
    d.pass_()
    version = d.store.data_version()
    reads = _count_reads(monkeypatch)

    d.pass_()

    assert reads == []
    assert d.store.data_version() == version
    assert d.work() is None, "nothing is due until somebody asks"


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the pieces that are read from sources from now on."""
    counted: list[int] = []

    def read(source: BinaryIO, size: int) -> bytes:
        content = source.read(size)
        counted.append(len(content))
        return content

    monkeypatch.setattr("karma_sync.archive.taking._read", read)
    return counted


def test_a_torn_last_line_is_archived_as_it_is_and_goes_on(d: Desk) -> None:
    session = d.write("hello")
    with session.path.open("ab") as out:
        out.write(b'{"type": "custom-title", "customTi')
    d.pass_()
    assert d.read(session) == session.content
    with session.path.open("ab") as out:
        out.write(b'tle": "A title"}\n')

    d.pass_()

    assert d.read(session) == session.content
    assert d.copy(session).row.about.title == "A title"
    assert d.copy(session).earlier == []


def test_a_session_that_shrinks_keeps_what_the_archive_had(d: Desk) -> None:
    session = d.write("one", "two", "three")
    whole = session.content
    d.pass_()
    session.path.write_bytes(whole[: len(whole) // 2])

    d.pass_()

    assert d.read(session) == whole[: len(whole) // 2]
    assert d.read(session, "transcript.jsonl@1") == whole


def test_an_emptied_file_keeps_what_the_archive_had(d: Desk) -> None:
    session = d.write("one")
    whole = session.content
    d.pass_()
    session.path.write_bytes(b"")

    d.pass_()
    d.pass_()

    assert d.read(session) == whole


def test_a_rewritten_session_keeps_its_earlier_versions(d: Desk) -> None:
    session = d.write("one", "two")
    versions = [session.content]
    d.pass_()
    for word in (b"uno", b"eins", b"yksi"):
        versions.append(versions[0].replace(b"one", word))
        session.path.write_bytes(versions[-1])
        d.pass_()

    assert d.read(session) == versions[-1]
    found = [d.read(session, f"transcript.jsonl@{n}") for n in (1, 2, 3)]
    assert found == versions[:-1]


def test_of_many_versions_the_first_and_the_newest_stay(d: Desk) -> None:
    session = d.write("number 000")
    first = session.content
    for number in range(MOST_VERSIONS + 5):
        session.path.write_bytes(first.replace(b"number 000", b"number %03d" % number))
        d.pass_()

    copy = d.copy(session)
    assert len(copy.earlier) == MOST_VERSIONS
    assert d.read(session, "transcript.jsonl@1") == first
    with pytest.raises(NotFound):
        d.read(session, "transcript.jsonl@2")


def test_a_todo_list_is_a_state_of_which_the_newest_stays(d: Desk) -> None:
    session = d.write("hello")
    todo = d.claude / "todos" / f"{session.id}-agent-{session.id}.json"
    todo.parent.mkdir()
    for number in range(3):
        todo.write_text(f'["todo {number}"]')
        d.pass_()

    assert d.read(session, f"todos/{todo.name}") == b'["todo 2"]'
    assert d.copy(session).earlier == []


def test_a_file_that_was_moved_or_copied_back_is_not_a_new_version(d: Desk) -> None:
    session = d.write("hello")
    d.pass_()
    size = d.packs()[0].stat().st_size
    elsewhere = session.path.parent.parent / "-elsewhere" / session.path.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(session.content)
    session.path.unlink()

    d.pass_()

    assert d.copy(session).earlier == []
    assert d.copy(session).row.folder == "-elsewhere"
    assert d.packs()[0].stat().st_size == size


def test_what_the_agent_deleted_is_still_readable(d: Desk) -> None:
    session = d.write("hello")
    content = session.content
    d.pass_()
    session.path.unlink()

    d.pass_()

    assert d.read(session) == content
    assert d.copy(session).row.gone_ms


@examples(30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["append", "cut", "rewrite"]), st.binary(max_size=3000)),
        max_size=8,
    )
)
def test_whatever_happens_to_a_file_the_archive_has_its_newest_state(
    steps: list[tuple[str, bytes]],
) -> None:
    with scratch() as folder, desk(folder) as d:
        session = d.write("hello")
        seen = {session.content}
        d.pass_()
        for what, data in steps:
            before = session.content
            now = {"append": before + data, "cut": before[: len(data)], "rewrite": data}[what]
            session.path.write_bytes(now)
            d.pass_()
            if now:
                seen.add(now)
                assert d.read(session) == now
        held = {d.read(session)} | {d.read(session, f.label) for f in d.copy(session).earlier}
        assert all(any(h.startswith(s) for h in held) for s in seen)


def test_a_large_file_is_archived_in_steps_that_a_restart_goes_on_from(
    d: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("karma_sync.archive.archiver.STEP_BYTES", 2 * FRAME_BYTES)
    session = d.write("hello")
    session.beside("tool-results/big.txt", os.urandom(7 * FRAME_BYTES))
    big = (session.path.with_suffix("") / "tool-results" / "big.txt").read_bytes()
    for _ in range(3):
        d.schedule.run()
    d.close()
    d.open()

    d.work()

    assert d.read(session, "tool-results/big.txt") == big


def test_what_cannot_be_read_is_told_and_the_rest_is_archived(
    d: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = d.write("one"), d.write("two")
    secret = first.path.with_suffix("") / "tool-results" / "x.txt"
    first.beside("tool-results/x.txt", b"text")

    def closed(file: SourceFile) -> BinaryIO:
        if file.path == secret:  # permissions do not hold for root, who may run the tests
            raise PermissionError(13, "Permission denied", str(secret))
        return open_source(file)

    monkeypatch.setattr("karma_sync.archive.taking.open_source", closed)
    d.pass_()
    assert d.read(first) == first.content
    assert d.read(second) == second.content
    assert d.errors == [f"{secret} cannot be archived: Permission denied"]
    monkeypatch.undo()

    d.pass_()

    assert d.read(first, "tool-results/x.txt") == b"text"
    assert d.errors == []


def test_the_oldest_sessions_are_archived_first(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("karma_sync.archive.archiver._STEP_SESSIONS", 1)
    sessions = [d.write(f"session {n}") for n in range(3)]
    for age, session in enumerate(sessions):
        os.utime(session.path, (10**9 - age, 10**9 - age))

    d.schedule.run()

    assert d.ids() == {sessions[2].id}


def test_a_busy_session_is_archived_once_a_minute(d: Desk) -> None:
    d.work()
    session = d.write("hello")
    d.requests.touch(session.path)
    assert d.work() == 10
    d.seconds += 10
    d.work()
    assert d.read(session) == session.content
    session.append("more")
    d.requests.touch(session.path)

    assert d.work() == 60
    d.seconds += 60
    d.work()
    assert d.read(session) == session.content


def test_with_shared_only_what_was_sent_is_archived(tmp_path: Path) -> None:
    with desk(tmp_path, ArchiveSettings(keep=Keep.SHARED)) as d:
        mine, shared = d.write("mine"), d.write("shared")
        d.shared = {shared.id}

        d.pass_()

        assert d.ids() == {shared.id}
        d.shared.add(mine.id)
        d.pass_()
        assert d.ids() == {shared.id, mine.id}


def test_with_off_nothing_is_archived(tmp_path: Path) -> None:
    with desk(tmp_path, ArchiveSettings(keep=Keep.OFF)) as d:
        d.write("mine")

        d.pass_()

        assert d.ids() == set()
        assert d.packs() == []
