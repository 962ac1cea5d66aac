"""The content that a fork takes of a transcript, its place, and the agent's version here."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from karma_sync.agents.claude.fork_plan import ForkPlan, closing_lines, fork_lines, plan_fork
from karma_sync.agents.claude.fork_records import Rewriting
from karma_sync.agents.claude.installed import installed_version
from karma_sync.agents.claude.project_directory import (
    PlacesHere,
    directory_name,
    project_directory,
)
from karma_sync.errors import BadInput, Conflict, NotFound

Record = dict[str, Any]

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


def user(uuid: str, parent: str | None, content: object = "hello", **more: object) -> Record:
    message = {"role": "user", "content": content}
    return {"type": "user", "uuid": uuid, "parentUuid": parent, "message": message, **more}


def answer(uuid: str, parent: str | None, *parts: object, response: str = "") -> Record:
    message = {"id": response or f"m-{uuid}", "role": "assistant", "content": list(parts)}
    return {"type": "assistant", "uuid": uuid, "parentUuid": parent, "message": message}


def call(name: str) -> Record:
    return {"type": "tool_use", "id": name, "name": "Bash", "input": {}}


def result(name: str) -> list[Record]:
    return [{"type": "tool_result", "tool_use_id": name, "content": "done"}]


def said(text: str = "yes") -> Record:
    return {"type": "text", "text": text}


def raw(records: Iterable[Record | bytes]) -> list[bytes]:
    return [r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in records]


def forked(lines: Sequence[bytes], plan: ForkPlan) -> list[Record]:
    rewriting = Rewriting("new", lambda _: "/here", plan.stands_for, lambda _: None)
    return [json.loads(line) for line in fork_lines(lines, plan, rewriting.line)]


def chain(*records: Record | bytes, **wishes: Any) -> list[tuple[str, str | None]]:
    """The uuids of a fork's records, each with its parent's."""
    lines = raw(records)
    found = forked(lines, plan_fork(lines, **wishes))
    return [(r["uuid"], r["parentUuid"]) for r in found if "uuid" in r]


def test_a_record_that_goes_is_taken_out_of_the_chain() -> None:
    withheld = {"type": "attachment", "attachment": {"withheld": "environment"}}
    found = chain(
        user("p", None),
        withheld | {"uuid": "w", "parentUuid": "p"},
        {"type": "system", "uuid": "v", "parentUuid": "w", "withheld": "init"},
        answer("t", "v", THOUGHT),
        answer("a", "t", THOUGHT, said()),
    )

    assert found == [("p", None), ("a", "p")]


def test_the_first_records_may_go() -> None:
    found = chain(
        {"type": "attachment", "uuid": "w", "parentUuid": None, "attachment": {"withheld": "x"}},
        user("p", "w"),
        answer("a", "p", said()),
    )

    assert found == [("p", None), ("a", "p")]


def test_a_missing_parent_is_replaced_by_the_record_before() -> None:
    lines = raw([user("p", None), b"torn {\n", answer("a", "gone", said())])
    plan = plan_fork(lines)

    assert [r["parentUuid"] for r in forked(lines, plan)] == [None, "p"]
    assert (plan.bridged, plan.left_out) == (1, {"unreadable line": 1})


def test_records_in_a_ring_do_not_hang_the_agent() -> None:
    found = dict(chain(user("p", "a"), answer("a", "p", said())))

    assert sorted(found) == ["a", "p"]
    assert None in found.values()


def test_calls_without_a_result_are_cut_at_the_end_alone() -> None:
    first = [user("p", None), answer("a", "p", call("1")), user("q", "a", "stop it")]
    open_ = [
        answer("b", "q", said(), response="m"),
        answer("c", "b", call("2"), response="m"),
        answer("d", "c", call("3"), response="m"),
        user("r", "d", result("3")),
    ]

    assert [uuid for uuid, _ in chain(*first, answer("b", "q", said()))] == ["p", "a", "q", "b"]
    assert [uuid for uuid, _ in chain(*first, *open_)] == ["p", "a", "q", "b"]
    assert [u for u, _ in chain(*first, *open_, user("s", "c", result("2")))][-2:] == ["r", "s"]


def test_of_parallel_calls_the_one_that_still_runs_is_cut() -> None:
    found = chain(
        user("p", None),
        answer("a", "p", call("1"), response="m"),
        answer("b", "a", call("2"), response="m"),
        user("r", "a", result("1")),
    )

    assert [uuid for uuid, _ in found] == ["p", "a", "r"]


def test_it_ends_with_the_whole_answer_that_is_named() -> None:
    records = (
        user("p", None),
        answer("a1", "p", said(), response="m"),
        answer("a2", "a1", call("1"), response="m"),
        user("r", "a2", result("1")),
        answer("b", "r", said()),
    )

    assert [uuid for uuid, _ in chain(*records, at="a1")] == ["p", "a1", "a2", "r"]
    with pytest.raises(BadInput, match="several"):
        chain(*records, at="a")
    with pytest.raises(NotFound, match="no message 'x'"):
        chain(*records, at="x")


def test_a_session_that_said_nothing_cannot_be_forked() -> None:
    with pytest.raises(Conflict):
        plan_fork(raw([{"type": "mode", "mode": "plan"}]))


def test_an_abandoned_branch_stays_and_the_leaf_is_where_the_author_was() -> None:
    records = [
        user("p", None),
        answer("a", "p", said()),
        user("q", "a", "wrong way"),
        answer("b", "q", said()),
        user("r", "a", "other way"),
    ]
    rewound = [*records[:4], {"type": "last-prompt", "leafUuid": "a", "lastPrompt": "hello"}]

    assert plan_fork(raw(records)).leaf == "r"
    assert plan_fork(raw(rewound)).leaf == "a"
    assert len(chain(*rewound)) == 4


def test_what_would_act_on_this_machine_does_not_come() -> None:
    lines = raw(
        [
            {"type": "permission-mode", "permissionMode": "bypassPermissions"},
            {"type": "queue-operation", "operation": "enqueue", "content": "rm -rf ."},
            {"type": "bridge-session", "uuid": "x", "parentUuid": None},
            user("p", "x", permissionMode="bypassPermissions"),
            {
                "type": "attachment",
                "uuid": "c",
                "parentUuid": "p",
                "attachment": {"type": "command_permissions", "allowedTools": ["Bash"]},
            },
            answer("a", "c", said()),
        ]
    )
    found = forked(lines, plan_fork(lines))

    assert [r["uuid"] for r in found] == ["p", "a"]
    assert b"ermission" not in json.dumps(found).encode()


def test_what_was_said_stays_byte_for_byte() -> None:
    odd = b'{"role" : "user", "content":[ {"type":"text", "text":"\\u00e9 2.50"} , 1.0]}'
    line = b'{ "message" : ' + odd + b', "type":"user","uuid":"p","parentUuid":null, "x": 2.50}\n'
    plan = plan_fork([line])
    [found] = fork_lines([line], plan, Rewriting("new", str, plan.stands_for, lambda _: None).line)

    assert odd in found
    assert b'"x":2.50' in found


def test_half_an_emoji_stays() -> None:
    line = b'{"type":"user","uuid":"p","parentUuid":null,"message":{"content":"a \\ud83d b"}}\n'
    plan = plan_fork([line])
    [found] = fork_lines([line], plan, Rewriting("new", str, plan.stands_for, lambda _: None).line)

    assert json.loads(found)["message"]["content"] == "a \ud83d b"


def test_a_compaction_names_records_that_the_fork_has() -> None:
    kept = {"headUuid": "t", "tailUuid": "a", "uuids": ["t", "a"]}
    lines = raw(
        [
            user("p", None),
            answer("t", "p", THOUGHT),
            answer("a", "t", said()),
            {
                "type": "system",
                "subtype": "compact_boundary",
                "uuid": "c",
                "parentUuid": None,
                "logicalParentUuid": "elsewhere",
                "compactMetadata": {"trigger": "auto", "preservedSegment": kept},
            },
            user("s", "c", "the summary", isCompactSummary=True),
        ]
    )
    boundary = forked(lines, plan_fork(lines))[-2]

    assert boundary["logicalParentUuid"] is None
    assert boundary["compactMetadata"] == {
        "trigger": "auto",
        "preservedSegment": {"headUuid": "p", "tailUuid": "a", "uuids": ["a"]},
    }


def test_the_heads_begin_a_conversation_and_follow_a_compaction() -> None:
    boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "c", "parentUuid": None}
    before = [user(f"u{n}", f"u{n - 1}" if n else None) for n in range(20)]

    heads = plan_fork(raw([*before, boundary, user("s", "c")])).heads
    assert heads == (*(f"u{n}" for n in range(8)), "c", "s")


def test_the_closing_records_name_title_and_leaf() -> None:
    plan = plan_fork(raw([user("p", None), answer("a", "p", said())]))
    found = [json.loads(line) for line in closing_lines(plan, "new", 'a "title"')]

    assert [r["type"] for r in found] == ["custom-title", "agent-name", "last-prompt"]
    assert found[-1]["leafUuid"] == "a"
    assert found[0]["customTitle"] == 'a "title"'


def test_every_published_transcript_makes_a_whole_chain(corpus: Path) -> None:
    made = 0
    for path in sorted((corpus / "claude").rglob("*.jsonl")):
        lines = [line + b"\n" for line in path.read_bytes().split(b"\n") if line]
        try:
            plan = plan_fork(lines, is_subagent=True)
        except Conflict:
            continue
        found = forked(lines, plan)
        known = {r["uuid"] for r in found if "uuid" in r}
        assert plan.leaf in known, path
        assert {r.get("parentUuid") for r in found} <= known | {None}, path
        text = json.dumps(found)
        assert '"redacted_thinking"' not in text
        made += 1
    assert made > 50


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/bob/my repo.x", "-home-bob-my-repo-x"),
        ("/srv/a b/é😀_x", "-srv-a-b-----x"),
        ("/srv/" + "x" * 195, "-srv-" + "x" * 195),
        ("/srv/" + "x" * 250, "-srv-" + "x" * 195 + "-k2t98n"),
    ],
)
def test_a_directory_is_named_as_the_agent_names_it(path: str, name: str) -> None:
    assert directory_name(path) == name


def test_the_environment_may_name_the_directory(tmp_path: Path) -> None:
    named = {"CLAUDE_CODE_PROJECT_DIR_NAME": "mine"}
    usual = tmp_path / "projects" / directory_name(str(tmp_path))

    assert project_directory(tmp_path, tmp_path, named) == usual
    named["CLAUDE_CONFIG_DIR"] = str(tmp_path)
    assert project_directory(tmp_path, tmp_path, named) == tmp_path / "projects" / "mine"
    named["CLAUDE_CODE_PROJECT_DIR_NAME"] = "../mine"
    assert project_directory(tmp_path, tmp_path, named) == usual


@pytest.mark.parametrize(
    ("theirs", "path", "below"),
    [
        (["/home/a/web"], "/home/a/web/src", "src"),
        (["/home/a/web/src"], "/home/a/web/src/new", "src/new"),
        (["/home/a/app/src"], "/home/a/app/src", "src"),
        (["/home/a/web"], "/home/a/web/.claude/worktrees/x/src", "src"),
        (["/home/a/web/.claude/worktrees/x"], "/home/a/web/src", "src"),
        (["/home/a/.claude-worktrees/web/x"], "/home/a/.claude-worktrees/web/x/src", "src"),
        (["/home/a/web"], "/home/a/website", ""),
        (["/home/a/web"], "/srv", ""),
        (["/home/a/web"], "/home/a/web/../../etc", ""),
        (["C:\\src\\web"], "C:\\src\\web\\src", "src"),
        ([], "/anywhere", ""),
    ],
)
def test_directories_are_those_of_the_clone(theirs: list[str], path: str, below: str) -> None:
    here = Path("/my/web")
    places = PlacesHere(theirs, "web", here, lambda each: each in ("", "src"))

    assert places.of(path) == str(here / below)


def test_the_version_is_told_by_where_the_program_lies(tmp_path: Path) -> None:
    version = tmp_path / "versions" / "2.1.332"
    version.parent.mkdir()
    version.touch(mode=0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(version)
    package = tmp_path / "lib" / "package.json"
    (package.parent / "bin").mkdir(parents=True)
    (package.parent / "bin" / "claude").touch(mode=0o755)
    package.write_text('{"name": "@anthropic-ai/claude-code", "version": "2.1.328"}')

    assert installed_version({"PATH": str(tmp_path / "bin")}) == "2.1.332"
    assert installed_version({"PATH": str(package.parent / "bin")}) == "2.1.328"
    assert installed_version({"PATH": str(tmp_path)}) == ""
