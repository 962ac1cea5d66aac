"""A transcript read by another process is archived as if the archiver had read it itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from karma_sync.agents.claude.gathering import read_facts, read_new
from karma_sync.agents.listing import file_at
from karma_sync.archive.pack import PackWriter
from karma_sync.archive.store import ArchivedFile
from karma_sync.archive.taking import FileTaker
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.domain.session.source_files import ReadFile, SourceFile
from tests.support.archives import Desk, desk
from tests.support.builders import said

FIRST = said("the first prompt") + said("the second")
TORN = b'{"type": "custom-title", "customTi'
WHOLE = 1_000_000

Reading = Callable[[SourceFile], ReadFile | None]


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s1.jsonl"


def found(path: Path) -> SourceFile:
    file = file_at(TRANSCRIPT, path)
    assert file
    return file


def read(path: Path) -> ReadFile:
    return read_new(found(path), None, lambda _: None)


def taken(path: Path, reading: Reading = lambda file: None, most: int = WHOLE) -> ArchivedFile:
    """The archived file of a transcript that the archive does not have yet."""
    with PackWriter(path.with_suffix(".pack"), 0) as writer:
        return FileTaker(writer, reading).take(found(path), "p", None, most).file


@pytest.mark.parametrize("later", [b"", TORN, said("more"), said("more") + TORN])
def test_the_facts_are_those_of_the_file_as_it_is_archived(path: Path, later: bytes) -> None:
    path.write_bytes(FIRST)
    known = read(path)
    with path.open("ab") as out:
        out.write(later)

    assert taken(path, lambda _: known) == taken(path)


def test_what_was_read_of_other_content_does_not_count(path: Path) -> None:
    path.write_bytes(FIRST)
    known = read(path)
    path.write_bytes(FIRST.replace(b"first", b"third"))

    facts = taken(path, lambda _: known).facts

    assert facts == read_facts(found(path))
    assert facts.first_prompt == "the third prompt"


def test_the_first_part_of_a_large_file_has_the_facts_of_that_part(path: Path) -> None:
    path.write_bytes(FIRST)
    known = read(path)

    part = taken(path, lambda _: known, most=len(said("the first prompt")))

    assert part.facts
    assert part.facts.prompts == 1


def test_a_file_that_shrinks_meanwhile_has_no_facts_of_what_is_not_archived(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(FIRST)
    known = read(path)

    def shrunk(source: BinaryIO, size: int) -> bytes:
        return b"" if source.tell() else source.read(10)

    monkeypatch.setattr("karma_sync.archive.taking._read", shrunk)

    kept = taken(path, lambda _: known)

    assert (kept.size, kept.fed) == (10, 0)
    assert kept.facts
    assert kept.facts.prompts == 0


def test_a_pass_that_reads_ahead_archives_the_same(d: Desk) -> None:
    sessions = [d.write(f"prompt {number}") for number in range(30)]
    d.archiver.read_ahead(d.source.sessions(), much=1)
    try:
        d.pass_()
    finally:
        d.archiver.close()

    for session in sessions:
        assert d.read(session) == session.content
        assert d.copy(session).file(TRANSCRIPT).facts == read_facts(found(session.path))
