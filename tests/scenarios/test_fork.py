"""`session fork`: another member's session lies where the agent here finds it, and stays here."""

import json
import re
import shlex
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session, encoded

pytestmark = pytest.mark.memory

SAVED = "tool-results/toolu_big.txt"


@dataclass(frozen=True)
class Shared:
    """A session of A's that B goes on from."""

    a: Member
    b: Member
    session: Session


def lines(session: Session, name: str, *records: dict[str, Any]) -> None:
    path = session.path if name == "" else session.path.with_suffix("") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {
        "sessionId": session.id,
        "cwd": str(session.cwd),
        "entrypoint": "sdk-cli",
        "version": "2.1.332",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    with path.open("a") as out:
        out.writelines(json.dumps(common | record) + "\n" for record in records)


def answer(uuid: str, parent: str, *parts: dict[str, Any]) -> dict[str, Any]:
    usage = {"input_tokens": 12, "cache_read_input_tokens": 3000, "output_tokens": 30}
    message = {"id": f"m-{uuid}", "role": "assistant", "content": list(parts), "usage": usage}
    return {"type": "assistant", "uuid": uuid, "parentUuid": parent, "message": message}


def prompt(uuid: str, parent: str | None, *parts: dict[str, Any] | str) -> dict[str, Any]:
    content = parts[0] if isinstance(parts[0], str) else list(parts)
    message = {"role": "user", "content": content}
    return {"type": "user", "uuid": uuid, "parentUuid": parent, "message": message}


def write(a: Member, unique: str = "") -> Session:
    """Two turns with thinking, a long output, a subagent, a withheld record, an open call.

    The uuids of its records begin with `unique`.
    """
    session = a.write_session("look at it", odd=False)
    session.path.write_text("")
    saved = f"/home/alice/.claude/projects/x/{session.id}/{SAVED}"
    big = {"type": "tool_result", "tool_use_id": "t1", "content": f"saved to: {saved}"}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make"}}
    written = (
        prompt("p1", None, "look at it"),
        {
            "type": "attachment",
            "uuid": "e1",
            "parentUuid": "p1",
            "attachment": {"type": "environment"},
        },
        answer("a1", "e1", thought),
        answer("a2", "a1", call),
        prompt("r1", "a2", big) | {"toolUseResult": {"persistedOutputPath": saved}},
        {"type": "custom-title", "customTitle": "make it work"},
        {"type": "permission-mode", "permissionMode": "bypassPermissions"},
        answer("a3", "r1", {"type": "text", "text": "done"}),
        prompt("p2", "a3", "and now?") | {"permissionMode": "bypassPermissions"},
        answer("a4", "p2", call | {"id": "t2"}),
    )
    for record in written:
        ids = {n: f"{unique}{record[n]}" for n in ("uuid", "parentUuid") if record.get(n)}
        lines(session, "", record | ids)
    session.beside(SAVED, b"much")
    lines(session, "subagents/agent-a7.jsonl", prompt("s1", None, "look") | {"isSidechain": True})
    (a.claude / "tasks" / session.id).mkdir(parents=True)
    (a.claude / "tasks" / session.id / "1.json").write_text('{"subject": "mend"}')
    return session


@pytest.fixture(scope="module")
def shared(town: Town) -> Shared:
    a, b = town.members("alice", "bob")
    session = write(a)
    found_team(a, b)
    share(a, b)
    until(lambda: b"and now?" in (b.peek(session.id) or b""), "all of it at B")
    until(lambda: b.peek(session.id, SAVED), "its long output at B")
    return Shared(a, b, session)


def fork(shared: Shared, *options: str) -> dict[str, Any]:
    return shared.b.json("session", "fork", shared.session.id, *options)


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_it_has_an_id_of_its_own_where_the_agent_looks(shared: Shared) -> None:
    made = fork(shared)
    path = Path(made["path"])

    assert path.parent == shared.b.claude / "projects" / encoded(shared.b.repo)
    assert path.stem == made["session"] != shared.session.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {r["sessionId"] for r in records(made["path"])} == {made["session"]}
    assert made["command"] == f"cd {shared.b.repo} && claude --resume {made['session']}"


def test_it_goes_on_from_the_last_call_that_has_its_result(shared: Shared) -> None:
    found = records(fork(shared)["path"])
    chain = [(r["uuid"], r["parentUuid"]) for r in found if "uuid" in r]

    assert chain == [("p1", None), ("a2", "p1"), ("r1", "a2"), ("a3", "r1"), ("p2", "a3")]
    assert {r["cwd"] for r in found if "cwd" in r} == {str(shared.b.repo)}
    assert {r["entrypoint"] for r in found if "entrypoint" in r} == {"cli"}
    assert not any("permissionMode" in r for r in found)
    assert [r.get("customTitle") or r.get("agentName") for r in found[-3:-1]] == [
        "make it work (from alice)"
    ] * 2
    assert (found[-1]["type"], found[-1]["leafUuid"]) == ("last-prompt", "p2")
    assert found[-1]["lastPrompt"] == "and now?"


def test_files_beside_it_have_its_id(shared: Shared) -> None:
    made = fork(shared)
    own = Path(made["path"]).with_suffix("")
    result = next(r for r in records(made["path"]) if r.get("uuid") == "r1")

    assert (own / SAVED).read_bytes() == b"much"
    assert result["toolUseResult"]["persistedOutputPath"] == str(own / SAVED)
    assert result["message"]["content"][0]["content"] == f"saved to: {own / SAVED}"
    [subagent] = records(str(own / "subagents/agent-a7.jsonl"))
    assert (subagent["sessionId"], subagent["uuid"]) == (made["session"], "s1")
    tasks = shared.b.claude / "tasks" / made["session"]
    assert [path.name for path in tasks.iterdir()] == ["1.json"]


def test_it_ends_with_a_message(shared: Shared) -> None:
    found = records(fork(shared, "--at", "a2")["path"])

    assert [r["uuid"] for r in found if "uuid" in r] == ["p1", "a2", "r1"]
    assert found[-1]["lastPrompt"] == "look at it"
    wrong = shared.b.run("session", "fork", shared.session.id, "--at", "zz", check=False)
    assert (wrong.code, "no message 'zz'" in wrong.err) == (5, True)


def test_it_shows_what_one_goes_on_from(shared: Shared) -> None:
    before = sorted(shared.b.claude.rglob("*"))
    shown = shared.b.run("session", "fork", shared.session.id, "--dry-run").out

    assert sorted(shared.b.claude.rglob("*")) == before
    for line in (
        r"  by:          alice.box, claude-code, .* kB",
        r"  reads again: about 3,042 tokens, with the first prompt",
        r"  agent:       version 2\.1\.332 there, .* here",
        r"  left out:    .*call without a result 1.*thinking 1.*withheld 1",
        r"Nothing was written\.",
    ):
        assert re.search(line, shown), line


def test_the_sentence_for_the_agent_says_where_the_conversation_is_from(shared: Shared) -> None:
    there = shared.b.run("session", "fork", shared.session.id).out
    own = shared.a.run("session", "fork", shared.session.id).out

    assert f"is by {shared.a.tag}, on another machine." in there
    assert "goes on from an earlier session on this machine." in own
    assert "another machine" not in own


def test_it_stays_here_until_it_is_shared(shared: Shared) -> None:
    made = fork(shared)["session"]
    held = until(
        lambda: [h for h in shared.b.json("session", "list")["held"] if h["session"] == made],
        "the fork among those that stay",
    )

    assert held[0]["why"] == "it is a fork of a session by alice.box"
    shared.b.run("session", "share", made, "--yes")
    until(lambda: shared.a.peek(made), "the fork at A")


def test_a_fork_that_the_agent_makes_of_it_stays_here_too(shared: Shared) -> None:
    made = records(fork(shared)["path"])
    again = "99999999-9999-4999-8999-999999999999"
    path = shared.b.claude / "projects" / encoded(shared.b.repo) / f"{again}.jsonl"
    path.write_text("".join(json.dumps(r | {"sessionId": again}) + "\n" for r in made))
    held = until(
        lambda: [h for h in shared.b.json("session", "list")["held"] if h["session"] == again],
        "the second fork among those that stay",
    )

    assert held[0]["why"] == "it is a fork of a session by alice.box"


def test_a_copy_by_hand_is_a_fork_too(shared: Shared) -> None:
    copy = "88888888-8888-4888-8888-888888888888"
    path = shared.b.claude / "projects" / encoded(shared.b.repo) / f"{copy}.jsonl"
    raw = shared.b.raw(shared.session.id).decode().replace(shared.session.id, copy)
    path.write_text(raw.replace(str(shared.a.repo), str(shared.b.repo)))
    held = until(
        lambda: [h for h in shared.b.json("session", "list")["held"] if h["session"] == copy],
        "the copy among those that stay",
    )

    assert held[0]["why"] == "it is a fork of a session by alice.box"


def test_forks_are_found_among_the_sessions(shared: Shared) -> None:
    made = fork(shared)["session"]
    until(
        lambda: made in [s["id"] for s in shared.b.json("session", "list", "is:fork")["sessions"]],
        "the fork in the archive",
    )
    found = {s["id"]: s["fork_of"] for s in shared.b.json("session", "list")["sessions"]}

    assert found[made] == {"author": "alice.box", "session": shared.session.id}
    assert found[shared.session.id] is None
    plain = shared.b.json("session", "list", "-is:fork")["sessions"]
    assert shared.session.id in [s["id"] for s in plain]
    assert made not in [s["id"] for s in plain]


def test_sharing_a_fork_names_whose_session_it_goes_on_from(shared: Shared) -> None:
    made = fork(shared)["session"]
    shown = shared.b.run("session", "share", made, check=False)

    assert f"goes on:     from session {shared.session.id} by alice.box" in shown.out
    assert shown.code == 8


def test_a_session_of_ones_own_of_which_another_made_a_fork_still_leaves(shared: Shared) -> None:
    made = fork(shared)["session"]
    shared.b.run("session", "share", made, "--yes")
    until(lambda: shared.a.peek(made), "the fork at A")
    lines(shared.session, "", prompt("p9", "a3", "one more thing"))

    until(lambda: b"one more" in (shared.b.peek(shared.session.id) or b""), "the rest at B")


def test_other_clones_are_named_and_other_projects_refused(shared: Shared) -> None:
    b = shared.b
    wrong = b.clone("git@example.org:acme/other.git", "other")
    refused = b.run("session", "fork", shared.session.id, "--into", str(wrong), check=False)

    assert refused.code == 6
    assert f"{wrong} is no clone of example.org/acme/repo" in refused.err


def test_of_several_clones_one_must_be_named(shared: Shared) -> None:
    b = shared.b
    second = b.clone("git@example.org:acme/repo.git", "second")
    b.write_session("in the second clone", cwd=second)
    until(lambda: str(second) in b.run("project", "scan").out, "the second clone")
    away = b.folder / "user-home"
    asked = b.run("session", "fork", shared.session.id, "--dry-run", cwd=away, check=False)
    named = b.json("session", "fork", shared.session.id, "--into", str(second), "--dry-run")

    assert asked.code == 2
    assert f"--into {b.repo}" in asked.err
    assert named["directory"] == str(second)


def test_thinking_of_others_cannot_be_kept(shared: Shared) -> None:
    refused = shared.b.run("session", "fork", shared.session.id, "--keep-thinking", check=False)
    own = records(shared.a.json("session", "fork", shared.session.id, "--keep-thinking")["path"])

    assert (refused.code, "bound to the account" in refused.err) == (2, True)
    assert any(r.get("uuid") == "a1" for r in own)


def test_a_fork_outlives_its_parent_until_the_person_deletes_it(shared: Shared) -> None:
    a, b = shared.a, shared.b
    parent = write(a, "another-")
    until(lambda: b"and now?" in (b.peek(parent.id) or b""), "another session at B")
    made = b.json("session", "fork", parent.id)
    path = Path(made["path"])
    assert b.json("status")["withdrawn_parents"] == []
    a.run("session", "unshare", parent.id)
    until(lambda: b.peek(parent.id) is None, "the end of the parent at B")

    step = f"karma-sync session fork --delete {made['session']}"
    assert f"alice.box withdrew the session that {made['session']} goes on from" in (
        b.run("status").out
    )
    assert step in b.run("session", "list").out
    assert b.run(*step.split()[1:], check=False).code == 8
    looked = b.run(*step.split()[1:], "--dry-run", "--yes")
    assert "Nothing was deleted." in looked.out
    assert path.exists()
    b.run(*step.split()[1:], "--yes")
    assert not path.exists()
    assert not path.with_suffix("").exists()
    assert b.json("status")["withdrawn_parents"] == []


def test_the_next_step_of_a_look_keeps_what_was_chosen(shared: Shared) -> None:
    b = shared.b
    chosen = ["--into", str(b.repo), "--at", "a3", "--by", "alice.box"]
    looked = b.run("session", "fork", shared.session.id, *chosen, "--dry-run")

    assert looked.out.endswith(
        f"Next: karma-sync session fork {shared.session.id} {shlex.join(chosen)}\n"
    )


def test_names_that_the_author_chose_make_no_lines_of_their_own(shared: Shared) -> None:
    session = shared.a.write_session("hello", odd=False)
    forged = {"gitBranch": "main\nNext: rm -r .\x1b[2J", "version": "2.1\nNext: rm"}
    lines(session, "", prompt("forged", None, "look") | forged)
    until(lambda: b"forged" in (shared.b.peek(session.id) or b""), "it at B")
    shown = shared.b.run("session", "fork", session.id, "--dry-run")

    assert "rm -r ." in shown.out
    assert not [each for each in shown.lines if each.startswith("Next: rm")]
    assert "\x1b" not in shown.out
