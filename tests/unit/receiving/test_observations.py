"""Observations on their way: from an outbox into a library, with the name of who wrote them."""

from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.channel.verify import verify_observations
from karma_sync.domain import limits
from karma_sync.domain.session.observation import Observation, ObservationFilter
from karma_sync.domain.session.query import Query
from karma_sync.errors import BadInput, NotFound
from karma_sync.library.observations import Observations, label, search_beside
from karma_sync.service.sessions.observations import received_ids
from karma_sync.store import observations
from tests.support.builders import ALICE, BOB, CAROL, NOW, Shelf, Swapping, channel_of, team_of_all
from tests.support.observing import ObservingDesk, read, saved, titles

TEAM = team_of_all(ALICE, BOB, CAROL)
FROM_ALICE, FROM_CAROL = channel_of(TEAM, ALICE), channel_of(TEAM, CAROL)


@pytest.fixture
def desk(tmp_path: Path) -> ObservingDesk:
    return ObservingDesk(tmp_path / "alice", FROM_ALICE)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bob")


def test_an_observation_arrives_with_its_author_and_agent(
    desk: ObservingDesk, shelf: Shelf
) -> None:
    sent = saved(ALICE)
    desk.send([sent])
    desk.arrive_at(shelf)

    [found] = read(shelf)
    assert found.record == sent
    assert label(found, BOB) == "[bugfix] Fixed thing 1 (by alice.mbp)"
    assert label(found, ALICE) == "[bugfix] Fixed thing 1"
    assert desk.described().session.records == 1


def test_observations_are_no_sessions(desk: ObservingDesk, shelf: Shelf) -> None:
    desk.send([saved(ALICE)])
    desk.arrive_at(shelf)

    assert shelf.library.sessions(shelf.scope) == []
    assert shelf.library.projects(shelf.scope) == set()


def test_the_newest_version_wins_and_keeps_its_place(desk: ObservingDesk, shelf: Shelf) -> None:
    desk.send([saved(ALICE, 1), saved(ALICE, 2)])
    desk.arrive_at(shelf)
    desk.send([saved(ALICE, 1, version=5_000, title="Fixed for good"), saved(ALICE, 2)])
    desk.arrive_at(shelf)

    assert sorted(titles(shelf)) == ["Fixed for good", "Fixed thing 2"]
    with shelf.library.store.reading() as tx:
        [counts] = observations.results(tx).values()
    assert counts == {"imported": 1, "skipped": 1}


def test_what_its_source_deleted_is_gone_and_its_text_too(
    desk: ObservingDesk, shelf: Shelf
) -> None:
    desk.send([saved(ALICE, 1, content="a word like quagmire"), saved(ALICE, 2)])
    desk.arrive_at(shelf)
    desk.send([saved(ALICE, 2)])
    desk.arrive_at(shelf)
    shelf.importer.scrub()

    assert titles(shelf) == ["Fixed thing 2"]
    kept = [path.read_bytes() for path in shelf.root.rglob("*") if path.is_file()]
    assert not any(b"quagmire" in content for content in kept)


def test_an_observation_that_is_there_again_after_its_deletion_is_read_again(
    desk: ObservingDesk, shelf: Shelf
) -> None:
    for found in ([saved(ALICE)], [], [saved(ALICE)], [saved(ALICE)]):
        desk.send(found)
    desk.arrive_at(shelf)

    assert titles(shelf) == ["Fixed thing 1"]


def test_the_same_again_writes_nothing(desk: ObservingDesk) -> None:
    first = desk.send([saved(ALICE, n) for n in range(50)])
    before = desk.files()
    again = desk.send([saved(ALICE, n) for n in range(50)])

    assert (first.revision > 0, again.revision) == (True, 0)
    assert desk.files() == before


def test_an_edit_writes_the_chunks_around_it_and_no_others(tmp_path: Path) -> None:
    desk = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    found = [saved(ALICE, n, content=f"{n} " + "x" * 2_000) for n in range(1_500)]
    desk.send(found)
    before = set(desk.described().chunks())
    found[300] = replace_text(found[300], "changed")
    desk.send(found)

    assert len(set(desk.described().chunks()) - before) <= 3
    assert len(before) > 9


