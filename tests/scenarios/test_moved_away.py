"""A session that moves to another repository: the record that says so stays here."""

import json
from dataclasses import dataclass

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Moving:
    """Both exchange a project; A has a repository of a client that B must never hear of."""

    a: Member
    b: Member
    client: str


@pytest.fixture(scope="module")
def moving(town: Town) -> Moving:
    a, b = town.pair()
    client = a.clone("git@example.org:client/secret-plans.git", "secret-plans")
    return Moving(a, b, str(client))


def records(client: str) -> dict[str, dict[str, object]]:
    """The records that name the other directory before any `cwd` does."""
    environment = {"type": "environment", "snapshot": {"workingDirectory": client}}
    state = {"worktreePath": f"{client}/.claude/worktrees/w", "originalCwd": client}
    return {
        "moved": {"type": "relocated", "relocatedCwd": client},
        "entered a work tree": {"type": "worktree-state", "worktreeSession": state},
        "told of its environment": {"type": "attachment", "attachment": environment},
    }


@pytest.mark.parametrize("name", records(""))
def test_the_record_that_names_another_repository_stays_with_all_that_follows(
    moving: Moving, name: str
) -> None:
    session = moving.a.write_session("in the project")
    moving.b.until_readable(session)
    sent = session.content

    _append(session, records(moving.client)[name])
    until(lambda: _why(moving.a, session), "the session to stay here")
    session.append("there", cwd=moving.a.folder / "src" / "secret-plans")
    moving.b.until_readable(moving.a.write_session("written later"))

    assert moving.b.peek(session.id) == sent
    assert _why(moving.a, session) == "it also worked in example.org/client/secret-plans"


def test_a_session_that_moves_within_its_repository_goes_on(moving: Moving) -> None:
    session = moving.a.write_session("in the project")
    moving.b.until_readable(session)
    (moving.a.repo / "deep").mkdir()

    _append(session, {"type": "relocated", "relocatedCwd": str(moving.a.repo / "deep")})
    session.append("deeper", cwd=moving.a.repo / "deep")

    until(lambda: b"deeper" in (moving.b.peek(session.id) or b""), "what was written there at B")


def _append(session: Session, record: dict[str, object]) -> None:
    with session.path.open("a") as out:
        out.write(json.dumps({"sessionId": session.id} | record) + "\n")


def _why(member: Member, session: Session) -> str:
    """The reason why a session stays here; "" if it does not."""
    held = member.json("session", "list")["held"]
    return next((str(h["why"]) for h in held if h["session"] == session.id), "")
