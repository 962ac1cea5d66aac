"""One record of a transcript: of all its fields the few that tell something, in their usual shape.

Field names are Claude Code's (FILES.md sections 6 and C2). What is not named here is passed over
without being built: nine tenths of a record are the texts of tools.
"""

import json
from typing import Any, TypeVar

import msgspec

_SAFE_DIGITS = 300  # of an integer; Python refuses one of 4,300, and such a one counts nothing


# `gc=False` throughout: made of what JSON holds, they cannot hold each other in a circle.


class Input(msgspec.Struct, gc=False):
    """What a tool was given."""

    file_path: Any = None


class Part(msgspec.Struct, gc=False):
    """One part of a message's content."""

    type: Any = None
    text: Any = None
    name: Any = None
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
    id: Any = None
    model: Any = None
    usage: Usage | None = None


class Attachment(msgspec.Struct, gc=False):
    """What the program told the agent."""

    type: Any = None
    planFilePath: Any = None  # noqa: N815  Claude Code's name


class Record(msgspec.Struct, gc=False):
    """The fields as they were written; one that is not there is None, as one of another shape is.

    `Any` may hold whatever JSON can.
    """

    type: Any = None
    cwd: Any = None
    gitBranch: Any = None  # noqa: N815  these are Claude Code's names
    slug: Any = None
    timestamp: Any = None
    sessionId: Any = None  # noqa: N815
    isMeta: Any = None  # noqa: N815
    isSidechain: Any = None  # noqa: N815
    isCompactSummary: Any = None  # noqa: N815
    message: Message | None = None
    attachment: Attachment | None = None
    agentSetting: Any = None  # noqa: N815
    agentName: Any = None  # noqa: N815
    customTitle: Any = None  # noqa: N815
    aiTitle: Any = None  # noqa: N815
    summary: Any = None


_quickly = msgspec.json.Decoder(Record).decode
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def parse_record(line: bytes) -> Record | None:
    """What a line of JSON tells; None if it is no record.

    What does not have the usual shape is read once more in a slower way.
    """
    try:
        return _quickly(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
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
    if not isinstance(value, dict):
        return None
    return shape(**{name: value[name] for name in shape.__struct_fields__ if name in value})


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _SAFE_DIGITS else float("inf")
