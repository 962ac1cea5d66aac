"""The results of a search, their order, and the items that it never shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.domain.access import AccessScope, project_id, reading
from karma_sync.domain.session.query import Query
from karma_sync.errors import BadInput
from karma_sync.library.hits import Hit, Manner, Results
from karma_sync.library.regex_search import RegexSearcher
from karma_sync.library.search import Searcher
from karma_sync.library.selecting import select
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    Desk,
    Shelf,
    Swapping,
    channel_of,
    record,
    team_of_all,
)

WEB, API = "example.org/acme/web", "example.org/acme/api"
ACME = team_of_all(ALICE, BOB, name="acme", projects=(WEB, API))
GLOBEX = team_of_all(CAROL, BOB, name="globex", projects=(WEB,))


@dataclass
class Place:
    """One library, and those who send to it, each through a channel of its own."""

    root: Path
    shelf: Shelf
    desks: dict[str, Desk]

    def session(self, name: str, *lines: bytes, by: str = "alice") -> None:
        """A session that arrives; `by` names a channel."""
        desk = self.desks[by]
        desk.write(b"".join(lines), f"{name}.jsonl")
        desk.package(name)
        self.shelf.importer.import_item(desk.channel, desk.outbox.path, desk.item(name))

    def found(self, query: str, scope: AccessScope | None = None, **manner: Any) -> Results:
        while self.shelf.importer.complete_index():
            pass
        searcher = Searcher(self.shelf.library, EXTRACTORS, TEAMS, NOW)
        wanted = Query.parse(query, NOW)
        return searcher.search(scope or self.shelf.scope, wanted, Manner(**manner))

    def ids(self, query: str, scope: AccessScope | None = None, **manner: Any) -> list[str]:
        hits = self.found(query, scope, **manner).hits
        return [hit.readable.manifest.session.session_id for hit in hits]

    def regex(self, pattern: str, most: int = 20, skip: int = 0) -> tuple[list[str], int]:
        """The sessions that have the pattern, and how many were read."""
        hits, count = self.regex_hits(pattern, most, skip)
        return [hit.short_id for hit in hits], count

    def regex_hits(self, pattern: str, most: int = 20, skip: int = 0) -> tuple[Sequence[Hit], int]:
        scope, library = self.shelf.scope, self.shelf.library
        reader = RegexSearcher(EXTRACTORS, partial(library.content, scope))
        return reader.search(pattern, library.sessions(scope)[skip:], Manner(most))


TEAMS = {"acme": (ACME.id,), "globex": (GLOBEX.id,)}
CHANNELS = {
    "alice": channel_of(ACME, ALICE, WEB),
    "alice-api": channel_of(ACME, ALICE, API),
    "bob": channel_of(ACME, BOB, WEB),
    "carol": channel_of(GLOBEX, CAROL, WEB),
    "bob-globex": channel_of(GLOBEX, BOB, WEB),
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    desks = {name: Desk(tmp_path / name, c, Swapping({})) for name, c in CHANNELS.items()}
    yield Place(tmp_path, Shelf(tmp_path / "me"), desks)


def line(kind: str, *parts: Any, day: int = 20, **fields: Any) -> bytes:
    stamp = f"2026-05-{day:02}T12:00:00.000Z"
    return record(
        type=kind, timestamp=stamp, cwd="/src/repo", message={"content": list(parts)}, **fields
    )


def asked(text: str, **fields: Any) -> bytes:
    return line("user", {"type": "text", "text": text}, **fields)


def answered(text: str, **fields: Any) -> bytes:
    return line("assistant", {"type": "text", "text": text}, **fields)


def called(tool: str, **given: Any) -> bytes:
    return line("assistant", {"type": "tool_use", "name": tool, "input": given})


def returned(text: str) -> bytes:
    return line("user", {"type": "tool_result", "content": text})


def titled(title: str) -> bytes:
    return record(type="custom-title", customTitle=title)


def test_titles_and_prompts_come_before_answers_and_those_before_output(place: Place) -> None:
    place.session("output", asked("first"), returned("zebra in the output"))
    place.session("answer", asked("first"), answered("zebra in the answer"))
    place.session("prompt", asked("first"), asked("zebra in the prompt"))
    place.session("title", asked("first"), titled("zebra in the title"))

    assert place.ids("zebra") == ["title", "prompt", "answer", "output"]


def test_of_two_that_fit_as_well_the_newer_comes_first(place: Place) -> None:
    place.session("newer", asked("x"), answered("zebra here", day=30))
    place.session("older", asked("x"), answered("zebra here", day=1))

    assert place.ids("zebra") == ["newer", "older"]


def test_a_session_is_shown_once_with_how_many_more(place: Place) -> None:
    place.session("s1", *[answered(f"zebra {n}", day=n + 1) for n in range(5)])
    place.session("s2", answered("zebra"))

    assert {h.short_id: h.more for h in place.found("zebra").hits} == {"s1": 4, "s2": 0}
    assert len(place.found("zebra", every=True).hits) == 6
    times = [h.time for h in place.found("zebra", every=True, newest=True).hits]
    assert times == sorted(times, reverse=True)


def test_words_are_all_needed_and_phrases_and_exclusions_hold(place: Place) -> None:
    place.session("both", answered("red fox and blue bird"))
    place.session("one", answered("red bird"))

    assert place.ids("red fox") == ["both"]
    assert sorted(place.ids("red")) == ["both", "one"]
    assert place.ids('"blue bird"') == ["both"]
    assert place.ids('"red blue"') == []
    assert place.ids("bird -fox") == ["one"]
    assert place.ids("-fox") == ["one"]
    assert sorted(place.ids("bi*")) == ["both", "one"]
    assert place.ids("bi") == []


def test_words_that_stand_in_several_records_of_a_session_are_found_with_a_note(
    place: Place,
) -> None:
    place.session("s1", asked("the heron"), answered("the walrus"))
    place.session("s2", asked("the heron"))
    found = place.found("heron walrus")

    assert [h.short_id for h in found.hits] == ["s1"]
    assert len(found.notes) == 1


def test_words_in_several_records_keep_to_all_else_that_was_asked_for(place: Place) -> None:
    place.session("drafts", asked("the heron"), answered("the walrus, a draft"))
    place.session("calls", asked("the heron"), called("Edit", new_string="walrus"))
    place.session("edits", called("Edit", new_string="heron"), called("Edit", new_string="walrus"))
    place.session("times", asked("x", day=1), asked("heron", day=1), answered("walrus", day=28))

    assert sorted(place.ids("heron walrus -draft")) == ["calls", "edits", "times"]
    assert place.ids("heron walrus tool:Edit") == ["edits"]
    assert place.ids("heron walrus since:2026-05-25") == []
    assert "times" not in place.ids("heron walrus before:2026-05-25")


FILTERS = {
    "by:alice": {"web", "api"},
    "by:alice.mbp": {"web", "api"},
    "by:ali": set(),
    "-by:alice": {"bobs", "carols"},
    "by:alice by:carol": {"web", "api", "carols"},
    "by:me": set(),
    "project:api": {"api"},
    "project:acme/web": {"web", "bobs", "carols"},
    "project:eb": set(),
    "team:globex": {"carols"},
    "team:nope": set(),
    "agent:claude-code": {"web", "api", "carols"},
    "agent:claude-code/reviewer": {"bobs"},
    "agent:claude-code*": {"web", "api", "bobs", "carols"},
    "model:opus": {"web"},
    "branch:feature/x": {"api"},
    "file:auth.py": {"web"},
    "file:src/auth.py": {"web"},
    "-file:auth.py": {"api", "bobs", "carols"},
    "tool:Edit": {"web"},
    "since:2026-05-25": {"carols"},
    "before:2026-05-25": {"web", "api", "bobs"},
    "is:live": set(),
    "is:mine": set(),
    "file:auth.py file:other.py": {"web"},
    "-file:auth.py -file:other.py": {"api", "bobs", "carols"},
    "is:live is:mine": set(),
    "is:observation is:mine": set(),
    "-is:live": {"web", "api", "bobs", "carols"},
    "since:2026-05-25 since:2026-05-01": {"web", "api", "bobs", "carols"},
    "before:2026-05-25 before:2026-05-01": {"web", "api", "bobs"},
    "-since:2026-05-25": {"web", "api", "bobs"},
    "-before:2026-05-25": {"carols"},
}


@pytest.fixture
def filled(place: Place) -> Place:
    place.session(
        "web",
        asked("otter"),
        line("assistant", {"type": "text", "text": "ok"}, message_model="x"),
        record(type="assistant", message={"model": "claude-opus-4", "content": []}),
        called("Edit", file_path="/src/auth.py", new_string="otter"),
    )
    place.session("api", asked("otter", gitBranch="feature/x"), by="alice-api")
    place.session("bobs", asked("otter"), record(type="agent-name", agentName="reviewer"), by="bob")
    place.session("carols", asked("otter", day=28), by="carol")
    return place


@pytest.mark.parametrize("each", FILTERS)
def test_filters(filled: Place, each: str) -> None:
    assert set(filled.ids(f"otter {each}")) == FILTERS[each]
    if each != "tool:Edit":
        assert set(filled.ids(each)) == FILTERS[each]


def test_of_two_tools_either_suffices(filled: Place) -> None:
    filled.session("ran", called("Bash", command="otter"))

    assert sorted(filled.ids("otter tool:Edit tool:Bash")) == ["ran", "web"]
    assert sorted(filled.ids("tool:Edit tool:Bash")) == ["ran", "web"]


def test_a_tool_is_found_by_its_name_and_not_by_its_input(filled: Place) -> None:
    filled.session("said", answered("Edit otter"))

    assert filled.ids("tool:Edit") == ["web"]
    assert filled.ids("tool:auth") == []


def test_results_come_in_pages_that_neither_repeat_nor_skip(place: Place) -> None:
    for number in range(7):
        place.session(f"s{number}", answered(f"zebra number {number}"))
    seen: list[str] = []
    skip = 0
    while True:
        page = place.found("zebra", most=3, skip=skip)
        seen += [hit.short_id for hit in page.hits]
        assert page.total == 7
        if not page.next_skip:
            break
        skip = page.next_skip

    assert sorted(seen) == [f"s{number}" for number in range(7)]


def test_a_session_that_came_through_two_teams_is_found_once(place: Place) -> None:
    for by in ("bob", "bob-globex"):
        place.session("same", answered("zebra"), by=by)

    assert place.ids("zebra") == ["same"]
    assert place.ids("zebra team:acme") == ["same"]
    assert place.ids("zebra team:globex") == ["same"]


def test_a_reader_finds_nothing_beyond_its_scope(filled: Place) -> None:
    everything = filled.shelf.scope
    acme = everything.within(team=ACME.id)
    guest = AccessScope(
        "guest.pc", frozenset({ACME.id}), scopes=frozenset({reading(project_id(ACME.id, API))})
    )

    assert set(filled.ids("otter", acme)) == {"web", "api", "bobs"}
    assert set(filled.ids("is:mine by:carol", acme)) == set()
    assert set(filled.ids("by:carol", acme)) == set()
    assert set(filled.ids("team:globex otter", acme)) == set()
    assert set(filled.ids("otter", everything.within(agent="claude-code/reviewer"))) == {"bobs"}
    assert set(filled.ids("otter", guest)) == {"api"}
    assert set(filled.ids("file:auth.py", guest)) == set()
    assert set(filled.ids("-fox", guest)) == {"api"}
    assert filled.ids("otter", AccessScope("guest.pc")) == []


def test_the_words_are_marked_where_they_stand(place: Place) -> None:
    place.session("s1", answered("x " * 300 + "the Café\nis  open " + "y " * 300))
    [hit] = place.found("cafe open").hits

    assert [hit.snippet[start:end] for start, end in hit.marks] == ["Café", "open"]
    assert "\n" not in hit.snippet
    assert len(hit.snippet) < 200


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("in src/auth/login_page.py:42", "src/auth/login_page.py:42"),
        ("全文検索機能です", "検索"),
        ("全文検索機能です", "能"),
        ("全文検索機能です", "全文検索機能"),
        ("การค้นหา", "ค้น"),
        ("naïve Ünïcode", "naive unicode"),
        ("call foo(bar=[1, 2])", "foo(bar=[1, 2])"),
        ('he said "no" twice', '"said no"'),
    ],
)
def test_texts_of_every_kind_are_found(place: Place, text: str, query: str) -> None:
    place.session("s1", answered(text))
    place.session("s2", answered("something else 索検 機械"))

    assert place.ids(query)[0] == "s1"


def test_an_emoji_alone_is_not_indexed_and_that_is_said(place: Place) -> None:
    place.session("s1", answered("done 🎉"))

    assert place.found("🎉").hits == []
    assert "--regex" in place.found("🎉").notes[0]
    assert place.regex("🎉")[0] == ["s1"]


def test_a_pattern_finds_what_the_index_leaves_out(filled: Place) -> None:
    filled.session("deep", asked("x"), returned("a " * 3000 + "timeout=45s"))
    [hit], _ = filled.regex_hits(r"timeout=\d+s")

    assert (hit.short_id, hit.field) == ("deep", "result")
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["timeout=45s"]


def test_a_pattern_search_for_every_record_ends_within_a_session_too(filled: Place) -> None:
    filled.session("long", *(asked(f"lynx {number}") for number in range(9)))
    library, scope = filled.shelf.library, filled.shelf.scope
    searcher = RegexSearcher(EXTRACTORS, partial(library.content, scope))
    sessions = library.sessions(scope)

    hits, _ = searcher.search("lynx", sessions, Manner(4, every=True))
    [best], _ = searcher.search("lynx", sessions, Manner(4))

    assert len(hits) == 4
    assert best.more == 8


def test_a_pattern_search_goes_on_where_it_ended(filled: Place) -> None:
    first, count = filled.regex("ot+er", most=2)
    second, left = filled.regex("otter", most=9, skip=count)

    assert sorted((*first, *second)) == sorted({"web", "api", "bobs", "carols"})
    assert count + left == len(filled.shelf.library.sessions(filled.shelf.scope))


def test_what_is_no_pattern_is_refused(place: Place) -> None:
    with pytest.raises(BadInput):
        place.regex("(")


@pytest.mark.parametrize("each", FILTERS)
def test_a_list_is_filtered_as_a_search_is(filled: Place, each: str) -> None:
    filled.found("x")
    searcher = Searcher(filled.shelf.library, EXTRACTORS, TEAMS, NOW)
    scope = filled.shelf.scope
    everything = filled.shelf.library.sessions(scope)
    for query in (each, f"otter {each}", f"{each} by:alice"):
        listed = select(searcher, scope, Query.parse(query, NOW), everything)

        assert {r.manifest.session.session_id for r in listed} == set(filled.ids(query)) | (
            FILTERS[each] if query == "otter tool:Edit" else set()
        )


def test_what_the_agent_deleted_is_kept(place: Place) -> None:
    place.session("gone", asked("otter"))
    place.session("there", asked("otter"))
    while place.shelf.importer.complete_index():
        pass
    scope = AccessScope(ALICE, frozenset({ACME.id}))
    searcher = Searcher(place.shelf.library, EXTRACTORS, TEAMS, NOW, lambda: {"there"})
    hits = searcher.search(scope, Query.parse("otter is:kept", NOW), Manner()).hits
    listed = select(
        searcher, scope, Query.parse("is:kept", NOW), place.shelf.library.sessions(scope)
    )

    assert [h.readable.manifest.session.session_id for h in hits] == ["gone"]
    assert [r.manifest.session.session_id for r in listed] == ["gone"]
