"""`session show`: a conversation with a line for each tool, diffs, subagents and tasks."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

PATCH = [{"oldStart": 1, "oldLines": 1, "newStart": 1, "newLines": 1, "lines": ["-old", "+new"]}]


@dataclass(frozen=True)
class Shown:
    """A session of A's that B reads."""

    a: Member
    b: Member
    session: Session

    def show(self, *options: str) -> str:
        return self.b.run("session", "show", self.session.id, *options).out


def lines(session: Session, name: str, *records: dict[str, Any]) -> None:
    path = session.path if name == "" else session.path.with_suffix("") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {"sessionId": session.id, "cwd": str(session.cwd), "timestamp": "2026-10-01T10:00:00Z"}
    with path.open("a") as out:
        out.writelines(json.dumps(common | record) + "\n" for record in records)


def used(name: str, call: str, **given: Any) -> dict[str, Any]:
    use = {"type": "tool_use", "id": call, "name": name, "input": given}
    usage = {"input_tokens": 1200, "output_tokens": 30}
    message = {"id": f"m-{call}", "model": "a-model", "content": [use], "usage": usage}
    return {"type": "assistant", "uuid": f"u-{call}", "message": message}


def result(call: str, text: str, **more: Any) -> dict[str, Any]:
    part = {"type": "tool_result", "tool_use_id": call, "content": text}
    return {
        "type": "user",
        "uuid": f"r-{call}",
        "message": {"content": [part]},
        "toolUseResult": more,
    }


@pytest.fixture(scope="module")
def shown(town: Town) -> Shown:
    a, b = town.members("alice", "bob")
    session = a.write_session("fix the tests", odd=False)
    edited = str(session.cwd / "src" / "app.py")
    lines(
        session,
        "",
        used("Bash", "t1", command="make test"),
        result("t1", "two failures", stdout="two failures"),
        used("Edit", "t2", file_path=edited, old_string="old", new_string="new"),
        result("t2", "done", structuredPatch=PATCH),
        used("Task", "t3", description="look around"),
        result("t3", "nothing", agentId="a7"),
        {"type": "attachment", "uuid": "w", "attachment": {"type": "environment", "os": "linux"}},
        {"type": "user", "uuid": "p2", "message": {"content": "and now the docs"}},
    )
    lines(
        session,
        "subagents/agent-a7.jsonl",
        {"type": "user", "message": {"content": "look"}},
        used("Edit", "t9", file_path=str(session.cwd / "docs.md"), old_string="old"),
        result("t9", "done", structuredPatch=PATCH),
    )
    tasks = a.claude / "tasks" / session.id
    tasks.mkdir(parents=True)
    (tasks / "1.json").write_text(json.dumps({"subject": "mend it", "status": "completed"}))
    (tasks / "2.json").write_text(json.dumps({"subject": "write docs", "status": "pending"}))
    found_team(a, b)
    share(a, b)
    until(lambda: b"and now the docs" in (b.peek(session.id) or b""), "all of it at B")
    return Shown(a, b, session)


def test_a_conversation_has_one_line_for_each_tool(shown: Shown) -> None:
    out = shown.show()

    for line in (
        "Bash make test → exit 0",
        "Edit src/app.py +1 −1",
        "Task look around (subagent a7)",
    ):
        assert f"\n  {line}\n" in out
    assert re.search(r"^## user  20\d\d-.* UTC\nfix the tests$", out, re.MULTILINE)
    assert "## assistant  2026-10-01 10:00 UTC, a-model, 1,200 tokens in, 30 out\n" in out
    assert "two failures" not in out
    assert "[stays with its author: environment 1]" in out


def test_tools_are_shown_as_wished(shown: Shown) -> None:
    assert "make test" not in shown.show("--tools", "none")
    full = shown.show("--tools", "full")
    assert '{"command": "make test"}' in full
    assert "\n    two failures\n" in full


