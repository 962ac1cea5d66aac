"""Only what belongs to the shared project leaves; what also worked elsewhere says so."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session, encoded

pytestmark = pytest.mark.memory

LOOK_ALIKES = {
    "longer": "git@example.org:acme/repo-tools.git",
    "shorter": "git@example.org:acme/rep.git",
    "other-owner": "git@example.org:acme2/repo.git",
    "deeper": "git@example.org:x/acme/repo.git",
    "owner-and-name": "git@example.org:acme-repo.git",
    "other-host": "git@example.com:acme/repo.git",
    "other-port": "https://example.org:8443/acme/repo.git",
    "local": "/srv/git/acme/repo.git",
}
SPELLINGS = {
    "https": "https://example.org/acme/repo",
    "with-password": "https://alice:pass@example.org/acme/repo.git",
    "ssh": "ssh://git@example.org/acme/repo.git/",
    "ssh-port": "ssh://git@example.org:2222/acme/repo.git",
    "capitals": "git@Example.org:Acme/Repo.git",
}


@dataclass(frozen=True)
class Sent:
    """Sessions of A's by what is special about them; the last that was written is at B."""

    a: Member
    b: Member
    sessions: dict[str, Session]

    def at_b(self, name: str) -> bytes | None:
        return self.b.peek(self.sessions[name].id)


@pytest.fixture(scope="module")
def sent(town: Town) -> Sent:
    a, b = town.members("alice", "bob")
    mixed = _mixed(a)  # as a whole, before anything is shared: half of one would not be mixed
    found_team(a, b)
    share(a, b)
    sessions = {
        name: a.write_session(name, cwd=a.clone(remote, name))
        for name, remote in (LOOK_ALIKES | SPELLINGS).items()
    }
    sessions["no remote"] = a.write_session("no remote", cwd=a.clone(None, "bare"))
    sessions |= mixed | _whole(a)
    barrier = a.write_session("the last")
    b.until_readable(barrier)
    return Sent(a, b, sessions)


def _mixed(a: Member) -> dict[str, Session]:
    other = a.clone("git@example.org:acme/secret-plans.git", "secret-plans")
    two = a.write_session("in two repositories", cwd=a.repo)
    two.append("and there", cwd=other)
    back = a.write_session("there and back", cwd=other)
    back.append("and here", cwd=a.repo)
    sub = a.write_session("its subagent was elsewhere", cwd=a.repo)
    line = {"type": "user", "sessionId": sub.id, "cwd": str(other), "isSidechain": True}
    sub.beside("subagents/agent-1.jsonl", json.dumps(line).encode() + b"\n")
    gone = a.folder / "gone"
    vanished = a.write_session("in a directory that vanished", cwd=a.repo)
    vanished.append("there", cwd=gone)
    return {"two": two, "back": back, "sub": sub, "vanished": vanished}


def _whole(a: Member) -> dict[str, Session]:
    """Sessions that do belong to the project, though not all their directories are its root."""
    neutral = a.folder / "notes"
    neutral.mkdir()
    home = a.write_session("in no repository too", cwd=a.repo)
    home.append("there", cwd=neutral)
    deep = a.repo / "deep" / "inside"
    deep.mkdir(parents=True)
    tree = a.folder / "trees" / "feature"
    a.git(a.repo, "-c", "user.name=a", "-c", "user.email=a@x", "commit", "--allow-empty", "-qmx")
    a.git(a.repo, "worktree", "add", "-q", str(tree))
    return {
        "neutral": home,
        "deep": a.write_session("deep inside", cwd=deep),
        "worktree": a.write_session("in a work tree", cwd=tree),
    }


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_session_of_a_look_alike_remote_does_not_leave(sent: Sent, name: str) -> None:
    assert sent.at_b(name) is None


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_clone_with_another_spelling_of_the_remote_is_the_same_project(
    sent: Sent, name: str
) -> None:
    sent.b.until_readable(sent.sessions[name])


def test_a_session_of_a_repository_without_remote_does_not_leave(sent: Sent) -> None:
    assert sent.at_b("no remote") is None


