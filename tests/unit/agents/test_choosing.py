"""Records that leave are chosen by their types; what this version does not know stays here."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from karma_sync.agents.claude import record_types
from karma_sync.agents.claude.choosing import ClaudeRecords
from karma_sync.agents.record_choice import NOT_JSON, Chosen
from karma_sync.domain.session.frame import GIVEN
from karma_sync.domain.session.profile import Profile

CWD = "/src/repo"
CHAIN = {"uuid": "u2", "parentUuid": "u1", "sessionId": "s1", "isSidechain": False}
MINE = "my own instructions for all projects"
LOCAL = "what only this machine must know"
MEMORY = "what the agent remembers of me"
THEIRS = "what another team wrote"


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def attachment(kind: str, where: Mapping[str, Any] | None = None, **content: Any) -> bytes:
    return line(
        type="attachment",
        attachment={"type": kind, **content},
        rendered=f"as posted: {MINE}",
        renderedRole="user",
        **{"cwd": CWD, "gitBranch": "main"} | dict(where or {}),
        timestamp="2026-11-01T10:00:00Z",
        **CHAIN,
    )


def chosen(content: bytes, profile: Profile = Profile.STANDARD) -> Chosen:
    return ClaudeRecords(profile).chooser().choose(content)


def records(found: Chosen) -> list[dict[str, Any]]:
    return [json.loads(each) for each in found.data.splitlines()]


SAID = line(type="user", message={"role": "user", "content": "hello"}, **CHAIN)
ANSWER = line(type="assistant", message={"role": "assistant", "content": []}, **CHAIN)
FILES = [
    {"path": f"{CWD}/CLAUDE.md", "type": "Project", "content": "rules of the project"},
    {"path": "/home/me/.claude/CLAUDE.md", "type": "User", "content": MINE},
    {"path": f"{CWD}/CLAUDE.local.md", "type": "Local", "content": LOCAL},
    {"path": "/home/me/.claude/projects/x/memory/MEMORY.md", "type": "AutoMem", "content": MEMORY},
    {"path": "/src/CLAUDE.md", "type": "Project", "content": MINE},
    {"path": f"{CWD}/../notes.md", "type": "Project", "content": MINE},
]
# What version 2.1.332 writes besides the conversation.
PRIVATE = [
    attachment("prompt_snapshot", systemPrompt=MINE, tools=[MEMORY]),
    attachment("environment", snapshot={"os": "linux", "cwd": CWD}),
    attachment("session_context", context=f"git status of {LOCAL}"),
    attachment("skill_listing", content=MINE),
    attachment("agent_listing_delta", addedTypes=[MINE]),
    attachment("deferred_tools_delta", addedNames=[MINE]),
    attachment("remote_session_change", url=MINE),
    attachment("model", identity="m", text=MINE),
    attachment("date", date="2026-11-01"),
    attachment("instructions", files=FILES[1:]),
    line(type="api-request-shape", sessionId="s1", shape=MINE),
    line(type="api-request-blob", sessionId="s1", message={"content": f"{MINE} {MEMORY}"}),
    line(type="api-request", sessionId="s1", params=LOCAL),
    line(type="cost-state", sessionId="s1", totalCostUSD=1),
    line(type="tools-used", sessionId="s1"),
    line(type="atis-latch", sessionId="s1"),
    line(type="queue-operation", sessionId="s1", content=LOCAL),
    line(type="relocated", relocatedCwd="/home/me/other"),
    line(type="file-history-snapshot", snapshot={"trackedFileBackups": {LOCAL: 1}}),
    line(type="system", subtype="init", skills=[MINE], mcp_servers=[LOCAL], **CHAIN),
    line(type="system", subtype="local_command", content=f"/context: skill {MINE}", **CHAIN),
    attachment("output_style", style=MINE),
    attachment("output_style_instructions", text=MINE),
    attachment("invoked_skills", skills=[{"content": MINE}]),
]


def test_a_conversation_leaves_byte_for_byte() -> None:
    content = SAID + ANSWER + line(type="summary", summary="s", leafUuid="u2")
    found = chosen(content)

    assert (found.data, found.starts, found.records) == (content, None, 3)
    assert not found.withheld.types


@pytest.mark.parametrize("profile", [Profile.CONVERSATION, Profile.STANDARD])
def test_nothing_of_what_is_the_persons_own_leaves(profile: Profile) -> None:
    found = chosen(b"".join([SAID, *PRIVATE, ANSWER]), profile)

    for needle in (MINE, LOCAL, MEMORY, "home", "linux", "USD"):
        assert needle.encode() not in found.data
    assert not found.withheld.unknown
    assert sum(count for count, _ in found.withheld.types.values()) == len(PRIVATE)
    assert sum(size for _, size in found.withheld.types.values()) == sum(map(len, PRIVATE))


def test_full_sends_all_of_it() -> None:
    content = b"".join([SAID, *PRIVATE, b"no JSON\n", line(type="hologram"), ANSWER])
    found = chosen(content, Profile.FULL)

    assert (found.data, found.starts) == (content, None)
    assert not found.withheld.types


def test_a_record_in_the_chain_keeps_its_place_and_one_outside_is_left_out() -> None:
    content = SAID + attachment("environment", snapshot=MINE) + line(type="api-request", x=MINE)
    [_, placed] = records(chosen(content))

    assert placed["attachment"] == {"withheld": "environment"}
    assert CHAIN.items() <= placed.items()
    assert placed["type"] == "attachment"


def test_only_instructions_of_the_project_leave_and_not_as_they_were_posted() -> None:
    [found] = records(chosen(attachment("instructions", files=FILES)))

    assert found["attachment"] == {"type": "instructions", "files": FILES[:1]}
    assert "rendered" not in found


@pytest.mark.parametrize(
    ("content", "leaves"),
    [(FILES[0], True), (FILES[1], False), (FILES[4], False)],
    ids=["of the project", "of the person", "above the project"],
)
def test_so_do_those_of_a_nested_directory(content: Mapping[str, str], leaves: bool) -> None:
    [found] = records(chosen(attachment("nested_memory", path=content["path"], content=content)))

    assert (found["attachment"] == {"withheld": "nested_memory"}) is not leaves


@pytest.mark.parametrize(
    ("cwd", "branch"),
    [
        ("/", "main"),
        (str(Path.home()), "main"),
        (str(Path.home().parent), "main"),
        ("/src", "HEAD"),
        ("/src", ""),
        ("", "main"),
    ],
)
def test_a_directory_above_the_project_has_no_instructions_of_it(cwd: str, branch: str) -> None:
    file = {"path": f"{cwd.rstrip('/')}/CLAUDE.md", "type": "Project", "content": MINE}
    where = {"cwd": cwd, "gitBranch": branch}
    content = attachment("instructions", where, files=[file])
    content += attachment("nested_memory", where, path=file["path"], content=file)

    assert MINE.encode() not in chosen(content).data


@pytest.mark.parametrize("profile", [Profile.CONVERSATION, Profile.STANDARD])
@pytest.mark.parametrize("as_parts", [True, False])
def test_a_skill_leaves_only_if_it_is_the_projects(profile: Profile, as_parts: bool) -> None:
    def skill(directory: str, body: str) -> bytes:
        text = f"Base directory for this skill: {directory}\n\n{body}\n"
        content = [{"type": "text", "text": text}] if as_parts else text
        message = {"role": "user", "content": content}
        return line(type="user", isMeta=True, message=message, cwd=CWD, gitBranch="main", **CHAIN)

    theirs = skill(f"{CWD}/.claude/skills/build", "how to build")
    found = chosen(SAID + theirs + skill("/home/me/.claude/skills/mine", MINE), profile)

    assert MINE.encode() not in found.data
    assert theirs in found.data
    kept = records(found)[2]
    assert (kept["type"], kept["message"]["role"]) == ("user", "user")  # the agent can resume it
    assert set(found.withheld.types) == {"skill"}
    assert not found.withheld.unknown


@pytest.mark.parametrize("as_parts", [True, False])
def test_instructions_of_the_directory_to_which_the_person_went_stay(as_parts: bool) -> None:
    text = (
        f"<system-reminder>\nThe session's working directory has changed to {CWD}/sub (via /cd).\n"
        "</system-reminder>\n\nCodebase and user instructions are shown below. Be sure to adhere to"
        f" these.\n\nContents of {CWD}/sub/CLAUDE.local.md (user's private project instructions,"
        f" not checked in):\n\n{LOCAL}"
    )
    content = [{"type": "text", "text": text}] if as_parts else text
    moved = {"cwd": f"{CWD}/sub", "gitBranch": "main", "isMeta": True, **CHAIN}
    message = {"role": "user", "content": content}
    found = chosen(SAID + line(type="user", message=message, **moved))

    assert LOCAL.encode() not in found.data
    assert "has changed to" in records(found)[1]["message"]["content"]
    assert set(found.withheld.types) == {"instructions"}


def test_the_answers_headers_stay_where_the_api_failed() -> None:
    error = {"status": 529, "headers": {"anthropic-organization-id": MINE, "set-cookie": LOCAL}}
    [found] = records(
        chosen(line(type="system", subtype="api_error", error=error, cause={"error": error}))
    )

    assert found["error"] == {"status": 529} == found["cause"]["error"]


def test_a_type_that_nobody_knows_stays_and_is_named() -> None:
    content = SAID + line(type="hologram", **CHAIN, beam=MINE) + line(type="sidecar", x=MINE)
    content += attachment("premonition", text=MINE) + line(type="system", subtype="oracle", **CHAIN)
    content += b"// no JSON\n" + line(type=["odd"]) + b'"a text"\n'
    found = chosen(content)

    assert MINE.encode() not in found.data
    assert found.withheld.unknown == {
        "hologram",
        "sidecar",
        "premonition",
        "system/oracle",
        "an unusual type",
        NOT_JSON,
    }
    assert found.withheld.types[NOT_JSON][0] == 2
    assert records(found)[1] == {"type": "hologram", **CHAIN, "withheld": "hologram"}


def test_records_nested_in_progress_pass_the_same_table() -> None:
    nested = {"type": "user", "uuid": "n1", "message": {"content": "deep"}}
    secret = {"type": "api-request", "uuid": "n2", "params": MINE}
    data = {"type": "agent_progress", "message": nested, "normalizedMessages": [nested, secret]}
    [found] = records(chosen(line(type="progress", data=data, **CHAIN)))

    assert found["data"]["message"] == nested
    assert found["data"]["normalizedMessages"] == [
        nested,
        {"type": "api-request", "uuid": "n2", "withheld": "api-request"},
    ]


def test_conversation_has_no_progress_and_no_hooks() -> None:
    content = line(type="progress", data={"type": "hook_progress"}, **CHAIN)
    content += attachment("hook_success", stdout="out") + SAID

    assert not chosen(content, Profile.STANDARD).withheld.types
    assert set(chosen(content, Profile.CONVERSATION).withheld.types) == {
        "progress/hook_progress",
        "hook_success",
    }


def test_what_was_chosen_once_is_not_changed_by_choosing_again() -> None:
    once = chosen(b"".join([SAID, *PRIVATE, line(type="hologram", **CHAIN)]))

    assert chosen(once.data).data == once.data


def test_the_starts_tell_which_line_is_which() -> None:
    content = PRIVATE[10] + SAID + PRIVATE[11] + ANSWER
    found = chosen(content)

    assert found.starts is not None
    for start, out in zip(found.starts, found.data.splitlines(keepends=True), strict=True):
        assert content[start:].startswith(out)


def test_every_listed_type_has_one_meaning() -> None:
    listed = [*record_types.RECORDS, *record_types.ATTACHMENTS, *record_types.STAY]

    assert len(listed) == len(set(listed))
    assert len({ClaudeRecords(profile).version for profile in Profile}) == len(Profile)


def test_of_the_corpus_nothing_of_a_conversation_is_missing(corpus: Path) -> None:
    spoken = b'"type":"user"', b'"type":"assistant"'
    for path in (corpus / "claude").rglob("*.jsonl"):
        content = path.read_bytes()
        lines = set(chosen(content).data.splitlines())
        for each in content.splitlines():
            if any(each.count(kind) for kind in spoken) and _is_spoken(each):
                assert each in lines, path


def _is_spoken(each: bytes) -> bool:
    own = record_types.SKILL_BEGINS, record_types.SHOWN_BELOW
    if any(text.encode() in each for text in own):
        return False  # not all skills leave, and no instructions
    try:
        return json.loads(each)["type"] in {"user", "assistant"}
    except ValueError:
        return False


def called(command: str, call: str = "toolu_1") -> bytes:
    use = {"type": "tool_use", "id": call, "name": "Bash", "input": {"command": command}}
    return line(type="assistant", message={"content": [use]}, **CHAIN)


def result(text: str, call: str = "toolu_1", **more: Any) -> bytes:
    part = {"type": "tool_result", "tool_use_id": call, "content": text}
    used = {"stdout": text, "stderr": ""} | more
    return line(type="user", message={"content": [part]}, toolUseResult=used, **CHAIN)


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("how", ["| tail -5", "| grep word", "> f; cat f", "--json"])
def test_what_karma_sync_gave_the_agent_does_not_leave(profile: Profile, how: str) -> None:
    content = SAID + called(f"karma-sync session show 3a {how}") + result(THEIRS)
    found = chosen(content, profile)

    assert THEIRS.encode() not in found.data
    answer = records(found)[2]
    assert answer["message"]["content"][0]["content"] == GIVEN
    assert answer["toolUseResult"] == GIVEN


def test_the_result_is_recognised_when_it_comes_with_a_later_step() -> None:
    choice = ClaudeRecords(Profile.STANDARD)
    first = choice.chooser()
    first.choose(called("karma-sync session show 3a"))
    assert first.answers == {"toolu_1": False}

    second = choice.chooser(first.answers, first.outputs)
    assert THEIRS.encode() not in second.choose(result(THEIRS)).data
    assert second.answers == {"toolu_1": True}


def test_progress_and_hooks_about_such_a_call_do_not_leave_either() -> None:
    content = called("karma-sync session show 3a | cat")
    data = {"type": "bash_progress", "output": THEIRS, "fullOutput": THEIRS}
    content += line(type="progress", data=data, parentToolUseID="toolu_1", **CHAIN)
    content += attachment("hook_success", toolUseID="toolu_1", stdout=THEIRS)
    content += result("other", "toolu_2")
    found = chosen(content)

    assert THEIRS.encode() not in found.data
    assert b"other" in found.data


def test_a_subagents_call_is_recognised_inside_progress() -> None:
    use = json.loads(called("karma-sync session show 3a", "toolu_9"))
    answer = json.loads(result(THEIRS, "toolu_9"))
    content = b"".join(
        line(type="progress", data={"type": "agent_progress", "message": each}, **CHAIN)
        for each in (use, answer)
    )

    assert THEIRS.encode() not in chosen(content).data


def test_a_long_result_in_a_file_of_its_own_is_named() -> None:
    chooser = ClaudeRecords(Profile.STANDARD).chooser()
    saved = "Full output saved to: /home/me/.claude/projects/p/s1/tool-results/abcdefghi.txt"
    path = "/home/me/.claude/projects/p/s1/tool-results/qwertyuio.txt"
    chooser.choose(called("karma-sync session list") + result(saved, persistedOutputPath=path))

    assert chooser.outputs == {"abcdefghi.txt", "qwertyuio.txt"}


def test_the_documentation_lists_the_same_types_and_keys() -> None:
    page = (Path(__file__).parents[3] / "docs" / "agent-files.md").read_text()
    part = page.partition("## Records that leave")[2].partition("\n## ")[0]
    rows = [each.split("|")[1:-1] for each in part.splitlines() if each.startswith("| `")]
    least = {name: row[1].strip(" `") for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    keys = {
        name: set(re.findall(r"`([^`]+)`", row[2]))
        for row in rows
        if len(row) > 2
        for name in re.findall(r"`([^`]+)`", row[0])
    }

    attachments = record_types.ATTACHMENTS
    assert least == {
        **record_types.RECORDS,
        **{name: profile for name, (profile, _) in attachments.items()},
    }
    assert keys == {name: set(leaves) for name, (_, leaves) in attachments.items()}
    stay = re.findall(r"`([^`]+)`", part.partition("left to `full`: ")[2])
    assert set(stay) == record_types.STAY