def test_edits_are_shown_as_diffs(shown: Shown) -> None:
    diff = "    @@ -1,1 +1,1 @@\n    -old\n    +new\n"

    assert diff not in shown.show()
    assert diff in shown.show("--diff")
    assert f"\nsrc/app.py +1 −1\n{diff}" in shown.show("--changes")
    assert "fix the tests" not in shown.show("--changes").partition("\n\n")[2]


def test_the_changes_of_a_session_are_also_those_of_its_subagents(shown: Shown) -> None:
    assert "\ndocs.md +1 −1\n" in shown.show("--changes")
    of_one = shown.show("--changes", "--file", "subagents/agent-a7.jsonl")
    assert ("docs.md" in of_one, "src/app.py" in of_one) == (True, False)
    unchanged = shown.b.run("session", "show", f"{shown.session.id}@p2", "--changes").out
    assert unchanged.endswith("\n\nIt changed no file.\n")


def test_prompts_alone_and_the_last_of_them(shown: Shown) -> None:
    prompts = shown.show("--prompts")
    assert "fix the tests" in prompts
    assert "## assistant" not in prompts
    last = shown.show("--last", "1").partition("## ")[2]
    assert "and now the docs" in last
    assert "make test" not in last


def test_it_begins_at_a_message(shown: Shown) -> None:
    out = shown.b.run("session", "show", f"{shown.session.id}@u-t2").out
    assert "Edit src/app.py" in out
    assert "make test" not in out

    missing = shown.b.run("session", "show", f"{shown.session.id}@nothing", check=False)
    assert (missing.code, "has no message 'nothing'" in missing.err) == (5, True)


def test_subagents_and_tasks_are_shown(shown: Shown) -> None:
    assert "# subagents/agent-a7.jsonl\n\n## user" in shown.show("--subagents")
    assert "Tasks: 1 of 2 done\n  [x] mend it\n  [ ] write docs\n" in shown.show()


def test_follow_goes_on_with_what_arrives(shown: Shown) -> None:
    following = shown.b.start("session", "show", shown.session.id, "--follow", "--last", "1")
    try:
        assert following.stdout is not None
        until(lambda: "and now the docs" in following.stdout.readline(), "the last prompt")  # type: ignore[union-attr] # a pipe
    finally:
        following.terminate()
        following.communicate(timeout=30)


@pytest.mark.parametrize(
    "options",
    [
        ("--raw", "--json"),
        ("--raw", "--diff"),
        ("--json", "--prompts"),
        ("--json", "--file", "subagents/agent-a7.jsonl"),
        ("--follow", "--changes"),
        ("--follow", "--subagents"),
        ("--changes", "--last", "1"),
        ("--changes", "--tools", "full"),
        ("--prompts", "--diff"),
        ("--file", "subagents/agent-a7.jsonl", "--subagents"),
    ],
)
def test_no_option_is_ignored_beside_another(shown: Shown, options: tuple[str, ...]) -> None:
    done = shown.b.run("session", "show", shown.session.id, *options, check=False)

    assert (done.code, "do not go together" in done.err) == (2, True)
    assert f"try: karma-sync session show {shown.session.id}" in done.err


def test_a_message_and_a_file_that_cannot_both_be_meant(shown: Shown) -> None:
    for options in (("--file", "tasks/1.json"), ("--follow",), ("--json",)):
        place = f"{shown.session.id}@u-t2"
        done = shown.b.run("session", "show", place, *options, check=False)
        assert (done.code, "do not go together" in done.err) == (2, True)
    task = ("session", "show", shown.session.id, "--file", "tasks/1.json")
    assert "mend it" in shown.b.run(*task).out
    refused = shown.b.run(*task, "--diff", check=False)
    assert (refused.code, "holds no conversation" in refused.err) == (2, True)


def test_the_archive_has_nothing_by_others(shown: Shown) -> None:
    command = ("session", "show", shown.session.id, "--archived", "--by", shown.a.tag)
    refused = shown.b.run(*command, check=False)

    assert (refused.code, "try: leave out --archived" in refused.err) == (2, True)