@pytest.mark.parametrize("name", ["neutral", "deep", "worktree"])
def test_a_session_that_lies_in_the_project_leaves(sent: Sent, name: str) -> None:
    sent.b.until_readable(sent.sessions[name])


@pytest.mark.parametrize("name", ["two", "back", "sub"])
def test_a_session_that_worked_in_another_repository_does_not_leave(sent: Sent, name: str) -> None:
    assert sent.at_b(name) is None


@pytest.mark.parametrize("name", ["two", "back", "sub"])
def test_status_says_in_which_other_place_a_mixed_session_worked(sent: Sent, name: str) -> None:
    withheld = sent.a.json("status")["projects"][0]["withheld"]
    why = withheld[sent.sessions[name].id]

    assert why == "it also worked in example.org/acme/secret-plans"
    (line,) = [line for line in sent.a.run("status").lines if line.endswith(why)]
    assert sent.sessions[name].id[:8] in line


def test_preview_and_list_give_the_same_reason_why_a_session_stays(sent: Sent) -> None:
    kept = sent.a.write_withheld("kept")

    def listed() -> dict[str, Any]:
        return {held["session"]: held for held in sent.a.json("session", "list")["held"]}

    until(lambda: kept.id in listed(), "the session that is withheld in the list")
    assert len(listed()) > 4
    for held in listed().values():
        (way,) = sent.a.json("session", "preview", held["session"], "--private")["ways"]
        shown = sent.a.run("session", "preview", held["session"]).out
        assert held["why"] == way["why"]
        assert f"stays here: {way['why']}\n" in shown


def test_a_session_in_a_directory_that_vanished_does_not_leave(sent: Sent) -> None:
    withheld = sent.a.json("status")["projects"][0]["withheld"]

    assert sent.at_b("vanished") is None
    assert withheld[sent.sessions["vanished"].id].endswith(str(sent.a.folder / "gone"))


def test_nothing_but_the_projects_own_sessions_is_in_the_outbox(sent: Sent) -> None:
    (outbox,) = sent.a.outboxes()
    own = {*SPELLINGS, "neutral", "deep", "worktree"}
    written_since = [s["id"] for s in sent.a.sessions() if s["author"] == sent.a.tag]

    assert len(list((outbox / "items").iterdir())) == len(written_since)
    assert {sent.sessions[name].id for name in own} <= set(written_since)
    assert {sent.sessions[n].id for n in sent.sessions.keys() - own} & set(written_since) == set()


def test_a_directory_whose_name_is_encoded_alike_is_told_apart(sent: Sent) -> None:
    twin = sent.a.clone("git@example.org:other/twin.git", "re/po")
    here = sent.a.clone("git@example.org:acme/repo.git", "re-po")
    assert encoded(twin) == encoded(here)
    stays, goes = sent.a.write_session("stays", cwd=twin), sent.a.write_session("goes", cwd=here)
    sent.b.until_readable(goes)

    assert sent.b.peek(stays.id) is None


def test_a_session_that_is_out_and_becomes_mixed_is_frozen_as_it_was(sent: Sent) -> None:
    other = _repository(sent.a, "later")
    session = sent.a.write_session("still here", cwd=sent.a.repo)
    sent.b.until_readable(session)
    before = session.content
    session.append("now there", cwd=other)
    until(
        lambda: session.id in sent.a.json("status")["projects"][0]["withheld"],
        "the session withheld in A's status",
    )
    session.append("and here again")
    barrier = sent.a.write_session("the last but one")
    sent.b.until_readable(barrier)

    assert sent.b.raw(session.id) == before


def test_a_repository_that_vanished_still_counts_as_the_project_it_was(sent: Sent) -> None:
    place = sent.a.clone("git@example.org:acme/repo.git", "short-lived")
    session = sent.a.write_session("before", cwd=place)
    sent.b.until_readable(session)
    shutil.rmtree(place)
    session.append("after")

    sent.b.until_readable(session)


def _repository(member: Member, name: str) -> Path:
    return member.clone(f"git@example.org:acme/{name}.git", name)
