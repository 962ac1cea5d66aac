"""Makes the conversation of a session from Claude Code's records (docs/agent-files.md).

It reads lazily: a message is given as soon as the next one begins, so the first screen of a long
session needs its first records only. Content of an unexpected shape is shown as text or left out;
it never stops the reader.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from karma_sync.agents.claude.records import (
    is_vast,
    moment_of,
    record_in,
    record_name,
    typed_command,
    typed_prompt,
)
from karma_sync.domain.session.conversation import (
    Attached,
    Change,
    Mark,
    MarkKind,
    Message,
    Part,
    Said,
    Spent,
    Thought,
    ToolCall,
    Who,
)
from karma_sync.domain.text import printable

Json = dict[str, Any]

_SUBJECT_CHARS = 200
_NO_RECORD = "a line that holds no record"
# The keys of a tool's input that name its object; the first one that is there counts.
_SUBJECTS = (
    *("file_path", "notebook_path", "pattern", "path", "command", "url", "query", "description"),
    *("subject", "skill", "bash_id", "task_id", "shell_id", "taskId", "to", "plan", "prompt"),
)
_PATHS = ("file_path", "notebook_path")
_EDITS = ("Edit", "MultiEdit", "Write", "NotebookEdit")
_BASE64_SHARE = 3 / 4


def conversation(lines: Iterable[bytes]) -> Iterator[Message]:
    """The messages of a transcript, one record a line, in the order of the file.

    The lines have their line ends. The result of a tool is in the message that used the tool.
    """
    reader, at = _Reader(), 0
    for line in lines:
        if line and not line.isspace():
            yield from reader.take(line, at)
        at += len(line)
    yield from reader.end()


@dataclass
class _Open:
    """A message that may still get parts or results."""

    ids: list[str]
    who: Who
    at: int
    response: str = ""
    parts: list[Part] = field(default_factory=list)
    when: datetime | None = None
    model: str = ""
    spent: Spent = Spent()
    number: int = 0

    def closed(self) -> Message:
        parts = tuple(self.parts)
        return Message(
            *(tuple(self.ids), self.who, parts, self.when),
            *(self.model, self.spent, self.number, self.at),
        )


class _Reader:
    def __init__(self) -> None:
        self._open: _Open | None = None
        self._calls: dict[str, tuple[_Open, int]] = {}
        self._cwd = ""
        self._at, self._prompts = 0, 0
        self._boundary: Json | None = None  # of a compaction; its summary mostly follows

    def take(self, line: bytes, at: int) -> Iterator[Message]:
        """The messages that end where this line begins, `at` bytes after the first one."""
        self._at = at
        record = record_in(line)
        if record is None:
            what = f"{len(line)} bytes, too much to show" if is_vast(line) else _NO_RECORD
            yield from self._mark("", MarkKind.UNREADABLE, what, None)
            return
        if not record.get("isCompactSummary"):
            yield from self._bounded()
        cwd = record.get("cwd")
        self._cwd = cwd if isinstance(cwd, str) else self._cwd
        match record.get("type"):
            case "user":
                yield from self._user(record)
            case "assistant":
                yield from self._assistant(record)
            case _:
                yield from self._other(record)

    def end(self) -> Iterator[Message]:
        """Yield the messages that are still open at the end of the file."""
        yield from self._bounded()
        yield from self.flush()

    def _bounded(self) -> Iterator[Message]:
        """The boundary of a compaction that no summary followed."""
        if self._boundary is not None:
            record, self._boundary = self._boundary, None
            yield from self._note(record, MarkKind.COMPACTION, "")

    def _summary(self, record: Json, text: str) -> Iterator[Message]:
        """The summary with which the agent goes on, and its boundary, as one mark."""
        records, self._boundary = [self._boundary or {}, record], None
        yield from self.flush()
        ids = tuple(filter(None, map(_id, records)))
        mark = Mark(MarkKind.COMPACTION, text)
        yield Message(ids, Who.PROGRAM, (mark,), moment_of(record), at=self._at)

    def flush(self) -> Iterator[Message]:
        """The message that is open, which ends here."""
        if self._open is not None:
            closed, self._open = self._open.closed(), None
            self._calls.clear()
            yield closed

    def _begin(self, record: Json, who: Who) -> _Open:
        self._open = _Open([], who, self._at, when=moment_of(record))
        return self._open

    def _named(self, record: Json) -> None:
        """Count a record to the message that is open."""
        if self._open is not None and (name := _id(record)):
            self._open.ids.append(name)

    def _mark(
        self, id_: str, kind: MarkKind, text: str, when: datetime | None
    ) -> Iterator[Message]:
        if self._open is not None and kind in {MarkKind.WITHHELD, MarkKind.UNREADABLE}:
            self._open.parts.append(Mark(kind, text))  # it does not end what is being said
            return
        yield from self.flush()
        ids = (id_,) if id_ else ()
        yield Message(ids, Who.PROGRAM, (Mark(kind, text),), when, at=self._at)

    def _user(self, record: Json) -> Iterator[Message]:
        message = record.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        others = [each for each in parts if not self._took_result(each, record)]
        if len(others) < len(parts):
            self._named(record)
        texts = [text for each in others if (text := _text_of(each))]
        attached = [found for each in others if (found := _attached(each))]
        if record.get("isCompactSummary"):
            yield from self._summary(record, "\n".join(texts))
        elif texts and (record.get("isMeta") or not typed_prompt(texts)):
            command = typed_command(texts)
            text = command or "\n".join(texts)
            yield from self._note(record, MarkKind.NOTE, text)
        elif texts or attached:
            yield from self.flush()
            self._prompts += 1
            prompt = self._begin(record, Who.USER)
            prompt.number = self._prompts
            self._named(record)
            prompt.parts += [*([Said(typed_prompt(texts))] if texts else []), *attached]

    def _note(self, record: Json, kind: MarkKind, text: str) -> Iterator[Message]:
        return self._mark(_id(record), kind, text, moment_of(record))

    def _assistant(self, record: Json) -> Iterator[Message]:
        message = record.get("message")
        if not isinstance(message, dict):
            return
        response = _text(message.get("id"))
        answer = self._open
        is_same = answer is not None and answer.who is Who.ASSISTANT and bool(response)
        if answer is None or not is_same or answer.response != response:
            yield from self.flush()
            answer = self._begin(record, Who.ASSISTANT)
        self._named(record)
        answer.response = response
        answer.model = _line(message.get("model")) or answer.model
        answer.spent = _spent(message.get("usage"), answer.spent)
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for each in parts:
            if isinstance(each, dict):
                self._said(answer, each)

    def _said(self, answer: _Open, part: Json) -> None:
        match part.get("type"):
            case "text" if _text_of(part):
                answer.parts.append(Said(_text_of(part)))
            case "thinking" | "redacted_thinking":
                answer.parts.append(Thought(_text(part.get("thinking"))))
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                call = _call(part, self._cwd)
                self._calls[call.id] = answer, len(answer.parts)
                answer.parts.append(call)
            case _ if found := _attached(part):
                answer.parts.append(found)

    def _took_result(self, part: object, record: Json) -> bool:
        """Put the result of a tool into the message that used the tool."""
        if not isinstance(part, dict) or part.get("type") != "tool_result":
            return False
        known = self._calls.get(_text(part.get("tool_use_id")))
        if known:
            message, at = known
            call = message.parts[at]
            if isinstance(call, ToolCall):
                used = record.get("toolUseResult")
                message.parts[at] = _with_result(call, part, used, self._cwd)
        return True

    def _other(self, record: Json) -> Iterator[Message]:
        attachment = record.get("attachment")
        withheld = attachment.get("withheld") if isinstance(attachment, dict) else None
        if withheld is None:
            withheld = record.get("withheld")
        if isinstance(withheld, str):
            yield from self._note(record, MarkKind.WITHHELD, _line(withheld))
        elif record.get("type") == "system":
            kind = _text(record.get("subtype"))
            if kind in {"compact_boundary", "microcompact_boundary"}:
                self._boundary = record
            elif kind in {"local_command", "away_summary", "api_error", "informational", ""}:
                text = _text(record.get("content"))
                if text:
                    yield from self._note(record, MarkKind.NOTE, text)


def _call(part: Json, cwd: str) -> ToolCall:
    given = part.get("input")
    values: Json = given if isinstance(given, dict) else {}
    name = _line(part.get("name")) or "a tool"
    path = next((_text(values[key]) for key in _PATHS if isinstance(values.get(key), str)), "")
    return ToolCall(
        id=_text(part.get("id")),
        name=name,
        subject=_subject(name, values, cwd),
        given=printable(json.dumps(given, ensure_ascii=False)),
        path=_relative(path, cwd),
        changes=_changes(name, values, None, cwd),
    )


def _subject(name: str, given: Json, cwd: str) -> str:
    if isinstance(todos := given.get("todos"), list):
        done = sum(isinstance(each, dict) and each.get("status") == "completed" for each in todos)
        return f"{done} of {len(todos)} done"
    if name == "TaskUpdate":
        return " ".join(filter(None, (_line(given.get("taskId")), _line(given.get("status")))))
    for key in _SUBJECTS:
        if (value := given.get(key)) and isinstance(value, str):
            line = _line(value)
            path = _relative(line, cwd) if key in {*_PATHS, "path"} else line
            return path if len(path) <= _SUBJECT_CHARS else f"{path[: _SUBJECT_CHARS - 1]}…"
    return ""


def _with_result(call: ToolCall, part: Json, used: object, cwd: str) -> ToolCall:
    content = part.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    text = "\n".join(found for each in parts if (found := _text_of(each)))
    result: Mapping[str, Any] = used if isinstance(used, dict) else {}
    failed = part.get("is_error") is True
    changes = () if failed else _changes(call.name, json.loads(call.given) or {}, result, cwd)
    return replace(
        call,
        result=text,
        failed=failed,
        outcome=_outcome(call.name, text, result, failed),
        attached=tuple(other for each in parts if (other := _attached(each))),
        changes=changes,
        agent=_line(result.get("agentId")),
    )


def _outcome(name: str, text: str, used: Mapping[str, Any], failed: bool) -> str:
    if used.get("interrupted") is True:
        return "interrupted"
    if failed:
        first = text.removeprefix("<tool_use_error>").strip().partition("\n")[0]
        if first.startswith("Exit code "):
            return f"exit {first.removeprefix('Exit code ')}"
        return "rejected" if "doesn't want to proceed" in first else "failed"
    if name == "Bash":
        return "exit 0" if "stdout" in used else ""
    if isinstance(count := used.get("numFiles"), int):
        return f"{count} file{'' if count == 1 else 's'}"
    if isinstance(count := used.get("totalToolUseCount"), int):
        return f"{count} tool uses"
    file = used.get("file")
    if isinstance(file, dict) and isinstance(count := file.get("numLines"), int):
        return f"{count} line{'' if count == 1 else 's'}"
    return ""


def _changes(name: str, given: Json, used: Mapping[str, Any] | None, cwd: str) -> list[Change]:
    """The changes of a tool that edits: as the tool reports them, else as it was asked to."""
    path = next((_text(given[key]) for key in _PATHS if isinstance(given.get(key), str)), "")
    if name not in _EDITS or not path:
        return []
    shown = _relative(path, cwd)
    patch = used.get("structuredPatch") if used else None
    if isinstance(patch, list) and patch:
        return [Change(shown, _patch_lines(patch))]
    if name == "Write":
        content = _text(given.get("content"))
        return [Change(shown, [f"+{line}" for line in content.splitlines()])]
    edits = given.get("edits") if isinstance(given.get("edits"), list) else [given]
    lines = [line for each in edits or () if isinstance(each, dict) for line in _edit_lines(each)]
    return [Change(shown, lines)] if lines else []


def _patch_lines(patch: list[Any]) -> list[str]:
    lines: list[str] = []
    for hunk in patch:
        if isinstance(hunk, dict):
            where = [hunk.get(k) for k in ("oldStart", "oldLines", "newStart", "newLines")]
            lines.append("@@ -{},{} +{},{} @@".format(*map(_count, where)))
            given = hunk.get("lines")
            lines += map(_text, given) if isinstance(given, list) else []
    return lines


def _edit_lines(edit: Json) -> list[str]:
    before, after = _text(edit.get("old_string")), _text(edit.get("new_string"))
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return [line for line in found if not line.startswith(("---", "+++"))]


def _relative(path: str, cwd: str) -> str:
    """A path as seen from the working directory, if it lies below."""
    if cwd and path.startswith((f"{cwd}/", f"{cwd}\\")):
        return path[len(cwd) + 1 :]
    return path


def _attached(part: object) -> Attached | None:
    if not isinstance(part, dict) or _text(part.get("type")) not in {"image", "document"}:
        return None
    source = part.get("source")
    known: Json = source if isinstance(source, dict) else {}
    size = int(len(_text(known.get("data"))) * _BASE64_SHARE)
    return Attached(_line(known.get("media_type")) or str(part["type"]), size)


def _spent(usage: object, before: Spent) -> Spent:
    """The tokens of a response: each record repeats them, and the greatest count."""
    if not isinstance(usage, dict):
        return before
    return Spent(
        max(before.read, _count(usage.get("input_tokens"))),
        max(before.written, _count(usage.get("output_tokens"))),
        max(before.cached, _count(usage.get("cache_read_input_tokens"))),
        max(before.stored, _count(usage.get("cache_creation_input_tokens"))),
    )


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= 10**9 else 0


def _text_of(part: object) -> str:
    if isinstance(part, dict) and part.get("type") == "text":
        return _text(part.get("text"))
    return ""


def _id(record: Json) -> str:
    """The id of a record; "" if it has none that a person can type."""
    return record_name(record.get("uuid"))


def _line(value: object) -> str:
    """The same on one line: in a name, a line end could begin a line that looks like ours."""
    return " ".join(_text(value).split())


def _text(value: object) -> str:
    """A text without anything that controls a terminal; "" for any other value."""
    return printable(value) if isinstance(value, str) else ""
