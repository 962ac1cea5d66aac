"""Finds the passages in Claude Code's transcripts: prompts, answers, thinking, tool calls, results.

Field names are Claude Code's (docs/agent-files.md, "Records"). What the program writes into a
person's messages is left out, and so is what a record holds a second time, such as
`toolUseResult`.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from karma_sync.agents.claude.records import typed_command, typed_prompt
from karma_sync.domain.session.passage import Passage, Reading, Texts
from karma_sync.domain.session.profile import FileKind, kind_of
from karma_sync.domain.session.source_files import is_lines

# Of one tool result so much is indexed (docs/adr/0032-search-index.md); `--regex` finds the rest.
RESULT_CHARS = 2048
# Of any other text of one record: longer ones are files that an agent wrote, and pasted data.
_TEXT_CHARS = 100_000
_WHOLE = 1 << 60
_PATHS = ("file_path", "notebook_path", "path")
# Other records are skipped unparsed: nine tenths of the bytes of some transcripts.
_MESSAGE = b'"message"'

Text = str | None


class _Part(msgspec.Struct, gc=False):
    """One part of a message's content."""

    type: Text = None
    text: Text = None
    thinking: Text = None
    name: Text = None
    input: Any = None
    content: Any = None


class _Message(msgspec.Struct, gc=False):
    """A message of a person, a tool or the model."""

    content: list[_Part] | Text = None


class _Record(msgspec.Struct, gc=False):
    """The fields of a record that passages are made of."""

    type: Text = None
    uuid: Text = None
    timestamp: Text = None
    isMeta: Any = None  # noqa: N815  Claude Code's name
    message: _Message | None = None


_decode = msgspec.json.Decoder(_Record).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class ClaudePassages:
    """The passages in the transcripts of sessions and of subagents."""

    version = "claude-1"

    def reads(self, name: str) -> bool:
        return is_lines(name) and kind_of(name) in {FileKind.TRANSCRIPT, FileKind.SUBAGENT}

    def passages(self, lines: bytes, at: int) -> Iterator[Passage]:
        view, start = memoryview(lines), 0  # no line is copied: most hold nothing to index
        while start < len(lines):
            end = lines.find(b"\n", start)
            end = len(lines) if end < 0 else end
            if lines.find(_MESSAGE, start, end) >= 0:
                record = _record(view[start:end])
                if record and (texts := _texts(record, RESULT_CHARS, _TEXT_CHARS)):
                    time = _time(record.timestamp)
                    yield Passage(at + start, end - start, time, texts)
            start = end + 1

    def read(self, line: bytes) -> Reading | None:
        record = _record(line)
        texts = _texts(record, _WHOLE, _WHOLE) if record else None
        if record is None or texts is None:
            return None
        return Reading(record.uuid or "", _time(record.timestamp), texts)


def _texts(record: _Record, most_result: int, most: int) -> Texts | None:
    """What a record says; None if it says nothing."""
    message = record.message
    if message is None or record.isMeta or not message.content:
        return None
    content = message.content
    parts = [_Part(type="text", text=content)] if isinstance(content, str) else content
    if record.type == "user":
        texts = _of_user(parts, most_result, most)
    elif record.type == "assistant":
        texts = _of_assistant(parts, most)
    else:
        return None
    return texts if any(texts) else None


def _of_user(parts: Iterable[_Part], most_result: int, most: int) -> Texts:
    typed: list[str] = []
    results: list[str] = []
    for part in parts:
        if part.type == "text" and part.text:
            typed.append(part.text)
        elif part.type == "tool_result" and part.content:
            results.append(_flat(part.content, most_result))
    prompt = (typed_prompt(typed) or typed_command(typed))[:most] if typed else ""
    result = results[0] if len(results) == 1 else "\n".join(filter(None, results))
    return Texts("", prompt, "", "", "", "", "", result)


def _of_assistant(parts: Iterable[_Part], most: int) -> Texts:
    answer = thinking = tool = given = path = ""
    for part in parts:
        if part.type == "text" and part.text:
            answer = _joined(answer, part.text[:most])
        elif part.type == "thinking" and part.thinking:
            thinking = _joined(thinking, part.thinking[:most])
        elif part.type == "tool_use":
            tool = _joined(tool, part.name or "")
            given = _joined(given, _flat(part.input, most))
            if isinstance(part.input, dict):
                named = [v for key in _PATHS if isinstance(v := part.input.get(key), str)]
                path = _joined(path, "\n".join(named)[:most])
    return Texts("", "", answer, thinking, tool, given, path, "")


def _joined(before: str, more: str) -> str:
    return f"{before}\n{more}" if before and more else before or more


def _flat(value: object, most: int) -> str:
    """The texts in a JSON value, one below the other, at most `most` characters.

    Of a content part only its text counts: an image's data is no text.
    """
    if isinstance(value, str):
        return value[:most]
    found: list[str] = []
    left = most
    waiting = [value]
    while waiting and left > 0:
        each = waiting.pop()
        if isinstance(each, str):
            found.append(each[:left])
            left -= len(each) + 1
        elif isinstance(each, dict):
            waiting += _inside(each)
        elif isinstance(each, list):
            waiting += reversed(each)
    return "\n".join(found)


def _inside(value: dict[str, object]) -> list[object]:
    """What a JSON object holds, the first value last; of a content part its text alone."""
    match value.get("type"):
        case "text":
            return [value.get("text")]
        case "image" | "document":
            return []
        case _:
            return list(reversed(value.values()))


def _time(stamp: Text) -> int:
    if not stamp:
        return 0
    try:
        moment = datetime.fromisoformat(stamp)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0


def _record(line: bytes | memoryview) -> _Record | None:
    try:
        return _decode(line)
    except _UNREADABLE:
        return _slowly(bytes(line))


def _slowly(line: bytes) -> _Record | None:
    """The record in a line that has an unexpected shape, or half an emoji, as JavaScript cuts them.

    A field of another type than expected counts as missing.
    """
    try:
        value = _clean(json.loads(line.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("message"), dict):
        return None
    content = value["message"].get("content")
    if isinstance(content, list):
        content = [_part(each) for each in content if isinstance(each, dict)]
    elif not isinstance(content, str):
        content = None
    texts = {name: _text(value.get(name)) for name in ("type", "uuid", "timestamp")}
    return _Record(**texts, isMeta=value.get("isMeta"), message=_Message(content))


def _part(value: dict[str, Any]) -> _Part:
    texts = {name: _text(value.get(name)) for name in ("type", "text", "thinking", "name")}
    return _Part(**texts, input=value.get("input"), content=value.get("content"))


def _text(value: object) -> Text:
    return value if isinstance(value, str) else None


def _clean(value: Any) -> Any:
    """The value with a mark in place of half characters, which no database takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return value
