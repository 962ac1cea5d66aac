"""Observations of one's own and Claude Code's memory: what is read, and what of it leaves."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from karma_sync.agents.claude.memory import ClaudeMemory
from karma_sync.agents.observations import NewObservation, OwnObservations, newest
from karma_sync.domain.session.observation import (
    SourceObservation,
    StayReason,
    derived_id,
    moment_text,
)
from karma_sync.domain.session.project import Names, Place, Where
from karma_sync.domain.session.selection import Choices, Exclusion, Limits, Unshared, Whose
from karma_sync.errors import BadInput, NotFound
from karma_sync.sending.observation_selection import ObservationSelector, Rules
from tests.support.builders import ALICE, NOW, PROJECT
from tests.support.observing import saved

OTHER = "example.org/acme/tools"


def own(tmp_path: Path) -> OwnObservations:
    return OwnObservations(tmp_path / "observations" / "own.jsonl")


def new(title: str = "Fixed", scope: str = "project") -> NewObservation:
    return NewObservation("bugfix", title, "the text", scope=scope)


def test_what_is_added_is_read_and_the_file_is_private(tmp_path: Path) -> None:
    file = own(tmp_path)
    before = file.stamp()
    file.add(new().saved(NOW), PROJECT)
    file.add(new("Mine", "personal").saved(NOW), PROJECT)

    found = {e.record.title: (e.project, e.stays) for e in file.read().found}
    assert found == {"Fixed": (PROJECT, None), "Mine": (PROJECT, StayReason.PERSONAL)}
    assert file.stamp() != before
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_deleted_is_gone_and_only_one_is_meant(tmp_path: Path) -> None:
    file = own(tmp_path)
    first = new().saved(NOW)
    file.add(first, PROJECT)
    file.add(new("Other").saved(NOW), PROJECT)

    with pytest.raises(BadInput):
        file.delete("k-", NOW)
    with pytest.raises(NotFound):
        file.delete("nothing", NOW)
    file.delete(first.id, NOW)

    assert [e.record.title for e in file.read().found] == ["Other"]


def test_a_damaged_line_is_said_and_deletes_nothing(tmp_path: Path) -> None:
    file = own(tmp_path)
    file.add(new().saved(NOW), PROJECT)
    with file.path.open("ab") as out:
        out.write(b'{"id": "torn\n[1]\n' + b"[" * 200_000 + b"\n")

    content = file.read()

    assert [e.record.title for e in content.found] == ["Fixed"]
    assert (content.whole, "3 lines" in content.problems[0]) == (False, True)


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    file = own(tmp_path)
    with pytest.raises(BadInput, match="1 MB"):
        file.add(NewObservation("note", "t", "é" * 600_000).saved(NOW), PROJECT)
    assert not file.read().found


def test_a_derived_id_is_the_same_on_every_machine() -> None:
    assert derived_id("s", "t", "title", "2026") == derived_id("s", "t", "title", "2026")
    assert derived_id("s", "t", "title", "2026") != derived_id("st", "", "title", "2026")


def test_of_two_versions_the_newest_counts() -> None:
    old, young = saved(ALICE), saved(ALICE, version=9_000, title="young")
    found = newest([SourceObservation(young), SourceObservation(old)])

    assert [e.record.title for e in found] == ["young"]


def test_of_two_equal_versions_the_personal_one_counts() -> None:
    """A scope may change without a new version; then nothing leaves rather than too much."""
    shared = SourceObservation(saved(ALICE))
    personal = shared.staying(StayReason.PERSONAL)
    foreign = shared.staying(StayReason.FOREIGN)

    for order in ([shared, personal], [personal, shared], [foreign, personal, shared]):
        assert [e.stays for e in newest(order)] == [StayReason.PERSONAL]
    assert [e.stays for e in newest([foreign, shared])] == [None]


def test_each_memory_file_of_claude_code_is_one_observation(tmp_path: Path) -> None:
    place = tmp_path / "claude" / "projects" / "-src-repo" / "memory"
    place.mkdir(parents=True)
    (place / "debugging.md").write_text("# Debugging\nUse the flag.")
    (place / "notes.txt").write_text("no memory")
    (place / "linked.md").symlink_to("/etc/hostname")
    for name, linked in (("-src-a", "memory"), ("-src-b", "")):  # they lead to other texts
        texts = tmp_path / "elsewhere" / name / "memory"
        texts.mkdir(parents=True)
        (texts / "private.md").write_text("# Private")
        if linked:
            (place.parents[1] / name).mkdir()
        (place.parents[1] / name / linked).symlink_to(texts if linked else texts.parent)
    memory = ClaudeMemory([tmp_path / "claude"], ALICE, lambda _: ["/src/repo"])
    other = ClaudeMemory([tmp_path / "claude"], "bob.tower", lambda _: ["/src/repo"])

    [found] = memory.read().found
    first = memory.stamp()
    (place / "debugging.md").write_text("# Debugging\nUse the other flag.")
    os.utime(place / "debugging.md", (2e9, 2e9))
    [edited] = memory.read().found

    assert (found.record.title, found.record.type) == ("Debugging", "memory")
    assert found.directories == ("/src/repo",)
    assert edited.record.id == found.record.id
    assert edited.record.version > found.record.version
    assert memory.stamp() != first
    assert [e.record.id for e in other.read().found] != [found.record.id]


# ---- what leaves

ROOTS = {"/src/repo": PROJECT, "/src/tools": OTHER}


def place_of(path: str) -> Place:
    for root, identity in ROOTS.items():
        if path.startswith(root):
            return Place(Where.PROJECT, identity)
    return Place(Where.NEUTRAL)


def why(found: SourceObservation, source: str = "engram", **rules: object) -> StayReason | None:
    """The reason why an observation stays by these rules; None if it leaves."""
    given: dict[str, object] = {"limits": Limits(), "choices": Choices()}
    made = Rules(names=Names(PROJECT), author=ALICE, **(given | rules))  # type: ignore[arg-type]
    selected = ObservationSelector(place_of, lambda: ROOTS).select(source, [found], made)
    assert len(selected.leaves) + len(selected.stays) == 1
    return selected.stays[0][1] if selected.stays else None


def at(*directories: str, project: str = "") -> SourceObservation:
    return SourceObservation(saved(""), project, directories)


def test_an_observation_belongs_where_its_session_worked_or_by_a_name_that_is_unique() -> None:
    assert why(at("/src/repo", project="repo")) is None
    assert why(at("/src/repo/deep")) is None
    assert why(at(project="repo")) is None
    assert why(at(project="REPO")) is None
    assert why(at("/src/tools", project="repo")) is StayReason.OTHER_PROJECT
    assert why(at("/src/repo", project="tools")) is StayReason.OTHER_PROJECT
    assert why(at("/src/repo", "/src/tools")) is StayReason.OTHER_PROJECT
    assert why(at(project="unheard-of")) is StayReason.NO_PROJECT
    assert why(at(project="tools")) is StayReason.OTHER_PROJECT
    assert why(at("/tmp")) is StayReason.NO_PROJECT  # noqa: S108 a name only


def test_two_projects_of_one_name_keep_what_only_the_name_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ROOTS, "/home/repo", "example.org/other/repo")

    assert why(at(project="repo")) is StayReason.AMBIGUOUS
    assert why(at("/src/repo", project="repo")) is None


def test_ones_own_file_names_the_project_in_full() -> None:
    assert why(at(project=PROJECT), "karma-sync") is None
    assert why(at(project="repo"), "karma-sync") is StayReason.OTHER_PROJECT


def test_choices_and_limits_hold_back() -> None:
    one = at(project="repo")
    name = one.record.id
    later = Limits(since=datetime(2026, 6, 30, tzinfo=UTC))
    earlier = Limits(since=NOW - timedelta(days=9))
    taken = Unshared(whose=Whose.OBSERVATION, name=name)

    assert why(one, received=frozenset({name})) is StayReason.FOREIGN
    assert why(one, choices=Choices(observations=frozenset({name}))) is StayReason.WITHHELD
    assert why(one, unshared=frozenset({taken})) is StayReason.UNSHARED
    assert why(one, unshared=frozenset({taken.changed(lifted=True)})) is None
    assert why(one, limits=later) is StayReason.EARLIER
    assert why(one, limits=earlier) is None
    private = Choices(exclusions=(Exclusion(pattern="/src/repo/private"),))
    assert why(at("/src/repo/private"), choices=private) is StayReason.EXCLUDED
    assert moment_text(NOW) == "2026-05-31T12:00:00Z"
