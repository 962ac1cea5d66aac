"""A second process reads ahead; whatever happens to it, no facts are lost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from karma_sync.agents import catalogue, read_ahead
from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.gathering import read_new
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.agents.listing import file_at
from karma_sync.agents.read_ahead import ReadAhead, answer
from karma_sync.domain.session.source_files import ReadFile, SourceFile
from tests.support.builders import said
from tests.support.harness import until
from tests.unit.sending.test_passes import hearing

FILES = 100


def files(root: Path, count: int = FILES) -> list[SourceFile]:
    """This number of transcripts, each with other facts."""
    return [written(root / f"s{n}.jsonl", said(f"prompt {n}")) for n in range(count)]


def written(path: Path, content: bytes) -> SourceFile:
    path.write_bytes(content)
    found = file_at("transcript.jsonl", path)
    assert found
    return found


def read_here(file: SourceFile) -> ReadFile:
    return read_new(file, None, lambda _: None)


def other_processes() -> list[psutil.Process]:
    """The processes that read ahead for this process."""
    return [p for p in psutil.Process().children() if read_ahead.__name__ in p.cmdline()]


@pytest.fixture
def found(tmp_path: Path) -> list[SourceFile]:
    return files(tmp_path)


@pytest.fixture
def reader(tmp_path: Path, found: list[SourceFile]) -> Iterator[ReadAhead]:
    """A reader of these files whose process has begun to answer."""
    stranger = written(tmp_path / "another.jsonl", said("of another reader"))
    reader = ReadAhead(found)
    try:
        until(lambda: reader.take(stranger) or reader.has_started, "it answers")
        yield reader
    finally:
        reader.close()


def test_reading_ahead_gives_the_same_facts(reader: ReadAhead, found: list[SourceFile]) -> None:
    for file in found[:50]:
        assert reader.take(file) == read_here(file)
    reader.close()
    assert other_processes() == []


def test_it_ends_with_the_last_file(tmp_path: Path) -> None:
    found = files(tmp_path, 3)
    reader = ReadAhead(found)
    until(lambda: reader.take(found[0]) or reader.has_ended, "it works")

    assert [reader.take(file) for file in found[1:]] == [read_here(file) for file in found[1:]]
    assert reader.has_ended
    assert other_processes() == []


def test_after_its_death_the_caller_reads_the_files(
    reader: ReadAhead, found: list[SourceFile]
) -> None:
    [process] = other_processes()
    process.kill()
    taken = [reader.take(file) for file in found]

    assert reader.has_ended
    assert taken[-1] is None
    for one, file in zip(taken, found, strict=True):
        assert one is None or one == read_here(file)
    assert other_processes() == []


def test_it_ends_when_the_first_process_ends(tmp_path: Path) -> None:
    """A killed process cannot tell its child to end."""
    program = """if True:
        import os, sys, time
        from pathlib import Path
        from tests.unit.agents.test_read_ahead import files, other_processes
        from karma_sync.agents.read_ahead import ReadAhead
        reader = ReadAhead(files(Path(sys.argv[1])))
        print(other_processes()[0].pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    ) as we:
        assert we.stdout
        process = psutil.Process(int(we.stdout.readline()))
        we.kill()

    until(lambda: not process.is_running(), "it is gone")


def test_taking_a_file_before_its_request_does_not_wait(
    reader: ReadAhead, found: list[SourceFile]
) -> None:
    assert reader.take(found[-1]) is None
    assert reader.take(found[0]) == read_here(found[0])


def test_no_module_is_imported_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "karma_sync").mkdir()
    (tmp_path / "karma_sync" / "__init__.py").write_text("raise SystemExit('not this one')")
    [file] = files(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    reader = ReadAhead([file])
    until(lambda: reader.take(file) or reader.has_ended, "it answers, or ends")
    has_started = reader.has_started
    reader.close()

    assert has_started


def test_an_unreadable_file_is_left_to_the_caller(tmp_path: Path) -> None:
    [file] = files(tmp_path, 1)
    question = b'{"name": "transcript.jsonl", "path": "%s", "stat": {%s}}' % (
        os.fsencode(file.path),
        b'"size": 5, "mtime_ns": 0, "inode": 1',
    )

    assert answer(question) == b"null"


class Kept(dict[str, ReadFile]):
    """The values that a catalogue saves."""

    def save(self, file: ReadFile) -> None:
        self[file.path] = file


def sessions(claude: Path, count: int) -> ClaudeSource:
    """This number of sessions, each with a subagent."""
    directory = claude / "projects" / "-src"
    for n in range(count):
        place = directory / f"00000000-0000-4000-8000-{n:012}"
        (place / "subagents").mkdir(parents=True)
        place.with_suffix(".jsonl").write_bytes(said(f"prompt {n}", cwd=f"/src/{n}"))
        (place / "subagents" / "agent-1.jsonl").write_bytes(said("do it", cwd=f"/src/{n}/inner"))
    return ClaudeSource([claude])


def test_facts_are_the_same_with_and_without_reading_ahead(tmp_path: Path) -> None:
    source = sessions(tmp_path, 300)
    plain, kept = Kept(), Kept()
    here, reading = Catalogue(list, plain.save), Catalogue(list, kept.save)

    reading.read_ahead(source.sessions(), much=1)
    assert len(other_processes()) == 1
    for session in source.sessions():
        assert reading.facts(session) == here.facts(session)
        time.sleep(0.005)  # as packaging would take
    reading.close()

    assert kept == plain
    assert other_processes() == []


class Earlier:
    """A reader that has read every file as it was at the beginning."""

    has_ended = False

    def __init__(self, found: Iterable[SourceFile]) -> None:
        self.read = {file.path: read_here(file) for file in found}

    def take(self, file: SourceFile) -> ReadFile | None:
        return self.read.get(file.path)


def test_lines_written_after_reading_ahead_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "ReadAhead", Earlier)
    source = sessions(tmp_path, 1)
    kept = Kept()
    reading = Catalogue(list, kept.save)
    reading.read_ahead(source.sessions(), much=1)
    transcript = source.sessions()[0].transcript.path
    with transcript.open("ab") as out:
        out.write(said("one more"))

    assert reading.facts(source.sessions()[0]).prompts == 2
    assert kept[str(transcript)].facts.prompts == 2


def test_files_that_a_command_read_meanwhile_are_not_read_again(tmp_path: Path) -> None:
    source = sessions(tmp_path, 3)
    kept = Kept()
    daemons, commands = (Catalogue(lambda: list(kept.values()), kept.save) for _ in range(2))
    daemons.plans(source.sessions()[0])  # it has looked what it knows: nothing
    for session in source.sessions():
        commands.facts(session)

    with hearing() as opened:
        daemons.read_ahead(source.sessions(), much=1)
        assert [daemons.facts(each).prompts for each in source.sessions()] == [1, 1, 1]
    assert [path for path in opened if path.endswith(".jsonl")] == []
    assert other_processes() == []


def test_few_bytes_are_not_read_ahead(tmp_path: Path) -> None:
    source = sessions(tmp_path, 3)
    reading = Catalogue(list, lambda _: None)
    reading.read_ahead(source.sessions())

    assert other_processes() == []
    assert [reading.facts(each).prompts for each in source.sessions()] == [1, 1, 1]
