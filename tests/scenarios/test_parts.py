"""Everything that belongs to a session arrives, stays after the agent's sweep, and is described."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

PLAN = b"# Plan\n\n1. look\n2. leap\n"


@dataclass(frozen=True)
class Two:
    """A and B, who exchange a project in both directions."""

    a: Member
    b: Member

    def until_b_has(self, session: Session, file: str, content: bytes) -> None:
        what = f"{file} of {session.id} at B"
        until(lambda: self.b.peek(session.id, file) == content, what)


@pytest.fixture(scope="module")
def two(town: Town) -> Two:
    a, b = town.pair()
    return Two(a, b)


def write(member: Member, name: str, content: bytes) -> None:
    """Write a file in the agent's directory."""
    path = member.claude / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


PARTS: dict[str, Callable[[str], str]] = {
    "todos/{0}-agent-{0}.json": "todos/{0}-agent-{0}.json".format,
    "tasks/1.json": "tasks/{0}/1.json".format,
    "plans/shiny-puzzle.md": "plans/shiny-puzzle.md".format,
}


def test_todos_tasks_and_plans_arrive_and_again_when_they_alone_change(two: Two) -> None:
    session = two.a.write_session("with a plan")
    slug = json.dumps({"type": "user", "slug": "shiny-puzzle", "cwd": str(two.a.repo)})
    with session.path.open("a") as out:
        out.write(slug + "\n")
    two.b.until_readable(session)
    for content in (b'[{"status": "pending"}]', b'[{"status": "completed"}]'):
        for name, place in PARTS.items():
            write(two.a, place(session.id), content + PLAN)
            two.until_b_has(session, name.format(session.id), content + PLAN)


def test_file_history_and_debug_log_stay_here(two: Two) -> None:
    session = two.a.write_session("edits a file")
    write(two.a, f"file-history/{session.id}/0123456789abcdef@v1", b"int main;")
    write(two.a, f"debug/{session.id}.txt", b"[DEBUG] started")
    write(two.a, f"todos/{session.id}-agent-{session.id}.json", b"[]")
    session.append("more")
    two.b.until_readable(session)
    two.until_b_has(session, f"todos/{session.id}-agent-{session.id}.json", b"[]")

    files = two.b.json("session", "show", session.id)["files"]
    assert sorted(files) == [f"todos/{session.id}-agent-{session.id}.json", "transcript.jsonl"]


def test_what_the_agents_sweep_deleted_stays_everywhere_and_is_marked(two: Two) -> None:
    session = two.a.write_session("soon swept away")
    session.beside("subagents/agent-1.jsonl", b"{}\n")
    two.b.until_readable(session)
    content = session.content
    assert _of(two.a, session)["source"] == "present"

    session.path.unlink()
    shutil.rmtree(session.path.with_suffix(""))
    two.b.until_readable(two.a.write_session("written after the sweep"))
    two.a.down()
    two.a.up()  # it looks at everything anew
    two.b.until_readable(two.a.write_session("written after the restart"))

    assert two.b.peek(session.id) == two.a.peek(session.id) == content
    assert _of(two.a, session)["source"] == "deleted"
    assert _of(two.b, session)["source"] is None
    listed = two.a.run("session", "list").out
    assert "kept" in next(line for line in listed.splitlines() if line.startswith(session.id[:8]))
    assert "the agent deleted its own copy" in listed


def test_a_list_tells_what_a_session_is_without_opening_it(two: Two) -> None:
    session = two.a.write_session("first prompt", "second prompt")
    records = [
        {"type": "summary", "summary": "a summary", "leafUuid": "x"},
        {"type": "ai-title", "aiTitle": "a title of the agent's"},
        {"type": "custom-title", "customTitle": "my own title"},
        {"type": "agent-setting", "agentSetting": "reviewer"},
        {"type": "user", "cwd": str(two.a.repo), "gitBranch": "feature/x"},
    ]
    with session.path.open("a") as out:
        out.writelines(json.dumps(record) + "\n" for record in records)
    two.b.until_readable(session)

    found = _of(two.b, session)
    assert found["title"] == "my own title"
    assert found["agent_name"] == "reviewer"
    assert found["branches"] == ["main", "feature/x"]
    assert found["models"] == ["claude-opus-4-8"]
    assert found["prompts"] == 2
    assert found["tokens"]["output"] == 2 * 34
    assert found["state"] == "live"
    listed = two.b.run("session", "list", "--long").out
    line = next(line for line in listed.splitlines() if line.startswith(session.id[:8]))
    for word in ("live", "claude-code/reviewer", "main, feature/x", "11224/68", "my own title"):
        assert word in line


def test_a_session_that_ended_is_no_longer_live_at_the_reader(two: Two) -> None:
    session = two.a.write_session("open in a terminal")
    state = f"sessions/{two.a.daemon_pid}.json"
    write(two.a, state, json.dumps({"pid": two.a.daemon_pid, "sessionId": session.id}).encode())
    until(lambda: _state(two.b, session) == (True, "live"), "B sees that it is open")

    (two.a.claude / state).unlink()

    until(lambda: _state(two.b, session) == (False, "ended"), "B sees that it ended")


def test_a_live_session_that_its_owner_withholds_is_no_longer_live_at_the_reader(two: Two) -> None:
    session = two.a.write_session("open, and out")
    state = f"sessions/{two.a.daemon_pid}.json"
    write(two.a, state, json.dumps({"pid": two.a.daemon_pid, "sessionId": session.id}).encode())
    until(lambda: _state(two.b, session) == (True, "live"), "B sees that it is open")
    before = session.content

    two.a.run("session", "withhold", session.id)
    session.append("not for others")

    until(lambda: _state(two.b, session) == (False, "ended"), "B no longer sees it as live")
    assert two.b.raw(session.id) == before
    two.a.run("session", "share", session.id, "--yes")
    until(lambda: two.b.raw(session.id) == session.content, "B reads what came meanwhile")


def _of(member: Member, session: Session) -> dict[str, Any]:
    return next((s for s in member.sessions() if s["id"] == session.id), {})


def _state(member: Member, session: Session) -> tuple[object, object]:
    found = _of(member, session)
    return found.get("running"), found.get("state")
