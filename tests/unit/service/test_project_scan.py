"""Every project directory with its project and sessions, and why one belongs to no project."""

import subprocess
from pathlib import Path

import pytest

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.domain.session.project import Names
from karma_sync.domain.session.selection import Choices, Exclusion
from karma_sync.domain.team.team import Team
from karma_sync.git.places import Places
from karma_sync.sending.eligibility import Decider, ProjectMatcher
from karma_sync.service.project_scan import FoundSessions, forks_of, scan
from tests.support.builders import ALICE, BOB, NOW, PROJECT, said, team_of_all

TEAM = team_of_all(ALICE, BOB)


class Machine:
    """An agent's directory, and clones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = ClaudeSource([root / "claude"])
        self.places = Places()
        self.choices = Choices()
        self.matcher = ProjectMatcher(self.source, Catalogue(list, lambda _: None), self.places)
        (root / "claude" / "projects").mkdir(parents=True)

    def clone(self, name: str, **remotes: str) -> Path:
        place = self.root / name
        self.git("init", "-q", str(place))
        for remote, url in remotes.items():
            self.git("-C", str(place), "remote", "add", remote, url)
        return place

    def write(self, directory: str, *cwds: Path | str) -> None:
        """Add a session to a project directory; it worked in all of these directories."""
        folder = self.root / "claude" / "projects" / directory
        folder.mkdir(exist_ok=True)
        number = len(list(folder.parent.glob("*/*.jsonl")))
        (folder / f"s{number}.jsonl").write_bytes(b"".join(said("x", str(cwd)) for cwd in cwds))

    def scan(self, *names: Names, team: Team = TEAM) -> list[FoundSessions]:
        decider = Decider(self.matcher, lambda: self.choices, lambda: NOW)
        return scan(decider, self.source, [team], names or [Names(PROJECT)])

    def why(self, directory: str) -> str:
        (found,) = (f for f in self.scan() if f.directory == directory)
        assert found.project == ""
        return found.why

    def git(self, *args: str) -> None:
        subprocess.run(["git", *args], check=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_sessions_of_one_directory_are_counted_by_what_they_belong_to(machine: Machine) -> None:
    repo = machine.clone("repo", origin=f"https://{PROJECT}.git")
    tool = machine.clone("tool", origin="https://example.org/acme/tool")
    for _ in range(3):
        machine.write("-repo", repo)
    machine.write("-repo", repo, tool)
    machine.write("-tool", tool)

    assert [(f.directory, f.project, f.sessions, f.teams) for f in machine.scan()] == [
        ("-repo", PROJECT, 3, ("backend",)),
        ("-repo", "", 1, ()),
        ("-tool", "example.org/acme/tool", 1, ()),
    ]


def test_a_session_with_two_copies_and_a_directory_with_two_names_count_once(
    machine: Machine,
) -> None:
    repo = machine.clone("repo", origin=f"https://{PROJECT}.git")
    machine.write("-repo", repo)
    projects = machine.root / "claude" / "projects"
    (projects / "-old").mkdir()
    (projects / "-old" / "s0.jsonl").write_bytes(b'{"type": "mode", "sessionId": "s0"}\n')
    (projects / "-linked").symlink_to(projects / "-repo")

    assert [(f.directory, f.project, f.sessions) for f in machine.scan()] == [
        ("-old", "", 0),
        ("-repo", PROJECT, 1),
    ]


def test_it_says_why_a_session_belongs_to_no_project(machine: Machine) -> None:
    repo = machine.clone("repo", origin=f"https://{PROJECT}.git")
    tool = machine.clone("tool", origin="https://example.org/acme/tool")
    bare = machine.clone("bare")
    plain, gone = machine.root / "plain", machine.root / "gone"
    plain.mkdir()
    machine.write("mixed", repo, tool)
    machine.write("half", repo, gone)
    machine.write("bare", bare)
    machine.write("plain", plain)
    machine.write("gone", gone)
    machine.write("empty")

    assert machine.why("mixed") == f"worked in {PROJECT} and example.org/acme/tool"
    assert machine.why("half") == (
        f"worked in {PROJECT}, and elsewhere ({gone}: the directory is gone)"
    )
    assert machine.why("bare") == f"{bare} has no remote `origin`"
    assert machine.why("plain") == f"{plain} is in no git repository"
    assert machine.why("gone") == f"{gone}: the directory is gone"
    assert machine.why("empty") == "no record names a directory"


def test_what_other_remotes_name_is_proposed(machine: Machine) -> None:
    remotes = {"origin": "git@example.org:bob/repo.git", "upstream": f"https://{PROJECT}"}
    fork = machine.clone("fork", **remotes)
    machine.write("-fork", fork)
    (found,) = machine.scan()
    (session,) = machine.source.sessions_in(next(iter(machine.source.directories())))
    (asked,) = forks_of(machine.matcher, [session], Names(PROJECT))

    assert (found.project, found.proposed) == ("example.org/bob/repo", (PROJECT,))
    assert (asked.root, asked.remote, asked.origin) == (fork, "upstream", "example.org/bob/repo")


def test_another_name_counts_where_it_was_agreed_to(machine: Machine) -> None:
    name = "example.org/acme/renamed"
    machine.write("-repo", machine.clone("repo", origin=f"https://{name}"))
    told, agreed = frozenset({name}), frozenset({name})

    assert [f.project for f in machine.scan(Names(PROJECT, told))] == [name]
    assert [f.project for f in machine.scan(Names(PROJECT, told, agreed))] == [PROJECT]


def test_a_name_that_the_team_has_and_i_did_not_agree_to_is_not_called_shared(
    machine: Machine,
) -> None:
    name = "example.org/acme/renamed"
    machine.write("-repo", machine.clone("repo", origin=f"https://{name}"))
    team = TEAM.alias(PROJECT, name)
    (told,) = machine.scan(Names(PROJECT, frozenset({name})), team=team)
    (agreed,) = machine.scan(Names(PROJECT, frozenset({name}), frozenset({name})), team=team)

    assert (told.project, told.teams, told.same_as) == (name, (), PROJECT)
    assert "nothing leaves until you agree" in told.why
    assert (agreed.project, agreed.teams, agreed.why) == (PROJECT, ("backend",), "")


def test_a_renamed_repository_says_what_it_was(machine: Machine) -> None:
    place = machine.clone("repo", origin=f"https://{PROJECT}")
    machine.write("-repo", place)
    (before,) = machine.scan()
    machine.git("-C", str(place), "remote", "set-url", "origin", "https://example.org/acme/new")
    (after,) = machine.scan()

    assert before.teams == ("backend",)
    assert (after.project, after.teams) == ("example.org/acme/new", ())
    assert (after.same_as, after.why) == (PROJECT, f"it was {PROJECT} before; nothing leaves")


def test_a_line_begins_where_the_agent_was_started(machine: Machine) -> None:
    repo = machine.clone("repo", origin=f"https://{PROJECT}")
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in str(repo))
    machine.write(name, machine.root, repo, repo / "sub")
    machine.write("another-name", repo / "sub", repo)

    assert sorted(f.place for f in machine.scan()) == [str(repo), str(repo)]


def test_a_mapped_directory_without_git_is_the_projects(machine: Machine) -> None:
    gone = machine.root / "gone"
    machine.write("-gone", gone)
    machine.places.know({str(gone): PROJECT}, {})

    assert [(f.project, f.works_in) for f in machine.scan()] == [(PROJECT, (str(gone),))]


def test_a_directory_without_sessions_is_shown_too(machine: Machine) -> None:
    (machine.source.roots[0] / "-swept" / "memory").mkdir(parents=True)
    machine.write("-nameless")
    shown = {f.directory: (f.place, f.sessions, f.why) for f in machine.scan()}

    assert shown == {
        "-swept": ("-swept", 0, "it has no session"),
        "-nameless": ("-nameless", 1, "no record names a directory"),
    }


def test_a_session_that_cannot_be_read_is_counted_and_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = machine.clone("repo", origin=f"https://{PROJECT}")
    machine.write("-repo", repo)
    machine.write("-repo", repo, str(repo / ("x" * 2000)))
    monkeypatch.setattr("karma_sync.domain.limits.LINE_BYTES", 1000)
    monkeypatch.setattr("karma_sync.agents.growing_file.BLOCK_BYTES", 500)

    assert [(f.project, f.sessions, f.why) for f in machine.scan()] == [
        ("", 1, "it cannot be read: a line is longer than 1000 bytes"),
        (PROJECT, 1, ""),
    ]


def test_sessions_that_an_exclusion_keeps_here_are_listed_apart(machine: Machine) -> None:
    clone = machine.clone("repo", origin=f"https://{PROJECT}")
    (clone / "private").mkdir()
    machine.write("-repo", clone)
    machine.write("-repo", clone / "private")
    machine.choices = Choices(exclusions=(Exclusion(pattern="private"),))

    found = {f.excluded: f.works_in for f in machine.scan()}

    assert found == {"": (str(clone),), "private": (str(clone / "private"),)}
