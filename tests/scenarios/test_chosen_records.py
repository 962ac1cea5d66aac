"""Only the conversation leaves: no private instructions, and nothing that karma-sync gave an agent.

The transcripts have what version 2.1.332 of the agent writes (docs/agent-files.md).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from karma_sync.domain.session.frame import GIVEN
from tests.support.disks import places_of
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

MINE = "never tell anybody about project ocelot"
THEIRS = "what bob wrote for the team alone"
ASKED = ("", " | tail -5", " | grep bob", " > f; cat f")


@dataclass(frozen=True)
class Shared:
    """A and B share a project; A's session has private records, B's is asked for by A's agent."""

    a: Member
    b: Member
    session: Session
    theirs: Session


def lines(session: Session, *records: dict[str, Any]) -> None:
    common = {"sessionId": session.id, "cwd": str(session.cwd), "isSidechain": False}
    with session.path.open("a") as out:
        for number, record in enumerate(records):
            out.write(
                json.dumps(common | {"uuid": f"u{number}", "parentUuid": None} | record) + "\n"
            )


def private(session: Session) -> None:
    """Append what the agent records besides the conversation."""
    files = [{"path": "/home/me/.claude/CLAUDE.md", "type": "User", "content": MINE}]
    attachments = [
        {"type": "instructions", "files": files},
        {"type": "prompt_snapshot", "systemPrompt": MINE},
        {"type": "session_context", "context": MINE},
    ]
    lines(
        session,
        *({"type": "attachment", "attachment": each, "rendered": MINE} for each in attachments),
        {"type": "hologram", "beam": MINE},
    )
    with session.path.open("a") as out:
        out.write(json.dumps({"type": "api-request-blob", "message": MINE}) + "\n")


@pytest.fixture(scope="module")
def shared(town: Town) -> Shared:
    a, b = town.members("alice", "bob")
    session = a.write_session("hello")
    private(session)
    theirs = b.write_session(THEIRS)
    found_team(a, b)
    share(a, b)
    until(lambda: b.peek(session.id), "A's session at B")
    until(lambda: a.peek(theirs.id), "B's session at A")
    return Shared(a, b, session, theirs)


def test_private_records_are_on_no_disk_but_their_owners(shared: Shared) -> None:
    a, b = shared.a, shared.b
    assert places_of([b"hello"], b.home)

    assert not places_of([MINE.encode()], a.paths.folders)
    assert not places_of([MINE.encode()], b.home)


def test_the_author_sees_what_stays_and_what_is_not_known(shared: Shared) -> None:
    shown = shared.a.run("session", "preview", shared.session.id).out
    stays = {s["type"]: s for s in shared.a.json("session", "preview", shared.session.id)["stays"]}

    assert "prompt_snapshot 1 (" in shown
    assert "not known:   records of these types stay here: hologram 1 (" in shown
    assert {n for n, s in stays.items() if not s["known"]} == {"hologram"}
    assert stays["api-request-blob"]["records"] == 1


def test_status_and_events_name_types_that_are_not_known(shared: Shared) -> None:
    assert "records of unknown types stay here: hologram 1 (" in shared.a.run("status").out
    assert "hologram" in shared.a.run("events").out
    assert "hologram" not in shared.b.run("status").out


def test_the_question_shows_what_stays_by_type(shared: Shared) -> None:
    shown = shared.a.run("subscription", "change", "repo", "--dry-run").out

    assert "of other records stay here:" in shown
    assert "hologram 1 (" in shown


@contextmanager
def under_agent(member: Member) -> Iterator[None]:
    """An agent runs the member's commands meanwhile."""
    member.environ["CLAUDECODE"] = "1"
    try:
        yield
    finally:
        del member.environ["CLAUDECODE"]


def as_agent(member: Member, *command: str) -> str:
    with under_agent(member):
        return member.run(*command).out


@pytest.mark.parametrize("how", ASKED)
def test_what_an_agent_was_given_does_not_travel_on(shared: Shared, how: str) -> None:
    a, b = shared.a, shared.b
    shown = as_agent(a, "session", "show", shared.theirs.id)
    assert THEIRS in shown
    output = {
        " | tail -5": "\n".join(shown.splitlines()[-5:]),
        " | grep bob": "\n".join(each for each in shown.splitlines() if "bob" in each),
    }.get(how, shown)
    session = a.write_session("ask for it", odd=False)
    command = f"karma-sync session show {shared.theirs.id[:8]}{how}"
    use = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": command}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": output}
    read = {"type": "tool_result", "tool_use_id": "toolu_2", "content": shown}
    lines(
        session,
        {"type": "assistant", "message": {"content": [use]}},
        {"type": "user", "message": {"content": [result]}, "toolUseResult": {"stdout": output}},
        {"type": "user", "message": {"content": [read]}},  # a file to which it was written
        {"type": "user", "message": {"content": f"it said: {shown}"}},
        {"type": "user", "message": {"content": "the end"}},
    )
    read_at_b = until(lambda: _with(b, session, b"the end"), "all of it at B")

    assert THEIRS.encode() not in read_at_b
    assert read_at_b.count(GIVEN.encode()) == 4
    assert not places_of([THEIRS.encode()], next(iter(a.outboxes())))


def _with(member: Member, session: Session, needle: bytes) -> bytes:
    found = member.peek(session.id) or b""
    return found if needle in found else b""


def test_an_agent_gets_exact_bytes_of_others_only_when_told_so(shared: Shared) -> None:
    a, theirs = shared.a, shared.theirs
    with under_agent(a):
        refused = a.run("session", "show", theirs.id, "--raw", check=False)
        allowed = a.run("session", "show", theirs.id, "--raw", "--private")
        own = a.run("session", "show", shared.session.id, "--json")

    assert refused.code == 8
    assert THEIRS not in refused.out
    assert "--private" in refused.err
    assert THEIRS in allowed.out
    assert json.loads(own.out)["session"]


@pytest.mark.parametrize("command", [["session", "list"], ["search", "wrote"]])
def test_an_agent_gets_titles_and_hits_of_others_as_json_only_when_told_so(
    shared: Shared, command: list[str]
) -> None:
    a = shared.a
    until(lambda: THEIRS in a.run(*command).out, "B's session in the answer")
    assert THEIRS in a.run(*command, "--json").out
    with under_agent(a):
        refused = a.run(*command, "--json", check=False)
        allowed = a.run(*command, "--json", "--private")

    assert refused.code == 8
    assert THEIRS not in refused.out
    assert "--private" in refused.err
    assert THEIRS in allowed.out


def test_titles_in_other_answers_stand_in_a_frame_too(shared: Shared) -> None:
    a = shared.a
    withheld = a.write_session("what A keeps here")
    a.run("session", "withhold", withheld.id)
    with under_agent(a):
        refused = a.run("session", "share", withheld.id, check=False)

    assert refused.code == 8
    assert "what A keeps here" in refused.out
    assert refused.out.startswith("[[karma-sync begin ")
    assert refused.out.splitlines()[-1].startswith("[[karma-sync end ")


def test_a_person_sees_no_frame(shared: Shared) -> None:
    assert "[[karma-sync" not in shared.a.run("session", "show", shared.theirs.id).out
