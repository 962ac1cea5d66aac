"""Text that karma-sync gave the agent does not leave, wherever the agent reads it again."""

import json
from typing import Any

import pytest

from karma_sync.agents.claude.choosing import ClaudeRecords
from karma_sync.domain.session.frame import GIVEN, Frames, files_written
from karma_sync.domain.session.profile import Profile

THEIRS = "what another team wrote"
ASK = "karma-sync session show 3a"
TASKS = "/var/claude-0/-src-repo/s1/tasks"


def line(**fields: Any) -> bytes:
    return json.dumps({"uuid": "u2", "parentUuid": "u1"} | fields).encode() + b"\n"


def use(call: str, tool: str, **given: str) -> bytes:
    part = {"type": "tool_use", "id": call, "name": tool, "input": given}
    return line(type="assistant", message={"content": [part]})


def result(call: str, text: str, **used: Any) -> bytes:
    part = {"type": "tool_result", "tool_use_id": call, "content": text}
    return line(type="user", message={"content": [part]}, toolUseResult={"stdout": text} | used)


def asked(command: str, text: str = "", **used: Any) -> bytes:
    return use("t1", "Bash", command=command) + result("t1", text, **used)


def leaves(content: bytes) -> bytes:
    """The content that leaves in one step; it must be the same in steps of a line."""
    whole = ClaudeRecords(Profile.STANDARD).chooser()
    found = whole.choose(content).data
    answers: dict[str, bool] = {}
    outputs: set[str] = set()
    in_steps = b""
    for each in content.splitlines(keepends=True):
        step = ClaudeRecords(Profile.STANDARD).chooser(answers, outputs)
        in_steps += step.choose(each).data
        answers, outputs = step.answers, step.outputs
    assert in_steps == found
    return found


def stays(content: bytes) -> bool:
    """Whether nothing leaves of `THEIRS`, and all else does."""
    found = leaves(line(type="user", message={"content": "before"}) + content)
    return THEIRS.encode() not in found and found.count(b"\n") == content.count(b"\n") + 1


@pytest.mark.parametrize(
    "command",
    [
        f"{ASK} > /src/repo/f.txt",
        f"{ASK} | grep word >> 'f.txt'",
        f"{ASK} --json --private >f.txt 2>&1",
        f"{ASK} 2>/dev/null | tee -a ../f.txt | tail -1",
        f'F=f.txt; {ASK} > "$F"; cp "$F" f.txt',
    ],
)
@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("Bash", {"command": "sed -n 5,9p f.txt"}),
        ("Bash", {"command": "cd sub && grep word ../f.txt"}),
        ("Read", {"file_path": "/src/repo/f.txt", "offset": "10"}),
        ("Grep", {"pattern": "word", "path": "/src/repo/f.txt"}),
        ("Edit", {"file_path": "/src/repo/f.txt", "old_string": "a", "new_string": "b"}),
        ("mcp__files__read", {"uri": "file:///src/repo/f.txt"}),
    ],
)
def test_a_part_of_a_file_to_which_it_was_written(
    command: str, tool: str, given: dict[str, str]
) -> None:
    assert stays(asked(command) + use("t2", tool, **given) + result("t2", THEIRS))


def test_a_copy_of_a_copy() -> None:
    content = asked(f"{ASK} > f.txt")
    content += use("t2", "Bash", command="cp f.txt /tmp/g.txt") + result("t2", "")
    content += use("t3", "Bash", command="grep x /tmp/g.txt > h") + result("t3", "")
    content += use("t4", "Bash", command="head -3 h") + result("t4", THEIRS)

    assert stays(content)


@pytest.mark.parametrize(
    "shown", [f"f.txt:12:{THEIRS}", f"./f.txt:{THEIRS}", f"src/f.txt\n12:{THEIRS}"]
)
def test_a_search_through_all_files(shown: str) -> None:
    search = use("t2", "Grep", pattern="word", path="/src/repo")

    assert stays(asked(f"{ASK} > f.txt") + search + result("t2", shown))
    assert not stays(search + result("t2", shown))


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("Read", {"file_path": f"{TASKS}/b1x2.output"}),
        ("Bash", {"command": f"tail -3 {TASKS}/b1x2.output"}),
        ("TaskOutput", {"task_id": "b1x2"}),
        ("BashOutput", {"bash_id": "b1x2"}),
    ],
)
def test_what_a_background_command_wrote(tool: str, given: dict[str, str]) -> None:
    started = f"Command running in background with ID: b1x2. Output: {TASKS}/b1x2.output"
    note = f"<task-notification><task-id>b1x2</task-id><event>{THEIRS}</event>"
    queued = {"type": "queued_command", "prompt": note, "commandMode": "task-notification"}
    content = asked(f"{ASK} | grep word", started, backgroundTaskId="b1x2")
    content += use("t2", tool, **given) + result("t2", THEIRS)
    content += line(type="attachment", attachment=queued)
    content += line(type="user", message={"content": note})
    status = {"type": "task_status", "taskId": "b1x2", "deltaSummary": THEIRS}
    content += line(type="attachment", attachment=status)

    assert stays(content)


