"""A line of a transcript, read into the few fields that tell something, in their usual shape.

Field names are Claude Code's (docs/agent-files.md, "Records"). What is not named here is passed
over without being built: nine tenths of a record are the texts of tools.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

_SAFE_DIGITS = 300  # of an integer; Python refuses one of 4,300, and such a one counts nothing
# Where a line does not parse (two records spliced, one cut off) a directory in it counts still.
# Inside a string the quotes would be escaped.
_CWD = re.compile(rb'(?<!\\)"cwd"\s*:\s*("(?:[^"\\]++|\\.)*+")')

Text = str | None
Moment = Annotated[datetime, msgspec.Meta(tz=True)] | None

# `gc=False` throughout: made of what JSON holds, they cannot hold each other in a circle.


class Input(msgspec.Struct, gc=False):
    """What a tool was given."""

    file_path: Text = None


class Part(msgspec.Struct, gc=False):
    """One part of a message's content."""

    type: Text = None
    text: Text = None
    name: Text = None
    input: Input | None = None


MessageContent = list[Part] | str | None


class Usage(msgspec.Struct, gc=False):
    """The tokens of one API response, as far as it was written yet."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None


class Message(msgspec.Struct, gc=False):
    """What a person, a tool or the model said."""

    content: MessageContent = None
    id: Text = None
    model: Text = None
    usage: Usage | None = None


class Attachment(msgspec.Struct, gc=False):
    """What the program told the agent."""

    type: Text = None
    planFilePath: Text = None  # noqa: N815  Claude Code's name


class Record(msgspec.Struct, gc=False):
    """The fields as they were written; one that is not there is None, as one of another shape is.

    `Any` may hold whatever JSON can. A moment has a time zone, and may lie outside the calendar of
    another.
    """

    type: Text = None
    cwd: Text = None
    gitBranch: Text = None  # noqa: N815  these are Claude Code's names
    slug: Text = None
    timestamp: Moment = None
    sessionId: Text = None  # noqa: N815
    isMeta: Any = None  # noqa: N815
    isSidechain: Any = None  # noqa: N815
    isCompactSummary: Any = None  # noqa: N815
    message: Message | None = None
    attachment: Attachment | None = None
    agentSetting: Text = None  # noqa: N815
    agentName: Text = None  # noqa: N815
    customTitle: Text = None  # noqa: N815
    aiTitle: Text = None  # noqa: N815
    summary: Text = None


_quickly = msgspec.json.Decoder(Record).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def parse_lines(lines: bytes) -> tuple[list[Record], int]:
    """What whole lines tell, and how many there are that are not blank.

    A line that is no record tells only of directories, each as if it were a record of its own.
    """
    found = lines.split(b"\n")
    if not found[-1]:
        found.pop()
    try:
        records = list(map(_quickly, found))
    except _UNREADABLE:
        return parse_one_by_one(found)
    return records, len(records)


def parse_one_by_one(lines: Iterable[bytes]) -> tuple[list[Record], int]:
    """The same, whatever stands in the lines."""
    count = 0
    records: list[Record] = []
    for line in lines:
        if line and not line.isspace():
            count += 1
            record = parse_record(line)
            records += [record] if record else _directories(line)
    return records, count


def parse_record(line: bytes) -> Record | None:
    """What a line of JSON tells; None if it is no record.

    What does not have the usual shape is read once more in a slower way.
    """
    try:
        return _quickly(line)
    except _UNREADABLE:
        return parse_slowly(line)


def parse_slowly(line: bytes) -> Record | None:
    """The same with the standard library, which takes half an emoji, as JavaScript cuts it."""
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"), parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    record = _shaped(Record, value)
    if record:
        record.attachment = _shaped(Attachment, record.attachment)
        record.message = _message(record.message)
        record.timestamp = _moment(value.get("timestamp"))
    return record


def _message(value: object) -> Message | None:
    message = _shaped(Message, value)
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
    """What of `value` has its usual place; the structs in it are to be shaped after it."""
    if not isinstance(value, dict):
        return None
    found = {f.name: value.get(f.name) for f in msgspec.structs.fields(shape) if f.type == Text}
    texts = {name: text for name, text in found.items() if isinstance(text, str)}
    others = {f: value[f] for f in shape.__struct_fields__ if f in value and f not in found}
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
    """The working directories in a line that does not parse."""
    found = []
    for quoted in _CWD.findall(line):
        try:
            found.append(Record(cwd=json.loads(quoted)))
        except ValueError:
            continue
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _SAFE_DIGITS else float("inf")


_NOTE = re.compile(r"\s*<(?P<tag>[a-z]+(?:[-_][a-z]+)+)>.*?</(?P=tag)>", re.DOTALL)

_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)

_ARGUMENTS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)

_INTERRUPTED = "[Request interrupted by user"


def texts_of(content: MessageContent) -> list[str]:
    """The texts in a message, as they were written."""
    if content is None or isinstance(content, str):
        return [content] if content else []
    return [part.text for part in content if part.type == "text" and part.text]


def typed(texts: Iterable[str]) -> str:
    """The prompt in the texts of a user's message; "" if nobody typed one there."""
    found = map(_without_notes, texts)
    return " ".join(text for text in found if text and not text.startswith(_INTERRUPTED))


def command(texts: Iterable[str]) -> str:
    """The command of the program's that a user's message is, as it was typed; "" if it is none."""
    for text in texts:
        if text.lstrip().startswith("<command-") and (name := _COMMAND.search(text)):
            arguments = _ARGUMENTS.search(text)
            return f"{name[1]} {arguments[1] if arguments else ''}".strip()
    return ""


def _without_notes(text: str) -> str:
    while note := _NOTE.match(text):
        if note[0].count("<private>") > note[0].count("</private>"):
            break  # what goes on behind the note is private too, and has to be seen so
        text = text[note.end() :]
    return text.strip()
