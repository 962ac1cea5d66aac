"""Finds the passages in Claude Code's transcripts: prompts, answers, thinking, tool calls, results.

Field names are Claude Code's (docs/agent-files.md, "Records"). Text that the program writes
into a person's messages is left out, and so is text that a record holds a second time, such as in
`toolUseResult`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import astuple

from karma_sync.agents.claude.records import Usage, record_name, typed_command, typed_prompt
from karma_sync.agents.claude.source import AGENT
from karma_sync.domain.session.activity import Activity, Call, Response
from karma_sync.domain.session.passage import Extractor, Passage, Reading, Texts
from karma_sync.domain.session.profile import FileKind, kind_of
from karma_sync.domain.session.source_files import is_lines

# The indexed part of a tool result (docs/adr/0032-search-index.md); `--regex` finds the rest.
RESULT_CHARS = 2048
# The indexed part of any other text; longer ones are files that an agent wrote, and pasted data.
_TEXT_CHARS = 100_000
_WHOLE = 1 << 60
_NO_TEXTS, _NO_ACTIVITY = Texts(), Activity()
_PATHS = ("file_path", "notebook_path", "path")
_FILES = ("file_path", "notebook_path")  # of these, what a tool reads or changes
_CHANGING = ("Edit", "MultiEdit", "Write", "NotebookEdit")
_NO_MODEL = "<synthetic>"  # the program wrote this response
_MOST_TOKENS = 10**9  # of one response; a larger number is no count
# Other records are skipped unparsed: nine tenths of the bytes of some transcripts.
_MESSAGE = b'"message"'

Text = str | None


class _Part(msgspec.Struct, gc=False):
    """One part of a message's content."""

    type: Text = None
    text: Text = None
    thinking: Text = None
    id: Text = None
    name: Text = None
    input: Any = None
    tool_use_id: Text = None
    is_error: Any = None
    content: Any = None


class _Message(msgspec.Struct, gc=False):
    """A message of a person, a tool or the model."""

    content: list[_Part] | Text = None
    id: Text = None
    model: Text = None
    usage: Usage | None = None


class _Named(msgspec.Struct, gc=False):
    """The id of a record."""

    uuid: Text = None


class _Record(msgspec.Struct, gc=False):
    """The fields of a record that passages are made of."""

    type: Text = None
    uuid: Text = None
    timestamp: Text = None
    cwd: Text = None
    isMeta: Any = None  # noqa: N815  these are Claude Code's names
    isSidechain: Any = None  # noqa: N815
    isCompactSummary: Any = None  # noqa: N815
    message: _Message | None = None


_decode = msgspec.json.Decoder(_Record).decode
_named = msgspec.json.Decoder(_Named).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class ClaudePassages:
    """The passages in the transcripts of sessions and of subagents."""

    version = "claude-3"

    def reads(self, name: str) -> bool:
        return is_lines(name) and kind_of(name) in {FileKind.TRANSCRIPT, FileKind.SUBAGENT}

    def passages(self, lines: bytes, at: int) -> Iterator[Passage]:
        view, start = memoryview(lines), 0  # no line is copied: most hold nothing to index
        while start < len(lines):
            end = lines.find(b"\n", start)
            end = len(lines) if end < 0 else end
            if lines.find(_MESSAGE, start, end) >= 0:
                record = _record(view[start:end])
                texts = _texts(record, RESULT_CHARS, _TEXT_CHARS) if record else None
                activity = _activity(record) if record else None
                if record and (texts or activity):
                    found = texts or _NO_TEXTS, activity or _NO_ACTIVITY
                    yield Passage(at + start, end - start, _time(record.timestamp), *found)
            start = end + 1

    def read(self, line: bytes) -> Reading | None:
        record = _record(line)
        texts = _texts(record, _WHOLE, _WHOLE) if record else None
        if record is None or texts is None:
            return None
        return Reading(record_name(record.uuid), _time(record.timestamp), texts)

    def name(self, line: bytes) -> str:
        try:
            return record_name(_named(line).uuid)
        except _UNREADABLE:
            record = _slowly(line)
            return record_name(record and record.uuid)


def _texts(record: _Record, most_result: int, most: int) -> Texts | None:
    """The texts of a record that people search for; None if it has none."""
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


def _activity(record: _Record) -> Activity | None:
    """The activity that a record shows; None if it shows none."""
    message = record.message
    if message is None or record.isMeta or record.type not in {"user", "assistant"}:
        return None
    calls: list[Call] = []
    ended: list[tuple[str, bool]] = []
    is_turn = False
    if record.type == "user":
        is_turn = _is_turn(record, message.content)
        if isinstance(message.content, list):
            ended += [(p.tool_use_id, p.is_error is True) for p in message.content if p.tool_use_id]
    elif isinstance(message.content, list):
        calls += [_call(p) for p in message.content if p.id and p.type == "tool_use"]
    response = _response(record, message) if message.usage else None
    if not (calls or ended or response or is_turn):
        return None
    cwd, name = record.cwd or "", record_name(record.uuid)
    return Activity(name, cwd, is_turn, response, tuple(calls), tuple(ended))


def _is_turn(record: _Record, content: list[_Part] | Text) -> bool:
    """Whether a person typed it, as `gathering.py` counts prompts."""
    if record.isSidechain or record.isCompactSummary or not content:
        return False
    if isinstance(content, str):
        return bool(typed_prompt([content]))
    return bool(typed_prompt(part.text for part in content if part.type == "text" and part.text))


def _call(part: _Part) -> Call:
    given = part.input if isinstance(part.input, dict) else {}
    path = next((value for key in _FILES if isinstance(value := given.get(key), str)), "")
    return Call(part.id or "", part.name or "", path, part.name in _CHANGING)


def _response(record: _Record, message: _Message) -> Response | None:
    """The tokens of a response; one without an id is a response of its own."""
    usage, name = message.usage, message.id or record.uuid
    if usage is None or not name or message.model == _NO_MODEL:
        return None
    counts = map(_count, astuple(usage))
    return Response(name, message.model or "", *counts)


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else 0


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
    """The values in a JSON object, the first one last; of a content part, its text alone."""
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
    texts = {name: _text(value.get(name)) for name in ("type", "uuid", "timestamp", "cwd")}
    marks = {n: value.get(n) for n in ("isMeta", "isSidechain", "isCompactSummary")}
    named = {name: _text(value["message"].get(name)) for name in ("id", "model")}
    usage = value["message"].get("usage")
    counts = {n: usage.get(n) for n in Usage.__struct_fields__} if isinstance(usage, dict) else None
    spent = None if counts is None else Usage(**counts)
    return _Record(**texts, **marks, message=_Message(content, **named, usage=spent))


def _part(value: dict[str, Any]) -> _Part:
    names = ("type", "text", "thinking", "id", "name", "tool_use_id")
    texts = {name: _text(value.get(name)) for name in names}
    others = {name: value.get(name) for name in ("input", "is_error", "content")}
    return _Part(**texts, **others)


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


EXTRACTORS: Mapping[str, Extractor] = {AGENT: ClaudePassages()}
"""The extractors of passages, by the agents whose sessions can be searched."""