def test_a_part_of_a_long_result_that_the_agent_saved() -> None:
    saved = "/home/me/.claude/projects/p/s1/tool-results/abcdefghi.txt"
    content = asked(ASK, f"Output too large. Full output saved to: {saved}")

    assert stays(content + use("t2", "Read", file_path=saved) + result("t2", THEIRS))


@pytest.mark.parametrize("writer", ["Write", "Bash"])
def test_what_a_script_prints(writer: str) -> None:
    script = f"{ASK} | grep word"
    write = (
        use("t1", "Write", file_path="/src/s.sh", content=script)
        if writer == "Write"
        else use("t1", "Bash", command=f"cat > s.sh <<X\n{script}\nX")
    )
    content = write + result("t1", "written")

    assert stays(content + use("t2", "Bash", command="sh s.sh") + result("t2", THEIRS))


@pytest.mark.parametrize("call", ["functions.Bash:0", "call_" + "x" * 80, "a b"])
def test_ids_of_other_providers(call: str) -> None:
    assert stays(use(call, "Bash", command=f"{ASK} | tail -1") + result(call, THEIRS))


def test_a_command_that_the_person_typed_after_an_exclamation_mark() -> None:
    said = line(
        type="user", uuid="i1", message={"content": f"<bash-input>{ASK} | tail</bash-input>"}
    )
    told = f"<bash-stdout>{THEIRS}</bash-stdout><bash-stderr></bash-stderr>"
    content = said + line(type="user", parentUuid="i1", message={"content": told})

    assert stays(content)
    assert GIVEN.encode() in leaves(content)


def test_a_hook_that_asks() -> None:
    hook = {"type": "hook_success", "command": f"{ASK} | head -3", "stdout": THEIRS}

    assert stays(line(type="attachment", attachment=hook))


def test_a_difference_of_a_file_with_marks() -> None:
    begin, end = Frames(b"key").marks()
    used = {
        "filePath": "/src/f.txt",
        "originalFile": f"{begin}\n{THEIRS}\n{end}",
        "structuredPatch": [{"lines": [f" {THEIRS}", "-a", "+b"]}],
    }
    content = use("t1", "Edit", file_path="/src/f.txt") + result("t1", "done", **used)
    content += use("t2", "Bash", command="tail -2 f.txt | head -1") + result("t2", THEIRS)

    assert stays(content)


def test_a_file_that_changed_on_disk() -> None:
    changed = {"type": "edited_text_file", "filename": "/src/f.txt", "snippet": THEIRS}

    assert stays(asked(f"{ASK} > f.txt") + line(type="attachment", attachment=changed))


def test_a_file_that_is_attached_again_after_a_compaction() -> None:
    told = f"Called the Read tool: /src/f.txt. Result: {THEIRS}"
    attached = {"type": "file", "filename": "/src/f.txt", "content": THEIRS}
    content = asked(f"{ASK} | grep word > f.txt")
    content += line(type="attachment", attachment=attached, rendered=[{"content": told}])
    content += line(type="api-request-blob", hash="h", message={"content": [{"text": told}]})
    for profile in Profile:
        found = ClaudeRecords(profile).chooser().choose(content).data

        assert THEIRS.encode() not in found
        assert (b'"hash":"h"' in found) is (profile is Profile.FULL)


@pytest.mark.parametrize(
    "command", ["cat other.txt", "cat f.txt.bak", "make test", "cat xf.txt", "echo f"]
)
def test_other_results_leave(command: str) -> None:
    content = asked(f"{ASK} > f.txt 2>/dev/null", "") + use("t2", "Bash", command=command)
    content += line(type="user", message={"content": "look at f.txt"})

    assert b"a build log" in leaves(content + result("t2", "a build log"))
    assert b"look at f.txt" in leaves(content)


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("x > a/b.txt 2>&1", {"b.txt"}),
        ("x >> 'my file' 2> /dev/null", {"my file"}),
        ("x | tee -a p/q r; y", {"q"}),
        ('x > "$OUT"; x > ${DIR}/$F', {"OUT", "F"}),
        ("cp -r a b; mv c /d/e && ls f", {"b", "e"}),
        ("cp a /tmp/", set()),
        ("dd if=a of=/b/c bs=1", {"c"}),
        ("x >&2; y 2>&1", set()),
        ("grep -o word f", set()),
    ],
)
def test_the_files_that_a_command_writes(command: str, files: set[str]) -> None:
    assert files_written(command) == files
