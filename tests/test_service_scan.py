"""Every project directory with its identity and sessions, and why one belongs to nothing."""

import subprocess
from pathlib import Path

import pytest

from karma_sync.domain.project import Names
from karma_sync.service.deciding import Matcher
from karma_sync.service.scan import Found, forks_of, scan
from karma_sync.sources.catalogue import Catalogue
from karma_sync.sources.claude import ClaudeSource
from karma_sync.sources.git import Places
from tests.builders import ALICE, BOB, PROJECT, said, team_of_all

TEAM = team_of_all(ALICE, BOB)


class Machine:
    """An agent's directory, and clones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = ClaudeSource(root / "claude")
        self.places = Places()
        self.matcher = Matcher(self.source, Catalogue(list, lambda _: None), self.places)
        (root / "claude" / "projects").mkdir(parents=True)

    def clone(self, name: str, **remotes: str) -> Path:
        place = self.root / name
        self._git("init", "-q", str(place))
        for remote, url in remotes.items():
            self._git("-C", str(place), "remote", "add", remote, url)
        return place

    def write(self, directory: str, *cwds: Path | str) -> None:
        """One more session in a project directory, that worked in all of these."""
        folder = self.root / "claude" / "projects" / directory
        folder.mkdir(exist_ok=True)
        number = len(list(folder.iterdir()))
        (folder / f"s{number}.jsonl").write_bytes(b"".join(said("x", str(cwd)) for cwd in cwds))

    def scan(self, *names: Names) -> list[Found]:
        return scan(self.matcher, self.source, [TEAM], names or [Names(PROJECT)])

    def why(self, directory: str) -> str:
        (found,) = (f for f in self.scan() if f.directory == directory)
        assert found.project == ""
        return found.why

    def _git(self, *args: str) -> None:
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
    assert machine.why("bare").startswith(f"{bare}: ")
    assert "has no remote `origin`" in machine.why("bare")
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


def test_a_mapped_directory_without_git_is_the_projects(machine: Machine) -> None:
    gone = machine.root / "gone"
    machine.write("-gone", gone)
    machine.places.know({str(gone): PROJECT}, {})

    assert [(f.project, f.works_in) for f in machine.scan()] == [(PROJECT, (str(gone),))]
