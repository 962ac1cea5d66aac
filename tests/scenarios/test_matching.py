"""Matched by what git says: work trees, forks, renames. What is not certain is asked."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import PROJECT, REMOTE, Member, until
from tests.support.town import Town

pytestmark = pytest.mark.memory

RENAMED = "example.org/acme/renamed"
FORK = "git@example.org:bob/repo.git"


@dataclass(frozen=True)
class Team:
    """A leads B; both send and receive one project."""

    a: Member
    b: Member


@pytest.fixture(scope="module")
def team(town: Town) -> Team:
    a, b = town.pair()
    return Team(a, b)


def commit(member: Member, place: Path) -> None:
    nobody = ("-c", "user.name=a", "-c", "user.email=a@x")
    member.git(place, *nobody, "commit", "--allow-empty", "-qm", "first")


def status_of(member: Member) -> dict[str, Any]:
    return dict(member.json("status")["projects"][0])


@pytest.mark.parametrize(
    "where", ["repo/.claude/worktrees/w", "repo/.worktrees/w", "desktop/.claude-worktrees/repo/w"]
)
def test_a_session_of_a_work_tree_arrives_and_goes_on_after_the_tree_is_gone(
    team: Team, where: str
) -> None:
    repo, tree = team.a.repo, team.a.folder / "src" / where
    if not (repo / ".git/refs/heads").is_dir() or not any((repo / ".git/refs/heads").iterdir()):
        commit(team.a, repo)
    team.a.git(repo, "worktree", "add", "-q", "--detach", str(tree))
    session = team.a.write_session("in a work tree", cwd=tree)
    team.b.until_readable(session)

    shutil.rmtree(tree)
    session.append("after it was deleted")

    team.b.until_readable(session)


def test_two_clones_of_one_repository_are_one_project(team: Team) -> None:
    second = team.a.clone("https://Example.org/acme/repo", "second")

    team.b.until_readable(team.a.write_session("in the second clone", cwd=second))


def test_a_fork_is_proposed_not_taken_until_somebody_says_so(team: Team) -> None:
    fork = team.b.clone(FORK, "fork")
    team.b.git(fork, "remote", "add", "upstream", REMOTE)
    session = team.b.write_session("in the fork", cwd=fork)
    team.a.until_readable(team.b.write_session("in the clone"))
    assert team.a.peek(session.id) is None

    scanned = _scanned(team.b, fork)
    assert scanned["project"] == "example.org/bob/repo"
    assert scanned["proposed"] == [PROJECT]
    proposal = f"karma-sync project map {fork} {PROJECT}"
    shown = team.b.run("project", "scan").out
    assert f"no team shares it; it may be a fork of {PROJECT}" in shown
    assert proposal in shown
    refused = team.b.run("accept", ".", cwd=fork, check=False)
    assert refused.code == 5
    assert f"karma-sync accept {PROJECT}" in refused.err

    team.b.run(*proposal.split()[1:], "--yes")

    team.a.until_readable(session)


def test_sharing_from_a_fork_proposes_the_upstream_and_takes_it_when_told(team: Team) -> None:
    fork = team.a.clone("git@example.org:alice/tool.git", "tool")
    team.a.git(fork, "remote", "add", "upstream", "git@example.org:acme/tool.git")
    team.a.write_session("in the fork of a tool", cwd=fork)

    asked = team.a.run("project", "share", str(fork), check=False)
    assert asked.code == 8
    assert "example.org/alice/tool in team backend" in asked.out
    assert "`upstream` is example.org/acme/tool" in asked.out

    said = team.a.run("project", "share", str(fork), "--remote", "upstream", "--yes")
    assert "example.org/acme/tool in team backend" in said.out
    assert "sends now:   1 session," in said.out
    assert _scanned(team.a, fork)["project"] == "example.org/acme/tool"


def test_accepting_shows_which_clones_are_forks(team: Team) -> None:
    place = team.a.clone("git@example.org:acme/web.git", "web")
    team.a.run("project", "share", str(place), "--yes")
    fork = team.b.clone("git@example.org:bob/web.git", "web-fork")
    team.b.git(fork, "remote", "add", "team", "https://example.org/acme/web")
    team.b.write_session("in the fork of web", cwd=fork)
    until(
        lambda: any(
            "web" in s["project"] for s in team.b.json("subscription", "list")["subscriptions"]
        ),
        "web offered to B",
    )

    asked = team.b.run("accept", "web", check=False).out
    assert "sends now:   nothing" in asked
    assert f"not from:    {fork}: its `origin` is example.org/bob/web, only `team` is" in asked
    assert f"karma-sync project map {fork} example.org/acme/web" in asked


def test_scan_says_why_a_directory_is_matched_to_nothing(team: Team) -> None:
    places = {
        "bare": team.a.clone(None, "bare"),
        "local": team.a.clone("/srv/git/x.git", "local"),
        "plain": team.a.folder / "plain",
        "gone": team.a.folder / "gone",
    }
    places["plain"].mkdir()
    for name, place in places.items():
        team.a.write_session(name, cwd=place)
    mixed = team.a.clone("git@example.org:acme/mixed.git", "mixed")
    team.a.write_session("here", cwd=mixed).append("there", cwd=team.a.repo)
    team.a.write_session("only here", cwd=mixed)

    why = {name: _scanned(team.a, place)["why"] for name, place in places.items()}
    assert "has no remote `origin`" in why["bare"]
    assert "does not name a repository on a host" in why["local"]
    assert why["plain"] == f"{places['plain']} is in no git repository"
    assert why["gone"] == f"{places['gone']}: the directory is gone"
    both = [d for d in _scan(team.a) if str(mixed) in d["works_in"]]
    assert sorted((d["project"], d["sessions"], d["why"]) for d in both) == [
        ("", 1, f"worked in example.org/acme/mixed and {PROJECT}"),
        ("example.org/acme/mixed", 1, ""),
    ]
    text = team.a.run("project", "scan").out
    assert "no team shares it" in text
    assert "shared with backend" in text


def test_a_renamed_repository_stops_and_an_alias_lets_it_go_on(team: Team) -> None:
    clones = {m: m.clone(REMOTE, "moving") for m in (team.a, team.b)}
    before = {m: m.write_session("before", cwd=clones[m]) for m in (team.a, team.b)}
    team.b.until_readable(before[team.a])
    team.a.until_readable(before[team.b])

    for member, place in clones.items():
        member.git(place, "remote", "set-url", "origin", f"https://{RENAMED}.git")
    after = {m: m.write_session("after", cwd=clones[m]) for m in (team.a, team.b)}
    for member, place in clones.items():
        until(lambda m=member: status_of(m)["moved"], "the new remote in status")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert status_of(member)["moved"] == {RENAMED: [str(place)]}
        text = member.run("status").out
        assert f"the remote of {place} is {RENAMED} now: nothing leaves from there" in text
        assert f"karma-sync project alias {RENAMED}" in text
    team.b.until_readable(team.a.write_session("elsewhere in the project"))
    assert team.b.peek(after[team.a].id) is None

    refused = team.b.run("project", "alias", ".", cwd=clones[team.b], check=False)
    assert refused.code == 12
    assert "ask alice.box" in refused.err
    team.a.run("project", "alias", ".", "--yes", cwd=clones[team.a])

    team.b.until_readable(after[team.a])
    team.a.until_readable(after[team.b])
    assert status_of(team.a)["moved"] == {}
    for named in ("renamed", "repo"):
        found = team.a.json("session", "list", "--project", named)["sessions"]
        assert {s["project"] for s in found} == {PROJECT}
        assert after[team.b].id in {s["id"] for s in found}


def test_a_work_tree_that_was_gone_before_anybody_looked_still_leaves(team: Team) -> None:
    repo = team.a.clone(REMOTE, "with-trees")
    commit(team.a, repo)
    far = team.a.folder / "far" / "calm-lake"
    team.a.git(repo, "worktree", "add", "-q", "--detach", str(far))
    shutil.rmtree(far)
    lost = team.a.write_session("in a work tree that is gone", cwd=far)
    team.b.until_readable(team.a.write_session("a barrier"))
    assert team.b.peek(lost.id) is None

    team.b.until_readable(team.a.write_session("in its repository", cwd=repo))

    team.b.until_readable(lost)


def test_a_name_that_the_leader_tells_sends_nothing_of_a_clone_that_never_had_the_old_one(
    team: Team,
) -> None:
    private = "example.org/bob/private"
    place = team.b.clone(f"git@{private.replace('/', ':', 1)}.git", "private")
    session = team.b.write_session("private", cwd=place)
    team.a.run("project", "alias", private, "--project", PROJECT, "--yes")
    until(lambda: private in status_of(team.b)["told"], "the name in B's status")
    team.a.until_readable(team.b.write_session("in the project"))

    assert team.a.peek(session.id) is None
    assert f"karma-sync project alias {private}" in team.b.run("status").out

    team.b.run("project", "alias", private, "--yes")

    team.a.until_readable(session)


def test_a_name_that_is_taken_back_sends_no_more(team: Team) -> None:
    other = "example.org/bob/other"
    place = team.b.clone(f"git@{other.replace('/', ':', 1)}.git", "other")
    session = team.b.write_session("in the other", cwd=place)
    unknown = team.a.run("project", "alias", other, "--project", PROJECT, "--remove", check=False)
    assert unknown.code == 5
    assert f"{other} is not another name of {PROJECT}" in unknown.err
    team.a.run("project", "alias", other, "--project", PROJECT, "--yes")
    until(lambda: other in status_of(team.b)["told"], "the name in B's status")
    team.b.run("project", "alias", other, "--yes")
    team.a.until_readable(session)
    agreed = session.content

    said = team.b.run("project", "alias", other, "--remove").out
    assert f"You no longer agree to {other}" in said
    session.append("B does not agree")
    team.a.until_readable(team.b.write_session("in the project"))
    assert team.a.peek(session.id) == agreed
    assert other in status_of(team.b)["told"]

    team.b.run("project", "alias", other, "--yes")
    team.a.until_readable(session)
    agreed = session.content
    assert "is no longer a name of" in team.a.run("project", "alias", other, "--remove").out
    until(
        lambda: other in status_of(team.b)["moved"] or other not in status_of(team.b)["told"], "B"
    )
    session.append("the team does not have it")
    team.a.until_readable(team.b.write_session("in the project again"))
    assert team.a.peek(session.id) == agreed


def _scan(member: Member) -> list[dict[str, Any]]:
    return list(json.loads(member.run("project", "scan", "--json").out)["directories"])


def _scanned(member: Member, place: Path) -> dict[str, Any]:
    [found] = [d for d in _scan(member) if d["works_in"] == [str(place)]]
    return found
