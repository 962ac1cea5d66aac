"""Parses lines of Claude Code's transcripts into the few fields that facts are made of.

Field names are Claude Code's (docs/agent-files.md, "Records"). The parser skips other fields
without building Python objects for them, because nine tenths of a record are the texts of tools.
Unknown record types are skipped too: the set of types changes every few weeks.

Also separates what a person typed from what the program writes into the same records. Counted in a
corpus of transcripts: an editor's note precedes one prompt in seven, as a part of its own;
commands, their output and notifications are records of their own.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from karma_sync.domain.limits import has_too_many_values

_MOST_SHOWN_BYTES = 16_000_000  # of a record that is parsed whole
_MOST_SHOWN_VALUES = 300_000  # in it
# Integers with more digits than this are not counts; Python refuses to parse 4,300 digits.
_SAFE_DIGITS = 300
# The keys that name a directory in which a session works, or to which it goes.
_KEYS = b"cwd|relocatedCwd|originalCwd|worktreePath|workingDirectory"
# Finds them in a line that does not parse (two spliced records, or half a record). They still
# count. Inside of a string the quotes would be escaped, so it does not match there.
_DIRECTORY = re.compile(rb'(?<!\\)"(' + _KEYS + rb')"\s*:\s*("(?:[^"\\]++|\\.)*+")')
_ABSOLUTE = re.compile(r"/|[A-Za-z]:[/\\]|\\\\")

Text = str | None
Moment = Annotated[datetime, msgspec.Meta(tz=True)] | None

# All structs have `gc=False`: they are made from JSON, so they cannot form reference cycles.


class Input(msgspec.Struct, gc=False):
    """The input of a tool."""

    file_path: Text = None


class Part(msgspec.Struct, gc=False):
    """One part of a message's content."""

    type: Text = None
    text: Text = None
    name: Text = None
    input: Input | None = None


MessageContent = list[Part] | str | None


