"""Projects: found by their names, and assigned to sessions by the places where those worked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.domain.session.project import (
    Belonging,
    Names,
    Place,
    SharedProject,
    Where,
    belonging_of,
    find_project,
    identity_below,
)
from karma_sync.errors import BadInput, NotFound
from tests.support.builders import PROJECT, examples

KNOWN = [
    "example.org/acme/repo",
    "example.org/acme/team-repo",
    "example.org/other/repo",
    "example.org/acme/tools",
    "other.org/acme/tools/deep",
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("tools", "example.org/acme/tools"),
        ("/tools", "example.org/acme/tools"),
        ("acme/tools/", "example.org/acme/tools"),
        ("Acme/Repo", "example.org/acme/repo"),
        ("EXAMPLE.org/acme/repo", "example.org/acme/repo"),
        ("team-repo", "example.org/acme/team-repo"),
        ("deep", "other.org/acme/tools/deep"),
    ],
)
def test_a_project_is_found_by_its_name_or_a_unique_ending(wanted: str, found: str) -> None:
    assert find_project(wanted, KNOWN) == found


def test_an_ending_that_fits_several_projects_names_them() -> None:
    with pytest.raises(BadInput) as refused:
        find_project("repo", KNOWN)

    assert refused.value.hint == "example.org/acme/repo or example.org/other/repo"


@pytest.mark.parametrize("wanted", ["", "/", "ools", "epo", "acme", "example.org", "tools/x", "."])
def test_part_of_a_word_finds_no_project(wanted: str) -> None:
    with pytest.raises(NotFound):
        find_project(wanted, KNOWN)


HERE, THERE = Place(Where.PROJECT, PROJECT), Place(Where.PROJECT, "example.org/acme/tools")
NOWHERE, GONE = Place(Where.NEUTRAL), Place(Where.ELSEWHERE, why="the directory is gone")


@pytest.mark.parametrize(
    ("places", "belonging"),
    [
        ([], Belonging()),
        ([HERE], Belonging(project=PROJECT)),
        ([HERE, HERE], Belonging(project=PROJECT)),
        ([HERE, NOWHERE], Belonging(project=PROJECT)),
        ([NOWHERE], Belonging()),
        ([GONE], Belonging(elsewhere=("/0",))),
        ([HERE, GONE], Belonging(mixed=(PROJECT,), elsewhere=("/1",))),
        ([HERE, NOWHERE, GONE], Belonging(mixed=(PROJECT,), elsewhere=("/2",))),
        ([HERE, THERE], Belonging(mixed=(PROJECT, THERE.identity))),
        ([THERE, NOWHERE, HERE], Belonging(mixed=(PROJECT, THERE.identity))),
        (
            [HERE, THERE, GONE],
            Belonging(mixed=(PROJECT, THERE.identity), elsewhere=("/2",)),
        ),
    ],
)
def test_a_session_belongs_to_a_project_only_if_it_worked_nowhere_else(
    places: list[Place], belonging: Belonging
) -> None:
    assert belonging_of({f"/{n}": place for n, place in enumerate(places)}) == belonging


@examples()
@given(st.lists(st.sampled_from([HERE, THERE, NOWHERE, GONE]), max_size=8))
def test_one_directory_elsewhere_keeps_a_session_on_this_machine(places: list[Place]) -> None:
    belonging = belonging_of({f"/{n}": place for n, place in enumerate(places)})

    outside = [p for p in places if p.where is not Where.NEUTRAL and p != HERE]
    assert (belonging.project == PROJECT) is (HERE in places and not outside)


def test_a_mixed_session_names_the_other_places() -> None:
    both = Belonging(mixed=(PROJECT, THERE.identity), elsewhere=("/src/x",))

    assert both.others(PROJECT) == ("/src/x", THERE.identity)
    assert Belonging(project=PROJECT).others(PROJECT) == ()


ROOTS = {"/src/repo": "r", "/src/repo/vendored": "v", "/src/repo-two": "two", "C:\\src": "win"}


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/src/repo", "r"),
        ("/src/repo/a/b", "r"),
        ("/src/repo/vendored", "v"),
        ("/src/repo/vendored/x", "v"),
        ("/src/repo/vendored2", "r"),
        ("/src/repo-two/x", "two"),
        ("/src/repo-three", None),
        ("/src", None),
        ("/", None),
        ("C:\\src\\repo", "win"),
        ("C:\\src2", None),
    ],
)
def test_a_directory_lies_below_the_longest_root_and_never_below_a_look_alike(
    path: str, identity: str | None
) -> None:
    assert identity_below(path, ROOTS) == identity


def test_every_path_lies_below_the_root_directory() -> None:
    assert identity_below("/src/repo", {"/": "all"}) == "all"


NEW, MINE = "example.org/acme/renamed", "example.org/alice/private"


@pytest.mark.parametrize(
    ("place", "agreed", "taken"),
    [
        (HERE, [], PROJECT),
        (Place(Where.PROJECT, NEW), [], NEW),  # a fresh clone: the roster alone sends nothing
        (Place(Where.PROJECT, NEW), [NEW], PROJECT),
        (Place(Where.PROJECT, NEW, former=(PROJECT,)), [], PROJECT),
        (Place(Where.PROJECT, NEW, former=("a.b/c", PROJECT, "d.e/f")), [], PROJECT),
        # a leader who lists both names of somebody's own repository gets neither
        (Place(Where.PROJECT, NEW, former=(MINE,)), [], NEW),
        (Place(Where.PROJECT, MINE), [], MINE),
        (Place(Where.PROJECT, NEW, former=(MINE,)), [MINE], PROJECT),
        (THERE, [NEW, MINE], THERE.identity),
        (Place(Where.PROJECT, THERE.identity, former=(PROJECT,)), [], THERE.identity),
    ],
)
def test_an_alias_counts_where_i_agreed_or_the_directory_was_renamed(
    place: Place, agreed: list[str], taken: str
) -> None:
    names = Names(PROJECT, frozenset({NEW, MINE}), frozenset(agreed))

    assert names.of(place) == taken
    belonging = belonging_of({"/a": HERE, "/b": place}, names)
    assert (belonging.project == PROJECT) is (taken == PROJECT)


def test_a_project_is_found_by_another_name_of_it() -> None:
    aliases = {"example.org/acme/renamed": PROJECT, "other.org/x/repo": PROJECT}

    assert find_project("renamed", [PROJECT], aliases) == PROJECT
    assert find_project("OTHER.org/x/repo", [PROJECT], aliases) == PROJECT
    assert find_project("repo", [PROJECT], aliases) == PROJECT


def test_the_number_of_a_projects_names_is_limited() -> None:
    project = SharedProject(identity=PROJECT, incarnation=1)
    for number in range(limits.ALIASES):
        project = project.with_alias(f"example.org/acme/r{number}").with_alias(
            f"example.org/acme/r{number}"
        )

    assert project.names[0] == PROJECT
    assert len(project.names) == 1 + limits.ALIASES
    with pytest.raises(BadInput):
        project.with_alias("example.org/acme/one-more")
