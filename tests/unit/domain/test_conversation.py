"""Conversations from transcripts: turns in order, and no text that controls the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents.claude.conversation import conversation
from karma_sync.domain.session.conversation import Mark, Message, Said, Thought, ToolCall
from karma_sync.domain.text import one_line, printable
from tests.support.builders import examples, record

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


def texts_of(message: Message) -> list[str]:
    """All texts of a message that may be shown."""
    found = [message.model, *message.ids]
    for part in message.parts:
        match part:
            case Said(text) | Thought(text) | Mark(_, text):
                found.append(text)
            case ToolCall():
                found += [part.summary, part.given, part.result or "", part.path, part.agent]
                found += [line for change in part.changes for line in [change.path, *change.lines]]
    return found


def everything_shown(text: str) -> list[str]:
    """All the places at which a peer's text reaches a terminal."""
    blocks = [
        {"type": "text", "text": text},
        {"type": "thinking", "thinking": text},
        {"type": "tool_use", "id": "t1", "name": text, "input": {"command": text}},
        {
            "type": "tool_use",
            "id": "t2",
            "name": "Write",
            "input": {"file_path": text, "content": text},
        },
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": text, "is_error": True},
        {"type": "tool_result", "tool_use_id": "t2", "content": text},
    ]
    patch = [{"oldStart": text, "lines": [text, 7]}]
    lines = [
        record(type="user", message={"content": text}),
        record(type="assistant", uuid=text, message={"content": blocks, "model": text}),
        record(type="user", message={"content": results}, toolUseResult={"structuredPatch": patch}),
        record(type="system", subtype="informational", content=text),
        record(type="attachment", attachment={"withheld": text}),
    ]
    shown = [each for message in conversation(lines) for each in texts_of(message)]
    return [*shown, printable(text), one_line(text, 20)]


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS.keys())
def test_text_of_a_peer_cannot_control_the_terminal(text: str) -> None:
    shown = everything_shown(text)

    assert sum("\ufffd" in each for each in shown) >= 8
    assert not any(may_drive_a_terminal(each) for each in shown)


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
