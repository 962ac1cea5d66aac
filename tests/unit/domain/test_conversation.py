"""Conversations from transcripts: turns in order, and no text that controls the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.session.conversation import Turn, conversation
from karma_sync.domain.text import one_line, printable
from tests.support.builders import examples, record, said

ATTACKS = {
    "clear the screen": "\x1b[2J",
    "set the title": "\x1b]0;you have mail\x07",
    "8-bit control sequence": "\x9b2J",
    "go back and overwrite": "safe\rEVIL",
    "erase what was said": "safe\b\b\b\bEVIL",
    "turn the direction around": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "invisible": "a\u200bb\ufeffc",
    "tag characters": "\U000e0041",
    "half a pair": "\ud83d",
    "NUL and DEL": "\x00\x7f",
}


def may_drive_a_terminal(text: str) -> bool:
    return any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in text if c not in {"\n", "\t"})


def everything_shown(text: str) -> list[str]:
    """All the places at which a peer's text reaches a terminal."""
    blocks = [
        {"type": "text", "text": text},
        {"type": "tool_use", "name": text, "input": {"command": text}},
    ]
    lines = [
        record(type="user", message={"content": text}),
        record(type="assistant", message={"content": blocks}),
    ]
    return [*(t.text for t in conversation(lines)), printable(text), one_line(text, 20)]


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS.keys())
def test_text_of_a_peer_cannot_control_the_terminal(text: str) -> None:
    shown = everything_shown(text)

    assert len(shown) == 5
    assert not any(may_drive_a_terminal(each) for each in shown)
    assert all("\ufffd" in each or "\\u" in each for each in shown)


@examples(300)
@given(st.text(max_size=60) | st.text(st.characters(categories=["Cc", "Cf", "Cs"]), max_size=20))
def test_no_text_can_control_the_terminal(text: str) -> None:
    assert not any(may_drive_a_terminal(each) for each in everything_shown(text))
    assert len(printable(text)) == len(text)


@examples(200)
@given(st.text(max_size=80), st.integers(1, 40))
def test_one_line_fits_the_width(text: str, width: int) -> None:
    line = one_line(text, width)

    assert len(line) <= width
    assert len(line.splitlines()) <= 1
    if not line.endswith("…"):
        assert line == " ".join(printable(text).split())


def test_plain_text_is_shown_as_it_is() -> None:
    text = "tab\t, line\n, süß 語 🎉 é"

    assert printable(text) == text
    assert one_line("short", 5) == "short"
    assert one_line("too long", 5) == "too …"


def test_a_transcript_reads_as_turns_in_their_order() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "I look"},
        {"type": "tool_use", "name": "Bash", "input": {"command": "ls"}},
    ]
    lines = [
        said("hello"),
        record(type="summary", summary="no turn"),
        record(type="user", isMeta=True, message={"content": "no turn"}),
        record(type="assistant", message={"content": blocks}),
        record(type="user", message={"content": [{"type": "tool_result", "content": "files"}]}),
    ]

    assert list(conversation(lines)) == [
        Turn("user", "hello"),
        Turn("assistant", "I look"),
        Turn("tool", 'Bash {"command": "ls"}'),
    ]


def test_the_input_of_a_tool_is_shortened() -> None:
    block = {"type": "tool_use", "name": "Write", "input": {"content": "x" * 10_000}}

    [turn] = conversation([record(type="assistant", message={"content": [block]})])
    assert len(turn.text) < 200


@pytest.mark.parametrize(
    "line",
    [
        b"// a comment",
        b'{"type": "user", "message": {"content": "torn',
        b"\x00" * 100,
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1]",
        b"7",
        b"",
        record(type="user"),
        record(type="user", message="text"),
        record(type="user", message={"content": 7}),
        record(type="user", message={"content": ["a", None, {"type": "text"}]}),
        record(type="user", message={"content": [{"type": ["text"]}]}),
    ],
)
def test_records_that_are_not_turns_are_skipped(line: bytes) -> None:
    assert list(conversation([line, said("hello")])) == [Turn("user", "hello")]


@pytest.mark.parametrize("kind", [[], {}, [["user"]]])
def test_a_record_whose_type_is_not_a_text_is_skipped(kind: object) -> None:
    lines = [record(type=kind, message={"content": "x"}), said("hello")]

    assert list(conversation(lines)) == [Turn("user", "hello")]