class Usage(msgspec.Struct, gc=False):
    """The tokens of one API response up to this record."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None


class RecordMessage(msgspec.Struct, gc=False):
    """A message of a person, a tool or the model."""

    content: MessageContent = None
    id: Text = None
    model: Text = None
    usage: Usage | None = None


class Directories(msgspec.Struct, gc=False):
    """The directories that a value nested in a record names."""

    cwd: Text = None
    originalCwd: Text = None  # noqa: N815  these are Claude Code's names
    worktreePath: Text = None  # noqa: N815
    workingDirectory: Text = None  # noqa: N815
    additionalWorkingDirectories: Any = None  # noqa: N815


class Attachment(msgspec.Struct, gc=False):
    """A note from Claude Code to the agent; `snapshot` describes its environment."""

    type: Text = None
    planFilePath: Text = None  # noqa: N815  Claude Code's name
    snapshot: Directories | None = None


class Record(msgspec.Struct, gc=False):
    """The fields of a record; a missing field is None, and so is one with an unexpected type.

    Fields of type `Any` may hold any JSON value. `timestamp` has a time zone; it may have no
    equivalent in another zone, because the calendar ends at the years 1 and 9999.
    """

    type: Text = None
    uuid: Text = None
    parentUuid: Text = None  # noqa: N815  these are Claude Code's names
    cwd: Text = None
    relocatedCwd: Text = None  # noqa: N815
    worktreeSession: Directories | None = None  # noqa: N815
    gitBranch: Text = None  # noqa: N815  these are Claude Code's names
    slug: Text = None
    timestamp: Moment = None
    sessionId: Text = None  # noqa: N815
    isMeta: Any = None  # noqa: N815
    isSidechain: Any = None  # noqa: N815
    isCompactSummary: Any = None  # noqa: N815
    message: RecordMessage | None = None
    attachment: Attachment | None = None
    agentSetting: Text = None  # noqa: N815
    agentName: Text = None  # noqa: N815
    customTitle: Text = None  # noqa: N815
    aiTitle: Text = None  # noqa: N815
    summary: Text = None


_decode = msgspec.json.Decoder(Record).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def parse_lines(lines: bytes) -> tuple[list[Record], int]:
    """The records in whole lines, and the number of lines that are not blank.

    A line that does not parse gives one record for each working directory that it names.
    """
    parts = lines.split(b"\n")
    if not parts[-1]:
        parts.pop()
    try:
        records = list(map(_decode, parts))
    except _UNREADABLE:
        return parse_one_by_one(parts)
    return records, len(records)


def parse_one_by_one(lines: Iterable[bytes]) -> tuple[list[Record], int]:
    """The same for lines of which some do not decode; slower."""
    count = 0
    records: list[Record] = []
    for line in lines:
        if line and not line.isspace():
            count += 1
            record = parse_record(line)
            records += [record] if record else _directories(line)
    return records, count


def directories_of(record: Record) -> list[Text]:
    """Every directory that a record names as one in which the session works.

    `cwd` counts whatever it is. Under another key only an absolute path is a directory.
    """
    found = [record.cwd]
    if record.relocatedCwd:
        found.append(record.relocatedCwd)
    for each in (record.worktreeSession, record.attachment and record.attachment.snapshot):
        if each:
            added = each.additionalWorkingDirectories
            found += [each.cwd, each.originalCwd, each.worktreePath, each.workingDirectory]
            found += added if isinstance(added, list) else ()
    return [p for p in found if isinstance(p, str) and (p is record.cwd or _ABSOLUTE.match(p))]


def parse_record(line: bytes) -> Record | None:
    """The record in a line of JSON; None if the line holds none.

    A line with an unexpected shape is parsed again in a slower way.
    """
    try:
        return _decode(line)
    except _UNREADABLE:
        return parse_slowly(line)


def parse_slowly(line: bytes) -> Record | None:
    """The same with the standard library, which accepts half an emoji, as JavaScript cuts them."""
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"), parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    record = _shaped(Record, value)
    if record:
        record.attachment = _attachment(record.attachment)
        record.worktreeSession = _shaped(Directories, record.worktreeSession)
        record.message = _message(record.message)
        record.timestamp = _moment(value.get("timestamp"))
    return record


def _attachment(value: object) -> Attachment | None:
    record = _shaped(Attachment, value)
    if record:
        record.snapshot = _shaped(Directories, record.snapshot)
    return record


def _message(value: object) -> RecordMessage | None:
    message = _shaped(RecordMessage, value)
    if message:
        message.usage = _shaped(Usage, message.usage)
        message.content = _content(message.content)
    return message


def _content(value: object) -> MessageContent:
    if not isinstance(value, list):
        return value if isinstance(value, str) else None
    parts = [_shaped(Part, part) for part in value]
    for part in parts:
        if part:
            part.input = _shaped(Input, part.input)
    return [part for part in parts if part]


def _shaped(shape: type[_Shape], value: object) -> _Shape | None:
    """A struct of the fields that have the expected type; None if `value` is not an object.

    Nested values are copied unchecked; the caller shapes them afterwards.
    """
    if not isinstance(value, dict):
        return None
    strings = {f.name: value.get(f.name) for f in msgspec.structs.fields(shape) if f.type == Text}
    texts = {name: text for name, text in strings.items() if isinstance(text, str)}
    others = {f: value[f] for f in shape.__struct_fields__ if f in value and f not in strings}
    return shape(**texts, **others)


def _moment(stamp: object) -> datetime | None:
    if not isinstance(stamp, str):
        return None
    try:
        moment: datetime = msgspec.convert(stamp, Moment)
    except msgspec.ValidationError:
        return _moment_of_python(stamp)
    return moment


def _moment_of_python(stamp: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _directories(line: bytes) -> list[Record]:
    """A record for each working directory in a line that does not parse."""
    found = []
    for key, quoted in _DIRECTORY.findall(line):
        try:
            path = json.loads(quoted)
        except ValueError:
            continue
        found.append(Record(cwd=path) if key == b"cwd" else Record(relocatedCwd=path))
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _SAFE_DIGITS else float("inf")


_RECORD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}")


def record_name(uuid: object) -> str:
    """The id of a record as commands name it: "" if it is none that a person can type.

    Others wrote it, and people copy it into a shell.
    """
    return uuid if isinstance(uuid, str) and _RECORD_NAME.fullmatch(uuid) else ""


_NOTE = re.compile(r"\s*<(?P<tag>[a-z]+(?:[-_][a-z]+)+)(?:\s[^<>]*)?>.*?</(?P=tag)>", re.DOTALL)

_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)

_ARGUMENTS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)

_INTERRUPTED = "[Request interrupted by user"


def texts_of(content: MessageContent) -> list[str]:
    """The texts in a message, as they were written."""
    if content is None or isinstance(content, str):
        return [content] if content else []
    return [part.text for part in content if part.type == "text" and part.text]


def typed_prompt(texts: Iterable[str]) -> str:
    """The prompt that a person typed, from the texts of a user's message; "" if there is none."""
    remaining = map(_without_notes, texts)
    return " ".join(text for text in remaining if text and not text.startswith(_INTERRUPTED))


def typed_command(texts: Iterable[str]) -> str:
    """The command (`/name arguments`) in a user's message, as it was typed; "" if there is none."""
    for text in texts:
        if text.lstrip().startswith("<command-") and (name := _COMMAND.search(text)):
            arguments = _ARGUMENTS.search(text)
            return f"{name[1]} {arguments[1] if arguments else ''}".strip()
    return ""


def _without_notes(text: str) -> str:
    while note := _NOTE.match(text):
        if note[0].count("<private>") > note[0].count("</private>"):
            break  # the private part ends after the note, so the text must keep its beginning
        text = text[note.end() :]
    return text.strip()


def is_vast(line: bytes) -> bool:
    """Whether a record would take hundreds of megabytes of memory; the largest real ones do not."""
    return len(line) > _MOST_SHOWN_BYTES or has_too_many_values(line, _MOST_SHOWN_VALUES)


def record_in(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line, whatever it holds; None if there is none, or a vast one."""
    if is_vast(line):
        return None
    try:
        value = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def moment_of(record: dict[str, Any]) -> datetime | None:
    """The time at which a record was written (UTC); None if the record has none."""
    stamp = record.get("timestamp")
    try:
        moment = datetime.fromisoformat(stamp if isinstance(stamp, str) else "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
