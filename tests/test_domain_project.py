"""Projects by their git remote: one repository in any spelling, never two that look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.domain.project import (
    Belonging,
    Names,
    Place,
    SharedProject,
    Where,
    belongs,
    below,
    find_project,
    git_identity,
)
from karma_sync.errors import BadInput, NotFound
from tests.builders import PROJECT, examples

SPELLINGS = [
    "https://example.org/acme/repo",
    "https://example.org/acme/repo.git",
    "https://example.org/acme/repo/",
    "https://example.org/acme/repo.git/",
    "  https://example.org/acme/repo.git\n",
    "https://Example.ORG/Acme/Repo.GIT",
    "https://alice@example.org/acme/repo.git",
    "https://alice:hunter2@example.org/acme/repo.git",
    "https://example.org:443/acme/repo.git",
    "https://example.org//acme//repo.git",
    "https://example.org/acme/%72epo.git",
    "http://example.org/acme/repo",
    "http://example.org:80/acme/repo",
    "git://example.org/acme/repo.git",
    "git://example.org:9418/acme/repo.git",
    "ssh://git@example.org/acme/repo.git",
    "ssh://git@example.org:22/acme/repo.git",
    "ssh://example.org/acme/repo",
    "git+ssh://git@example.org/acme/repo.git",
    "ssh+git://git@example.org:22/acme/repo.git",
    "git@example.org:acme/repo.git",
    "git@example.org:/acme/repo.git",
    "git@example.org:acme/repo/",
    "GIT@EXAMPLE.ORG:ACME/REPO.git",
    "example.org:acme/repo.git",
]

OTHERS = {
    "git@example.org:group/sub/repo.git": "example.org/group/sub/repo",
    "https://example.org/a/b/c/d/repo": "example.org/a/b/c/d/repo",
    "ssh://git@example.org:2222/acme/repo.git": "example.org:2222/acme/repo",
    "https://example.org:8443/acme/repo": "example.org:8443/acme/repo",
    "ssh://git@example.org/~alice/repo.git": "example.org/~alice/repo",
    "git@example.org:~alice/repo": "example.org/~alice/repo",
    "git@example.org:repo.git": "example.org/repo",
    "https://example.org/acme/repo.github.io": "example.org/acme/repo.github.io",
    "https://user:p%40ss@10.0.0.1/acme/my.repo+x": "10.0.0.1/acme/my.repo+x",
}

LOOK_ALIKES = [
    "https://example.org/acme/team-repo",
    "https://example.org/acme-team/repo",
    "https://example.org/acme/team/repo",
    "https://example.org/acmeteam/repo",
    "https://example.org/acme/repo",
    "https://example.org/acme/repo2",
    "https://example.org/acme/repo-git",
    "https://example.com/acme/repo",
    "https://www.example.org/acme/repo",
    "https://example.org.evil.test/acme/repo",
    "https://example.org@evil.test/acme/repo",
    "https://evil.test/example.org/acme/repo",
    "ssh://git@example.org:2222/acme/repo",
    "ssh://git@example.org:443/acme/repo",
    "https://example.org/repo",
    "git@example.org:acme.repo",
    "git@example.org:acme_repo",
]


@pytest.mark.parametrize("remote", SPELLINGS)
def test_every_spelling_of_a_remote_names_one_project(remote: str) -> None:
    assert git_identity(remote) == PROJECT


@pytest.mark.parametrize(("remote", "identity"), OTHERS.items())
def test_groups_ports_and_homes_stay_in_the_name(remote: str, identity: str) -> None:
    assert git_identity(remote) == identity


def test_look_alikes_never_meet() -> None:
    met: dict[str, list[str]] = {}
    for remote in LOOK_ALIKES:
        met.setdefault(git_identity(remote), []).append(remote)

    assert [remotes for remotes in met.values() if len(remotes) > 1] == []


@pytest.mark.parametrize(
    "remote",
    [
        "",
        " ",
        "/srv/git/repo.git",
        "./repo",
        "../repo:x",
        "~/repo",
        "file:///srv/git/repo.git",
        "C:\\src\\repo",
        "https://",
        "https://example.org",
        "https://example.org/",
        "https://example.org/.git",
        "https:///acme/repo",
        "https://example.org/acme/../repo",
        "https://example.org/acme/%2e%2e/repo",
        "https://example.org/./repo",
        "https://example.org/acme/re po",
        "https://example.org/acme/repo\x1b[2J",
        "https://example.org/acme\\repo",
        "https://example.org:port/acme/repo",
        "https://[::1/acme/repo",
        "ext::sh -c evil",
        "ftp://example.org/acme/repo",
        "git@example.org:",
    ],
)
def test_what_names_no_repository_on_a_host_is_no_project(remote: str) -> None:
    with pytest.raises(BadInput, match="does not name a repository on a host") as refused:
        git_identity(remote)

    assert refused.value.hint.startswith("git remote set-url")


def test_a_password_is_not_repeated_in_a_message() -> None:
    with pytest.raises(BadInput) as refused:
        git_identity("https://alice:hunter2@example.org/")

    assert "hunter2" not in str(refused.value) + refused.value.hint


segments = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}[a-z0-9_]", fullmatch=True).filter(
    lambda s: not s.endswith(".git")
)


@examples(150)
@given(st.lists(segments, min_size=1, max_size=4), st.lists(segments, min_size=1, max_size=4))
def test_two_paths_meet_only_if_they_are_one(a: list[str], b: list[str]) -> None:
    one, other = ("/".join(path) for path in (a, b))

    same = git_identity(f"git@example.org:{one}.git") == git_identity(
        f"https://example.org/{other}"
    )
    assert same is (a == b)


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
def test_a_session_belongs_to_a_project_only_if_it_was_nowhere_else(
    places: list[Place], belonging: Belonging
) -> None:
    assert belongs({f"/{n}": place for n, place in enumerate(places)}) == belonging


@examples()
@given(st.lists(st.sampled_from([HERE, THERE, NOWHERE, GONE]), max_size=8))
def test_one_directory_elsewhere_is_enough_to_keep_a_session_here(places: list[Place]) -> None:
    belonging = belongs({f"/{n}": place for n, place in enumerate(places)})

    outside = [p for p in places if p.where is not Where.NEUTRAL and p != HERE]
    assert (belonging.project == PROJECT) is (HERE in places and not outside)


def test_what_makes_a_session_mixed_is_named() -> None:
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
    assert below(path, ROOTS) == identity


def test_everything_lies_below_the_root_of_all() -> None:
    assert below("/src/repo", {"/": "all"}) == "all"


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
    belonging = belongs({"/a": HERE, "/b": place}, names)
    assert (belonging.project == PROJECT) is (taken == PROJECT)


def test_a_project_is_found_by_another_name_of_it() -> None:
    aliases = {"example.org/acme/renamed": PROJECT, "other.org/x/repo": PROJECT}

    assert find_project("renamed", [PROJECT], aliases) == PROJECT
    assert find_project("OTHER.org/x/repo", [PROJECT], aliases) == PROJECT
    assert find_project("repo", [PROJECT], aliases) == PROJECT


@pytest.mark.parametrize(
    ("remote", "identity"),
    [
        ("ssh://git@ssh.github.com:443/Acme/Web.git", "github.com/acme/web"),
        ("ssh://git@altssh.gitlab.com:443/a/b/c.git", "gitlab.com/a/b/c"),
        ("https://ssh.github.com/acme/web", "ssh.github.com/acme/web"),
        ("ssh://git@ssh.github.com:22/acme/web", "ssh.github.com/acme/web"),
    ],
)
def test_ssh_on_the_port_of_https_is_the_same_forge(remote: str, identity: str) -> None:
    assert git_identity(remote) == identity


@pytest.mark.parametrize("path", ["C:/src/repo", "c:\\src\\repo", "D:/x"])
def test_a_drive_is_no_host(path: str) -> None:
    with pytest.raises(BadInput):
        git_identity(path)


def test_a_project_takes_so_many_names_and_no_more() -> None:
    project = SharedProject(identity=PROJECT, incarnation=1)
    for number in range(limits.ALIASES):
        project = project.also(f"example.org/acme/r{number}").also(f"example.org/acme/r{number}")

    assert project.names[0] == PROJECT
    assert len(project.names) == 1 + limits.ALIASES
    with pytest.raises(BadInput):
        project.also("example.org/acme/one-more")