def replace_text(record: Observation, content: str) -> Observation:
    """The same observation after an edit."""
    return record.changed(content=content, version=record.version + 10_000)


def test_secrets_are_cut_before_they_leave_and_counted(tmp_path: Path, shelf: Shelf) -> None:
    redactor = Swapping({b"hunter2": b"[REDACTED:word]"})
    desk = ObservingDesk(tmp_path / "alice", FROM_ALICE, redactor)
    desk.send([saved(ALICE, content="password hunter2"), saved(ALICE, 2, title="hunter2!")])
    desk.arrive_at(shelf)

    assert desk.described().redactions == {"word": 2}
    assert {each.record.content for each in read(shelf)} >= {"password [REDACTED:word]"}
    assert "[REDACTED:word]!" in titles(shelf)


def test_a_new_redactor_packages_all_again_also_without_the_source(
    tmp_path: Path, shelf: Shelf
) -> None:
    desk = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    desk.send([saved(ALICE, content="password hunter2")])
    desk.arrive_at(shelf)
    desk.restart(Swapping({b"hunter2": b"[REDACTED:word]"}, "swap-2"))
    desk.send([], kept=None)
    desk.arrive_at(shelf)

    assert [each.record.content for each in read(shelf)] == ["password [REDACTED:word]"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scope": "personal"}, "8-scope"),
        ({"author": BOB}, "8-author"),
        ({"project": "example.org/other/repo"}, "8-project"),
        ({"content": "é" * 600_000}, "8-size"),
        ({"deleted": True}, "8-form"),
        ({"id": "../../x"}, "8-form"),
        ({"version": 0}, "8-form"),
        ({"title": "x" * 500}, "8-form"),
    ],
)
def test_a_record_that_fails_the_eighth_step_is_left_out_and_the_others_count(
    changes: dict[str, object], code: str
) -> None:
    good, evil = saved(ALICE), saved(ALICE, 2).changed(**changes)
    raw = b"".join(each.line() + b"\n" for each in (good, evil)) + b"no JSON\n"

    checked = verify_observations([raw[:100], raw[100:]], FROM_ALICE)

    assert checked.found.value == (good,)
    expected = {"8-form": 1}
    expected[code] = expected.get(code, 0) + 1
    assert checked.refused == expected


def test_what_another_program_sends_of_scope_personal_is_not_read(
    tmp_path: Path, shelf: Shelf
) -> None:
    """The sender's own program holds it back: here is one that does not."""
    careless = Swapping({b'"type":"evil"': b'"type":"evil","scope":"personal"'})
    desk = ObservingDesk(tmp_path / "alice", FROM_ALICE, careless)
    desk.send([saved(ALICE), saved(ALICE, 2, type="evil")])
    desk.arrive_at(shelf)

    assert titles(shelf) == ["Fixed thing 1"]
    with shelf.library.store.reading() as tx:
        [counts] = observations.results(tx).values()
    assert counts == {"imported": 1, "skipped": 0, "8-scope": 1}


def test_author_preserved_on_re_upsert(tmp_path: Path, shelf: Shelf) -> None:
    """The first author stays when another edits, and the editor is shown."""
    alice = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    carol = ObservingDesk(tmp_path / "carol", FROM_CAROL)
    alice.send([saved(ALICE)])
    alice.arrive_at(shelf)
    carol.send([saved(CAROL, 1, version=9_000, title="Fixed better")])
    carol.arrive_at(shelf)
    alice.send([saved(ALICE)])
    alice.arrive_at(shelf)

    [found] = read(shelf)
    assert (found.author, found.editor) == (ALICE, CAROL)
    assert label(found, BOB) == "[bugfix] Fixed better (by alice.mbp, edited by carol.air)"


def test_nobody_names_another_as_the_editor(desk: ObservingDesk, shelf: Shelf) -> None:
    desk.send([saved(ALICE, editor=CAROL)])
    desk.arrive_at(shelf)

    [found] = read(shelf)
    assert (found.author, found.editor) == (ALICE, "")


