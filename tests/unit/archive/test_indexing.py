"""Archived sessions are found by what they say, and what was purged is found nowhere any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from karma_sync.archive.pack import pack_path
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.query import Query
from karma_sync.errors import BadInput
from karma_sync.library.hits import Hit, Manner, Results
from karma_sync.library.reader import Library
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.service.sessions.search import SessionSearch, session_search
from karma_sync.settings import ArchiveSettings
from karma_sync.store.library import open_library
from karma_sync.store.state import open_state
from tests.support.archives import ME, PROJECT, Desk, desk
from tests.support.builders import NOW
from tests.support.transcripts import Session

WORD = "quagga"


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


@contextmanager
def searching(d: Desk) -> Iterator[SessionSearch]:
    """Searches the archive beside a library that is empty; nothing is deleted."""
    states, store = open_state(d.folder / "state.db"), open_library(d.folder / "library.db")
    try:
        sessions = ReadableSessions(Library(d.folder / "library", store), d.reader, {})
        yield session_search(states, sessions, NOW, lambda: set(present(d)), set)
    finally:
        states.close()
        store.close()


def hits(d: Desk, text: str, scope: AccessScope = ME, *, every: bool = False) -> list[Hit]:
    with searching(d) as search:
        return list(search.search(scope, Query.parse(text, NOW), Manner(every=every)).hits)


def pattern_hits(d: Desk, pattern: str, text: str = "", scope: AccessScope = ME) -> Results:
    with searching(d) as search:
        return search.search_text(scope, pattern, Query.parse(text, NOW), Manner(most=1))


def present(d: Desk) -> list[str]:
    return [path.stem for path in d.claude.glob("projects/*/*.jsonl")]


def found(d: Desk, text: str, scope: AccessScope = ME) -> list[str]:
    return [hit.readable.manifest.session.session_id for hit in hits(d, text, scope)]


def on_disk(d: Desk, word: str) -> list[str]:
    files = [*d.packs(), *d.folder.glob("archive.db*")]
    return [path.name for path in files if word.encode() in path.read_bytes()]


def purge(d: Desk, session: Session) -> None:
    d.forgetter.purge([d.copy(session).row.key], d.now_ms())


def test_what_is_archived_is_found_where_it_stands(d: Desk) -> None:
    session = d.write("first", f"where is the {WORD}?")
    d.write("another")
    d.pass_()

    [hit] = hits(d, WORD)
    assert session.id.startswith(hit.short_id)
    assert (hit.field, hit.path) == ("prompt", "transcript.jsonl")
    assert WORD.encode() in session.content[hit.at : hit.at + hit.size]
    assert [hit.snippet[start:end] for start, end in hit.marks] == [WORD]


def test_words_in_several_records_are_found_if_no_record_has_all(d: Desk) -> None:
    session = d.write(f"where is the {WORD}?", "and the walrus")
    d.write(f"another {WORD}")
    d.pass_()

    assert found(d, f"{WORD} walrus") == [session.id]
    both = d.write(f"a {WORD} and a walrus")
    d.pass_()
    assert found(d, f"{WORD} walrus") == [both.id]


def test_nothing_is_found_of_what_is_not_indexed_yet_and_that_is_said(d: Desk) -> None:
    d.write(WORD)
    d.archiver.archive(d.source.sessions())

    def notes(scope: AccessScope = ME) -> list[str]:
        with searching(d) as search:
            return list(search.search(scope, Query.parse(WORD, NOW), Manner()).notes)

    assert notes() == ["1 session is not indexed yet: search again later"]
    assert notes(ME.within(team="acme")) == notes(ME.within(agent="codex")) == []
    while d.indexer.index_some():
        continue
    assert notes() == []


def test_a_pattern_is_found_in_the_archive_and_the_search_goes_on_where_it_ended(d: Desk) -> None:
    sessions = [d.write("first", f"where is the {WORD}? \U0001f999"), d.write(f"{WORD} again")]
    d.write("another")
    d.pass_()

    first = pattern_hits(d, "qu[a-z]+ga")
    with searching(d) as search:
        manner = Manner(skip=first.next_skip)
        rest = search.search_text(ME, "qu[a-z]+ga", Query(), manner)
    both = [*first.hits, *rest.hits]
    assert {hit.readable.manifest.session.session_id for hit in both} == {s.id for s in sessions}
    assert "not read yet" in first.notes[0]
    assert (rest.next_skip, rest.notes) == (0, ())
    [hit] = pattern_hits(d, "\U0001f999").hits
    assert sessions[0].id.startswith(hit.short_id) and hit.short_id != sessions[0].id
    assert WORD.encode() in sessions[0].content[hit.at : hit.at + hit.size]


def test_a_pattern_keeps_to_filters_and_scope_and_takes_no_words(d: Desk) -> None:
    d.write(WORD)
    d.pass_()

    assert pattern_hits(d, WORD, "by:me project:repo").hits
    assert not pattern_hits(d, WORD, "by:bob").hits
    assert not pattern_hits(d, WORD, "-project:repo").hits
    assert not pattern_hits(d, WORD, scope=ME.within(team="acme")).hits
    assert not pattern_hits(d, WORD, scope=ME.within(agent="codex")).hits
    with pytest.raises(BadInput):
        pattern_hits(d, WORD, "words")


def test_what_is_appended_is_found_too_and_nothing_twice(d: Desk) -> None:
    session = d.write(f"the {WORD} one")
    d.pass_()
    for number in range(3):
        session.append(f"more {number} about zebras")
        d.pass_()

    assert found(d, "more zebras") == [session.id]
    assert len(hits(d, "zebras", every=True)) == 3 * len(hits(d, '"more 1"', every=True))
    session.path.unlink()
    assert found(d, WORD) == [session.id]


def test_a_session_whose_pack_is_damaged_does_not_stop_the_others(d: Desk) -> None:
    damaged, sound = d.write("broken"), d.write(WORD)
    sessions = d.source.sessions()
    assert d.archiver.archive(sessions) == (2, [])
    row = d.copy(damaged).row
    pack_path(d.root, row.key, row.generation).write_bytes(b"")

    while d.indexer.index_some():
        continue

    assert found(d, WORD) == [sound.id]
    assert found(d, "broken") == []


def test_filters_hold_in_the_archive(d: Desk) -> None:
    session = d.write(WORD, days_ago=0)
    gone = d.write(f"{WORD} that is gone")
    d.pass_()
    gone.path.unlink()
    both = {session.id, gone.id}

    assert set(found(d, f"{WORD} by:me")) == both
    assert set(found(d, f"{WORD} by:bob")) == set()
    assert set(found(d, f"{WORD} project:repo")) == both
    assert set(found(d, f"{WORD} project:other")) == set()
    assert set(found(d, f"{WORD} team:acme")) == set()
    assert set(found(d, f"{WORD} agent:claude-code")) == both
    assert set(found(d, f"{WORD} before:2001-01-01")) == set()
    assert set(found(d, f"{WORD} is:kept")) == {gone.id}
    assert set(found(d, "is:kept")) == {gone.id}
    assert set(found(d, f"-{WORD} is:mine")) == set()


def test_a_reader_of_one_team_project_or_agent_finds_nothing_else(d: Desk) -> None:
    session = d.write(WORD)
    d.pass_()

    assert found(d, WORD, ME.within(project=PROJECT)) == [session.id]
    for scope in (
        ME.within(team="acme"),
        ME.within(project="example.org/acme/other"),
        ME.within(agent="codex"),
    ):
        assert found(d, WORD, scope) == []
        assert found(d, "is:mine", scope) == []


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_is_purged_is_found_nowhere_any_more(d: Desk, is_damaged: bool) -> None:
    session, other = d.write(f"{WORD} here", WORD), d.write("stays here")
    d.pass_()
    assert found(d, WORD) == [session.id]
    if is_damaged:
        for pack in d.packs():
            if session.id in pack.name or session.id.replace("-", "") in pack.name:
                pack.write_bytes(pack.read_bytes()[:20])
    purge(d, session)

    assert found(d, WORD) == []
    assert on_disk(d, WORD) == []
    d.pass_()
    assert found(d, "stays") == [other.id]
    assert found(d, WORD) == []


def test_what_the_limits_drop_is_found_nowhere_any_more(tmp_path: Path) -> None:
    with desk(tmp_path, ArchiveSettings(days=5)) as d:
        session = d.write(WORD)
        d.pass_()
        assert found(d, WORD) == [session.id]
        d.days = 10
        d.pass_()

        assert found(d, WORD) == []
        assert on_disk(d, WORD) == []
