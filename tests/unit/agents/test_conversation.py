"""The conversation of a transcript: messages in order, results with their tools, edits as diffs."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from karma_sync.agents.claude.conversation import conversation
from karma_sync.agents.claude.passages import ClaudePassages
from karma_sync.domain.session.conversation import (
    Attached,
    Change,
    Mark,
    MarkKind,
    Message,
    Said,
    Spent,
    Thought,
    ToolCall,
    Who,
    changes_by_file,
)
from tests.support.builders import record, said


def answered(*blocks: dict[str, Any], **fields: Any) -> bytes:
    message = {"id": fields.pop("response", "m1"), "content": list(blocks)} | fields
    return record(type="assistant", uuid="a1", cwd="/src/repo", message=message)


def used(name: str, call: str = "t1", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": name, "input": given}


def result(text: object, call: str = "t1", failed: bool = False, used: object = None) -> bytes:
    part = {"type": "tool_result", "tool_use_id": call, "content": text, "is_error": failed}
    return record(message={"content": [part]}, toolUseResult=used)


def call_of(*lines: bytes) -> ToolCall:
    [message] = conversation(lines)
    [call] = message.calls
    return call


def test_messages_come_in_order_with_their_parts() -> None:
    lines = [
        said("hello"),
        record(type="summary", summary="no message"),
        answered({"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "I look"}),
        answered(used("Bash", command="ls")),
        result("files", used={"stdout": "files"}),
        said("thanks"),
    ]
    first, second, third = conversation(lines)

    assert (first.who, first.text, first.number) == (Who.USER, "hello", 1)
    assert [type(part) for part in second.parts] == [Thought, Said, ToolCall]
    assert second.calls[0].result == "files"
    assert (third.text, third.number) == ("thanks", 2)


def test_a_message_is_given_before_the_rest_is_read() -> None:
    def endless() -> Any:
        yield said("hello")
        while True:
            yield answered({"type": "text", "text": "x"}, response=None)

    messages = conversation(endless())

    assert next(messages).text == "hello"
    assert next(messages).text == "x"


@pytest.mark.parametrize(
    ("lines", "summary"),
    [
        ([used("Bash", command="make test")], "Bash make test"),
        ([used("Read", file_path="/src/repo/a/b.py")], "Read a/b.py"),
        ([used("Grep", pattern="TODO", path="/src/repo")], "Grep TODO"),
        ([used("TodoWrite", todos=[{"status": "completed"}, {}])], "TodoWrite 1 of 2 done"),
        ([used("mcp__linear__get", query="x\ny")], "mcp__linear__get x y"),
        ([used("Task", description="look around")], "Task look around"),
    ],
)
def test_a_tool_is_one_telling_line(lines: list[dict[str, Any]], summary: str) -> None:
    assert call_of(answered(*lines)).summary == summary


@pytest.mark.parametrize(
    ("text", "failed", "more", "summary"),
    [
        ("ok", False, {"stdout": "ok"}, "Bash make test → exit 0"),
        ("Exit code 2\nerror", True, None, "Bash make test → exit 2"),
        ("", False, {"stdout": "", "interrupted": True}, "Bash make test → interrupted"),
        ("The user doesn't want to proceed", True, None, "Bash make test → rejected"),
    ],
)
def test_it_tells_how_it_ended(text: str, failed: bool, more: object, summary: str) -> None:
    run = answered(used("Bash", command="make test"))

    assert call_of(run, result(text, failed=failed, used=more)).summary == summary


def test_an_edit_shows_what_the_tool_reports() -> None:
    patch = [
        {
            "oldStart": 3,
            "oldLines": 2,
            "newStart": 3,
            "newLines": 3,
            "lines": [" a", "-b", "+c", "+d"],
        }
    ]
    edit = answered(used("Edit", file_path="/src/repo/app.py", old_string="b", new_string="c\nd"))
    call = call_of(edit, result("done", used={"structuredPatch": patch}))

    assert call.summary == "Edit app.py +2 −1"
    assert call.changes == [Change("app.py", ["@@ -3,2 +3,3 @@", " a", "-b", "+c", "+d"])]
    assert (call.path, call.failed) == ("app.py", False)


def test_without_a_report_it_shows_what_was_asked_for() -> None:
    edit = answered(used("Edit", file_path="/x/app.py", old_string="a\nb", new_string="a\nc"))

    assert call_of(edit).summary == "Edit /x/app.py +1 −1"
    assert (
        call_of(answered(used("Write", file_path="/x/n", content="1\n2"))).summary
        == "Write /x/n +2 −0"
    )
    both = [{"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": ""}]
    assert (
        call_of(answered(used("MultiEdit", file_path="f", edits=both))).summary
        == "MultiEdit f +1 −2"
    )


def test_an_edit_that_failed_changed_nothing() -> None:
    edit = answered(used("Edit", file_path="/x/app.py", old_string="a", new_string="b"))
    call = call_of(edit, result("<tool_use_error>not found", failed=True))

    assert (call.summary, call.changes) == ("Edit /x/app.py → failed", ())


def test_changes_are_collected_by_file() -> None:
    edit = used("Edit", file_path="/src/repo/a", old_string="1", new_string="2")
    lines = [
        answered(edit),
        answered({**edit, "id": "t2"}, response="m2"),
        answered(used("Write", "t3", file_path="/src/repo/b", content="x"), response="m3"),
    ]
    found = changes_by_file(conversation(lines))

    assert [(f.path, len(f.changes), f.added, f.removed) for f in found] == [
        ("a", 2, 2, 2),
        ("b", 1, 1, 0),
    ]


def test_tokens_count_once_for_a_response_of_several_records() -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 100}
    lines = [
        answered({"type": "text", "text": "a"}, usage=usage),
        answered({"type": "text", "text": "b"}, usage=usage | {"output_tokens": 7}),
    ]
    [message] = conversation(lines)

    assert message.spent == Spent(5, 7, 100, 0)
    assert message.text == "a\n\nb"


def test_marks_tell_of_compaction_notes_and_what_is_withheld() -> None:
    lines = [
        said("hello"),
        record(type="attachment", uuid="w", attachment={"withheld": "environment"}),
        record(type="hologram", uuid="h", withheld="hologram"),
        record(type="system", subtype="compact_boundary", uuid="c"),
        record(isCompactSummary=True, message={"content": "so far"}),
        record(message={"content": "<command-name>/cost</command-name>"}),
        b"// no JSON",
        said("go on"),
    ]
    found = list(conversation(lines))

    assert found[0].parts[1:] == (
        Mark(MarkKind.WITHHELD, "environment"),
        Mark(MarkKind.WITHHELD, "hologram"),
    )
    assert [marks(each) for each in found[1:-1]] == [
        [(MarkKind.COMPACTION, "so far")],
        [(MarkKind.NOTE, "/cost")],
        [(MarkKind.UNREADABLE, "a line that holds no record")],
    ]
    assert (found[1].ids, found[-1].number) == (("c",), 2)


def marks(message: Message) -> list[tuple[MarkKind, str]]:
    return [(part.kind, part.text) for part in message.parts if isinstance(part, Mark)]


def test_an_image_is_told_by_its_type_and_size() -> None:
    image = {"type": "image", "source": {"media_type": "image/png", "data": "AAAA" * 1000}}
    [message] = conversation(
        [record(message={"content": [{"type": "text", "text": "see"}, image]})]
    )

    assert message.parts == (Said("see"), Attached("image/png", 3000))


def test_a_result_names_the_subagent_and_its_images() -> None:
    image = {"type": "image", "source": {"media_type": "image/png", "data": "AAAA"}}
    start = answered(used("Task", description="look"))
    call = call_of(start, result([{"type": "text", "text": "done"}, image], used={"agentId": "a7"}))

    assert (call.agent, call.result, call.attached) == ("a7", "done", (Attached("image/png", 3),))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        record(type="user"),
        record(type="user", message="text"),
        record(type="user", message={"content": 7}),
        record(type="user", message={"content": ["a", None, {"type": "text"}]}),
        record(type="user", message={"content": [{"type": ["text"]}]}),
        record(type=[], message={"content": "x"}),
        record(type={}, message={"content": "x"}),
        record(type="assistant", message=7),
        record(type="system", subtype=[1]),
        result("of no call", "t9"),
    ],
)
def test_records_of_an_unexpected_shape_are_left_out(line: bytes) -> None:
    assert [message.text for message in conversation([line, said("hello")])] == ["hello"]


@pytest.mark.parametrize("line", [b"\x00" * 100, b"\xff\xfe", b"[" * 100_000, b"[1]", b"7", b"{"])
def test_a_line_that_holds_no_record_is_marked(line: bytes) -> None:
    first, second = conversation([line, said("hello")])

    assert [kind for kind, _ in marks(first)] == [MarkKind.UNREADABLE]
    assert second.text == "hello"


def test_every_transcript_of_the_corpus_reads(corpus: Path) -> None:
    calls = ended = 0
    for path in sorted((corpus / "claude").rglob("*.jsonl")):
        for message in conversation(path.read_bytes().split(b"\n")):
            calls += len(message.calls)
            ended += sum(call.result is not None for call in message.calls)
            for call in message.calls:
                assert json.loads(call.given) is not None or call.given == "null"
                assert "\n" not in call.summary
    assert calls > 1000
    assert ended > calls * 0.9


@pytest.mark.parametrize("uuid", ["$(reboot)", "`id`", "a b", "-x", "a\nb", "\x1b[2J", "x" * 200])
def test_an_id_that_nobody_can_type_is_none(uuid: str) -> None:
    [message] = conversation([said("hello", uuid=uuid)])
    [passage] = ClaudePassages().passages(said("hello", uuid=uuid), 0)

    assert message.id == passage.activity.message == ""


def test_a_record_of_endless_parts_takes_little_memory() -> None:
    vast = b'{"type": "user", "message": {"content": [' + b"[]," * 1_000_000 + b"[]]}}\n"
    text = said("one, two, " * 100_000)
    tracemalloc.start()
    try:
        found = list(conversation([vast, text]))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [each.who for each in found] == [Who.PROGRAM, Who.USER]
    assert most < 40_000_000


def test_a_message_tells_where_it_begins() -> None:
    lines = [said("first"), b"\n", said("second"), said("third")]
    found = list(conversation(lines))

    whole = b"".join(lines)
    assert [whole.find(b, 0) for b in lines if b.strip()] == [each.at for each in found]