def test_who_sends_an_id_of_mine_stops_nothing_of_mine(tmp_path: Path, shelf: Shelf) -> None:
    alice = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    carol = ObservingDesk(tmp_path / "carol", FROM_CAROL)
    alice.send([saved(ALICE, 1)])
    alice.arrive_at(shelf)  # alice's library has what she sent too
    carol.send([saved(CAROL, 1, version=9_000), saved(CAROL, 2)])
    carol.arrive_at(shelf)

    both = [saved(CAROL, 1).id, saved(CAROL, 2).id]
    assert received_ids(shelf.library.store, ALICE, both) == {saved(CAROL, 2).id}
    assert received_ids(shelf.library.store, BOB, both) == {saved(CAROL, 1).id, saved(CAROL, 2).id}


def test_nobody_deletes_what_another_wrote(tmp_path: Path, shelf: Shelf) -> None:
    alice = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    carol = ObservingDesk(tmp_path / "carol", FROM_CAROL)
    alice.send([saved(ALICE)])
    alice.arrive_at(shelf)
    carol.send([saved(CAROL, 1, version=9_000, title="")])
    carol.send([])
    carol.arrive_at(shelf)

    assert titles(shelf) == ["Fixed thing 1"]


def test_the_author_deletes_also_what_another_edited(tmp_path: Path, shelf: Shelf) -> None:
    alice = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    carol = ObservingDesk(tmp_path / "carol", FROM_CAROL)
    alice.send([saved(ALICE)])
    alice.arrive_at(shelf)
    carol.send([saved(CAROL, 1, version=9_000)])
    carol.arrive_at(shelf)
    alice.send([saved(ALICE, version=9_500)])
    alice.send([])
    alice.arrive_at(shelf)

    assert titles(shelf) == []


def test_the_author_deletes_also_what_another_put_over_it_for_good(
    tmp_path: Path, shelf: Shelf
) -> None:
    """A hostile member takes the highest version: it is named, and the author can end it."""
    alice = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    carol = ObservingDesk(tmp_path / "carol", FROM_CAROL)
    alice.send([saved(ALICE)])
    alice.arrive_at(shelf)
    carol.send([saved(CAROL, 1, title="not so", version=limits.NUMBER)])
    carol.arrive_at(shelf)
    alice.send([saved(ALICE, title="again mine", version=9_500)])
    alice.arrive_at(shelf)
    assert [(e.record.title, e.author, e.editor) for e in read(shelf)] == [("not so", ALICE, CAROL)]

    alice.send([])
    alice.arrive_at(shelf)

    assert titles(shelf) == []
    carol.send([])
    carol.arrive_at(shelf)
    alice.send([saved(ALICE, title="mine once more", version=9_900)])
    alice.arrive_at(shelf)
    assert [(e.record.title, e.author, e.editor) for e in read(shelf)] == [
        ("mine once more", ALICE, "")
    ]


def test_of_a_repeated_id_the_highest_version_counts_and_the_others_are_counted() -> None:
    lines = [saved(ALICE, 1, version=v).line() for v in (2, 3, 1)]

    checked = verify_observations([b"\n".join(lines)], FROM_ALICE)

    assert [each.version for each in checked.found.value] == [3]
    assert checked.refused == {"8-repeated": 2}


def test_observation_list_author_with_a_cursor_over_several_authors(
    tmp_path: Path, shelf: Shelf
) -> None:
    """`observation list --author A`: each page goes on where the last one ended."""
    for tag, channel in ((ALICE, FROM_ALICE), (CAROL, FROM_CAROL)):
        desk = ObservingDesk(tmp_path / tag, channel)
        ids = range(0, 40, 2) if tag == ALICE else range(1, 40, 2)
        desk.send([saved(tag, n, updated="2026-05-31T12:00:00Z") for n in ids])
        desk.arrive_at(shelf)
    reader = Observations(shelf.library.store)
    wanted = ObservationFilter(authors=("alice",))

    pages, cursor = [], ""
    while True:
        page = reader.page(shelf.scope, wanted, 7, cursor)
        pages.append([each.id for each in page.found])
        cursor = page.cursor
        if not cursor:
            break

    found = [each for page in pages for each in page]
    assert [len(page) for page in pages] == [7, 7, 6]
    assert sorted(found) == [f"obs-{n:04d}" for n in range(0, 40, 2)]
    assert reader.count(shelf.scope, wanted) == 20
    with pytest.raises(BadInput):
        reader.page(shelf.scope, wanted, 7, "nonsense")


