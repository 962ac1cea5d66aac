"""Reads one record of a transcript for a fork, and writes it again with other ids and places.

What a record holds is kept byte for byte, but for the few fields at its top that name the session
and its place (docs/adr/0041-what-a-fork-takes.md).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from karma_sync.agents.claude import record_types as tables

Text = str | None
Fields = dict[str, Any]  # of a record, by name; each value is a piece of JSON

_THINKING = ("thinking", "redacted_thinking")
_IDS = ("sessionId", "session_id")
_LINKS = ("logicalParentUuid", "sourceToolAssistantUUID")
_ENTRY = b'"cli"'  # the picker hides sessions of programs by this field of the first record
_NULL = b"null"
# Keys that would act on the machine of the person who continues; not part of the conversation.
_MODES = ("permissionMode",)
_PERSISTED = b'"persistedOutputPath"'


class _Part(msgspec.Struct, gc=False):
    type: Text = None
    id: Text = None
    tool_use_id: Text = None
    text: Text = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    output_tokens: Any = None


class _Message(msgspec.Struct, gc=False):
    id: Text = None
    content: list[_Part] | str | None = None
    usage: _Usage | None = None


class _Kind(msgspec.Struct, gc=False):
    type: Text = None
    withheld: Any = None


class Head(msgspec.Struct, gc=False):
    """The fields that decide how a fork treats a record; `withheld` names content that stayed."""

    type: Text = None
    subtype: Text = None
    uuid: Text = None
    parentUuid: Text = None  # noqa: N815  these are Claude Code's names
    isSidechain: Any = None  # noqa: N815
    isMeta: Any = None  # noqa: N815
    leafUuid: Text = None  # noqa: N815
    lastPrompt: Text = None  # noqa: N815
    cwd: Text = None
    version: Text = None
    gitBranch: Text = None  # noqa: N815
    message: _Message | None = None
    attachment: _Kind | None = None
    data: _Kind | None = None
    withheld: Any = None

    @property
    def name(self) -> str:
        """The record's type as the tables of record types have it; an attachment's own type."""
        if self.type == "attachment":
            return (self.attachment and self.attachment.type) or "attachment"
        behind = self.subtype if self.type == "system" else self.data and self.data.type
        named = self.type in ("system", "progress") and behind
        return f"{self.type}/{behind}" if named else self.type or ""

    @property
    def is_withheld(self) -> bool:
        """Whether the content of the record stayed with its author."""
        inside = (each.withheld for each in (self.attachment, self.data) if each)
        return self.withheld is not None or any(each is not None for each in inside)

    @property
    def is_known(self) -> bool:
        """Whether the record is of a type that a fork takes."""
        if self.type == "attachment":
            return self.name in tables.ATTACHMENTS
        return self.name in tables.RECORDS and self.type not in _LEFT_OUT

    @property
    def parts(self) -> Sequence[_Part]:
        """The parts of its message; none if the message is a text."""
        content = self.message.content if self.message else None
        return content if isinstance(content, list) else ()

    @property
    def texts(self) -> list[str]:
        """The texts in its message."""
        content = self.message.content if self.message else None
        return [content] if isinstance(content, str) else [p.text for p in self.parts if p.text]

    @property
    def calls(self) -> tuple[str, ...]:
        """The ids of the tool calls in an answer."""
        return tuple(part.id for part in self.parts if part.type == "tool_use" and part.id)

    @property
    def results(self) -> tuple[str, ...]:
        """The ids of the tool calls whose results a record has."""
        found = (part.tool_use_id for part in self.parts if part.type == "tool_result")
        return tuple(each for each in found if each)

    @property
    def thoughts(self) -> int:
        """How many parts of its message are thinking."""
        return sum(part.type in _THINKING for part in self.parts)

    @property
    def tokens(self) -> int:
        """The tokens that the model had read and written with this answer; 0 if that is unknown."""
        usage = self.message.usage if self.message else None
        counts = msgspec.structs.astuple(usage) if usage else ()
        return sum(count for count in counts if type(count) is int and 0 <= count <= _MOST_TOKENS)


_MOST_TOKENS = 10**9
# The agent does not go on from progress. The other types belong to the author, or the
# fork gets its own: titles, the agent that was chosen, modes, which decide what the agent may do.
_LEFT_OUT = frozenset(
    [
        *("progress", "summary", "task-summary", "custom-title", "ai-title", "agent-name"),
        *("agent-setting", "tag", "mode", "permission-mode", "last-prompt"),
    ]
)
# Records outside of the chain that a fork keeps: they tell about the conversation as a whole.
BESIDE = frozenset({"pr-link", "marble-origami-commit", "marble-origami-reset"})

_head = msgspec.json.Decoder(Head).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_kind = msgspec.json.Decoder(_Kind).decode
_json = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def head_of(line: bytes) -> Head | None:
    """The head of a record; None if the line holds no JSON object."""
    try:
        return _head(line)
    except _UNREADABLE:
        record = _loaded(line)
    return None if record is None else _shaped(record)


def _loaded(line: bytes) -> Fields | None:
    """The object in a line, read as JavaScript does: with halves of emojis, without NaN."""
    try:
        value = json.loads(line.decode("utf-8", "replace"), parse_constant=_refused)
    except _UNREADABLE:
        return None
    return value if isinstance(value, dict) else None


def _refused(constant: str) -> object:
    raise ValueError(constant)


def _shaped(record: Fields) -> Head:
    """The head of a record in which a field has an unexpected type; that field is left out."""
    message = record.get("message")
    found = {
        name: record[name]
        for name in Head.__struct_fields__
        if isinstance(record.get(name), str) and name not in ("message", "attachment", "data")
    }
    found |= {name: record.get(name) for name in ("isSidechain", "isMeta", "withheld")}
    found |= {
        name: _kind(json.dumps({k: v for k, v in nested.items() if k == "withheld" or _is(k, v)}))
        for name in ("attachment", "data")
        if isinstance(nested := record.get(name), dict)
    }
    return Head(**found, message=_shaped_message(message) if isinstance(message, dict) else None)


def _is(key: str, value: object) -> bool:
    return key == "type" and isinstance(value, str)


def _shaped_message(message: Fields) -> _Message:
    content, id_ = message.get("content"), message.get("id")
    parts = content if isinstance(content, list) else []
    shaped = [
        _Part(**{n: each[n] for n in _Part.__struct_fields__ if isinstance(each.get(n), str)})
        for each in parts
        if isinstance(each, dict)
    ]
    usage = message.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return _Message(
        id_ if isinstance(id_, str) else None,
        content if isinstance(content, str) else shaped,
        _Usage(**{name: counts.get(name) for name in _Usage.__struct_fields__}),
    )


@dataclass(frozen=True)
class Rewriting:
    """Rewrites the records of a transcript for a fork: ids, links, directories and files.

    - `session`: the fork's id.
    - `place`: the directory here for a directory of the author's.
    - `uuid`: the record that stands for one that a fork leaves out; None if none does.
    - `saved`: where a file of long output lies here, by its name in the session; None if it is
      not among the fork's files.
    """

    session: str
    place: Callable[[str], str]
    uuid: Callable[[str], Text]
    saved: Callable[[str], Text]
    keep_thinking: bool = False
    _places: dict[bytes, bytes] = field(default_factory=dict)

    def line(self, line: bytes, parent: Text, is_thinking: bool) -> bytes:
        """The record in `line` as the fork has it, with a line end; its parent is `parent`."""
        fields = _raw_fields(line)
        changes = {
            **dict.fromkeys(_IDS, self._session),
            **dict.fromkeys(_LINKS, self._named),
            "entrypoint": lambda _: _ENTRY,
            "cwd": self._place,
            "compactMetadata": self._compaction,
        }
        for name in changes.keys() & fields.keys():
            fields[name] = changes[name](bytes(fields[name]))
        if "parentUuid" in fields or parent is not None:
            fields["parentUuid"] = _json(parent)
        for name in _MODES:
            fields.pop(name, None)
        if is_thinking and not self.keep_thinking:
            fields["message"] = _without_thinking(bytes(fields["message"]))
        if _PERSISTED in line:
            self._move_saved(fields)
        return joined(fields) + b"\n"

    def _session(self, _: bytes) -> bytes:
        return _json(self.session)

    def _place(self, raw: bytes) -> bytes:
        if raw not in self._places:
            known = _value(raw)
            self._places[raw] = _json(self.place(known)) if isinstance(known, str) else raw
        return self._places[raw]

    def _named(self, raw: bytes) -> bytes:
        known = _value(raw)
        return _json(self.uuid(known)) if isinstance(known, str) else _NULL

    def _compaction(self, raw: bytes) -> bytes:
        """The metadata of a compaction; it names the records that were kept."""
        value = _value(raw)
        return raw if not isinstance(value, dict) else _json(self._replaced(value))

    def _replaced(self, value: object) -> object:
        if isinstance(value, dict):
            return {
                key: self.uuid(each) or each
                if key.lower().endswith("uuid") and isinstance(each, str)
                else self._uuids(each)
                if key.lower().endswith("uuids") and isinstance(each, list)
                else self._replaced(each)
                for key, each in value.items()
            }
        return [self._replaced(each) for each in value] if isinstance(value, list) else value

    def _uuids(self, values: list[object]) -> list[object]:
        """The records in a list, without those that a fork leaves out."""
        return [each for each in values if not isinstance(each, str) or self.uuid(each) == each]

    def _move_saved(self, fields: Fields) -> None:
        """Name the place here of a long output that the agent saved to a file."""
        result = _value(bytes(fields.get("toolUseResult", _NULL)))
        path = result.get("persistedOutputPath") if isinstance(result, dict) else None
        if not isinstance(path, str):
            return
        there = path.replace("\\", "/").partition("/tool-results/")[2]
        here = self.saved(f"tool-results/{there}") if there else None
        if here is None:
            return
        for old, new in ((_json(path), _json(here)), (json.dumps(path).encode(), _json(here))):
            for name in ("toolUseResult", "message"):
                if name in fields:
                    fields[name] = bytes(fields[name]).replace(old[1:-1], new[1:-1])


def _raw_fields(line: bytes) -> Fields:
    try:
        return _fields(line)
    except _UNREADABLE:
        record = _loaded(line) or {}
        return {key: json.dumps(value).encode() for key, value in record.items()}


def joined(fields: Mapping[str, Any]) -> bytes:
    """The record with these fields, as JSON on one line."""
    return b"{" + b",".join(b"%b:%b" % (_key(n), bytes(v)) for n, v in fields.items()) + b"}"


def _key(name: str) -> bytes:
    try:
        return _json(name)
    except _UNREADABLE:
        return json.dumps(name).encode()  # half an emoji


def _value(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except _UNREADABLE:
        return None


def _without_thinking(message: bytes) -> bytes:
    fields = _raw_fields(message)
    try:
        parts: Sequence[Any] = _parts(fields["content"])
        kept = [part for part in parts if _kind(part).type not in _THINKING]
    except _UNREADABLE:
        value = json.loads(bytes(fields["content"]))
        is_thought = [isinstance(p, dict) and p.get("type") in _THINKING for p in value]
        pairs = zip(value, is_thought, strict=True)
        kept = [json.dumps(each).encode() for each, thought in pairs if not thought]
    fields["content"] = b"[" + b",".join(map(bytes, kept)) + b"]"
    return joined(fields)
