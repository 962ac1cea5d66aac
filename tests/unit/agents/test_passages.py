"""The passages of a transcript's lines, and that no line can stop their reader."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents.claude.passages import RESULT_CHARS, ClaudePassages
from karma_sync.domain.session.passage import Passage, Texts
from tests.support.builders import examples, record, said

CLAUDE = ClaudePassages()


def texts(line: bytes) -> Texts | None:
    found = list(CLAUDE.passages(line, 0))
    assert len(found) < 2
    return found[0].texts if found else None


def message(kind: str, *parts: Any, **fields: Any) -> bytes:
    return record(type=kind, message={"content": list(parts)}, **fields)


CALL = {"file_path": "src/auth.py", "old_string": "retries = 1", "edits": [{"new": "retries = 2"}]}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (said("why?"), Texts(prompt="why?")),
        (message("user", {"type": "text", "text": "why?"}), Texts(prompt="why?")),
        (message("assistant", {"type": "text", "text": "so"}), Texts(answer="so")),
        (message("assistant", {"type": "thinking", "thinking": "hm"}), Texts(thinking="hm")),
        (
            message("assistant", {"type": "tool_use", "name": "Edit", "input": CALL}),
            Texts(tool="Edit", input="src/auth.py\nretries = 1\nretries = 2", path="src/auth.py"),
        ),
        (
            message("user", {"type": "tool_result", "content": "done"}),
            Texts(result="done"),
        ),
        (
            message(
                "user",
                {
                    "type": "tool_result",
                    "content": [
                        {"type": "text", "text": "seen"},
                        {"type": "image", "source": {"data": "aGVsbG8="}},
                    ],
                },
            ),
            Texts(result="seen"),
        ),
    ],
)
def test_each_part_is_what_it_is(line: bytes, expected: Texts) -> None:
    assert texts(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        message("user", {"type": "text", "text": "reminder"}, isMeta=True),
        message("system", {"type": "text", "text": "x"}),
        message("user"),
        message("user", {"type": "text", "text": "<system-reminder>x</system-reminder>"}),
        record(type="user", message="x"),
        b'{"type": "user", "message": {"content": "torn\n',
        b'"message"\n',
        b"[" * 100_000 + b'"message"\n',
    ],
)
def test_what_nobody_said_is_no_passage(line: bytes) -> None:
    assert texts(line) is None


def test_of_a_long_result_the_beginning_is_indexed_and_all_of_it_is_read() -> None:
    line = message("user", {"type": "tool_result", "content": "a " * RESULT_CHARS + "needle"})
    found, whole = texts(line), CLAUDE.read(line)

    assert found is not None
    assert whole is not None
    assert len(found.result) == RESULT_CHARS
    assert whole.texts.result.endswith("needle")


def test_a_record_has_its_id_and_its_time() -> None:
    line = record(
        type="user", uuid="u-1", timestamp="2026-05-31T12:00:00.000Z", message={"content": "x"}
    )
    found = CLAUDE.read(line)

    assert found is not None
    assert (found.message, found.time) == ("u-1", 1780228800)


def test_half_an_emoji_is_read_with_a_mark_in_its_place() -> None:
    line = b'{"type":"user","message":{"content":"a \\ud83d b"}}\n'

    assert texts(line) == Texts(prompt="a ? b")


LINES = [
    said("one"),
    b"no json\n",
    message("assistant", {"type": "text", "text": "two"}),
    said("é"),
]


def test_passages_are_the_same_however_a_file_is_cut_into_blocks_of_lines() -> None:
    whole = b"".join(LINES)
    expected = list(CLAUDE.passages(whole, 0))

    for cut in range(len(LINES) + 1):
        head = b"".join(LINES[:cut])
        tail = b"".join(LINES[cut:])
        assert [*CLAUDE.passages(head, 0), *CLAUDE.passages(tail, len(head))] == expected
    for passage in expected:
        assert json.loads(whole[passage.at : passage.at + passage.size])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "input", "name", "thinking", "message"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
kinds = st.sampled_from(["user", "assistant", "text", "tool_use", "tool_result", "thinking"])
records = st.fixed_dictionaries(
    {"type": kinds | json_values, "message": json_values},
    optional={"timestamp": json_values, "uuid": json_values, "isMeta": json_values},
)


@examples(300)
@given(records)
def test_no_record_of_any_shape_stops_the_reading(value: Any) -> None:
    line = json.dumps(value).encode() + b"\n"

    for passage in CLAUDE.passages(line, 0):
        assert isinstance(passage, Passage)
        assert any(passage.texts)
        assert "".join(passage.texts).encode()
    CLAUDE.read(line)


@examples(200)
@given(st.binary(max_size=200))
def test_no_bytes_stop_the_reading(raw: bytes) -> None:
    list(CLAUDE.passages(b'{"message"' + raw, 0))