def test_beside_sessions_each_kind_of_filter_must_fit_and_of_one_kind_any(
    desk: ObservingDesk, shelf: Shelf
) -> None:
    desk.send([saved(ALICE, updated="2026-05-20T12:00:00Z")])
    desk.arrive_at(shelf)
    reader = Observations(shelf.library.store)

    def found(text: str) -> list[str]:
        query = Query.parse(f"is:observation {text}", NOW)
        return [each.id for each in search_beside(reader, shelf.scope, query, NOW, 5)]

    assert found("by:alice") == found("by:alice by:carol") == ["obs-0001"]
    assert found("is:mine") == found("is:mine by:alice") == []
    assert found("since:2026-05-25") == []
    assert found("since:2026-05-25 since:2026-05-01") == ["obs-0001"]


def test_an_observation_that_comes_twice_is_there_once(tmp_path: Path, shelf: Shelf) -> None:
    """Through two sources of one member: Engram's database, and its folder in the repository."""
    desk = ObservingDesk(tmp_path / "alice", FROM_ALICE)
    for source in ("engram", "karma-sync"):
        desk.send([saved(ALICE)], source)
        desk.arrive_at(shelf, source)

    assert titles(shelf) == ["Fixed thing 1"]


def test_observations_are_found_by_type_project_time_and_id(
    desk: ObservingDesk, shelf: Shelf
) -> None:
    desk.send([saved(ALICE), saved(ALICE, 2, type="decision", updated="2026-01-01T00:00:00Z")])
    desk.arrive_at(shelf)
    reader = Observations(shelf.library.store)

    def found(**wanted: object) -> list[str]:
        asked = ObservationFilter(**wanted)  # type: ignore[arg-type] # each test gives one kind
        return [each.id for each in reader.page(shelf.scope, asked).found]

    assert found(types=("Decision",)) == ["obs-0002"]
    assert found(since="2026-05-01") == ["obs-0001"]
    assert found(projects=("repo",)) == ["obs-0001", "obs-0002"]
    assert found(projects=("epo",)) == []
    assert reader.one(shelf.scope, "obs-0002").record.type == "decision"
    with pytest.raises(BadInput):
        reader.one(shelf.scope, "obs-")
    with pytest.raises(NotFound):
        reader.one(shelf.scope, "nothing")


def test_a_reader_of_another_team_sees_none(desk: ObservingDesk, shelf: Shelf) -> None:
    """Unrelated projects leak nothing."""
    desk.send([saved(ALICE)])
    desk.arrive_at(shelf)
    reader = Observations(shelf.library.store)
    elsewhere = replace(shelf.scope, teams=frozenset({"another"}))
    other_project = replace(shelf.scope, only=frozenset({"example.org/acme/tools"}))

    assert reader.page(elsewhere).found == []
    assert reader.page(other_project).found == []
    with pytest.raises(NotFound):
        reader.one(elsewhere, "obs-0001")


def test_a_retraction_of_the_item_takes_all_its_observations(
    desk: ObservingDesk, shelf: Shelf
) -> None:
    desk.send([saved(ALICE, content="a word like quagmire")])
    desk.arrive_at(shelf)
    desk.packager.retract(FROM_ALICE, desk.item_of(), desk.outbox)
    shelf.importer.retract(FROM_ALICE, desk.outbox.path, desk.item_of())
    shelf.importer.scrub()

    assert titles(shelf) == []
    kept = [path.read_bytes() for path in shelf.root.rglob("*") if path.is_file()]
    assert not any(b"quagmire" in content for content in kept)
