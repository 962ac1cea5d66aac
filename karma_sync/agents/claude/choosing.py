"""Chooses the records of Claude Code's transcripts that leave, by the tables in record_types.py.

Each line is decided on its own, so an appended line changes nothing before it. Only the results of
karma-sync's own commands depend on earlier lines: the call names the command, its result does not.

A record in the chain of a conversation keeps its place: `uuid`, parent and type stay, and
`{"withheld": "TYPE"}` stands for its content. One outside the chain is left out.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from karma_sync.agents.claude import record_types as tables
from karma_sync.agents.record_choice import NOT_JSON, Chosen, WithheldRecords
from karma_sync.domain.session.frame import GIVEN, runs_reading_command
from karma_sync.domain.session.profile import Profile

_PROFILES = tuple(Profile)  # the smallest first
_TYPE = re.compile(r"[\w./-]{1,64}")
_ODD_TYPE = "an unusual type"
_WITHHELD = "withheld"
_OUTPUT = re.compile(r"tool-results[/\\]+([^\s\"'\\/<>]+)")
_BOM = b"\xef\xbb\xbf"
_OWN_NAME = re.compile(rb"karma[-_]sync")

Json = dict[str, Any]


class _Kind(msgspec.Struct, gc=False):
    type: str | None = None


class _Head(msgspec.Struct, gc=False):
    """The fields that decide about most records."""

    type: str | None = None
    subtype: str | None = None
    data: _Kind | None = None


_head = msgspec.json.Decoder(_Head).decode
_plain = msgspec.json.Encoder().encode
_REWRITTEN = ("attachment", "progress/agent_progress")  # their content is looked at too


class ClaudeRecords:
    """Chooses records of Claude Code for a profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        rank = _PROFILES.index(profile)
        self._records = frozenset(
            name for name, least in tables.RECORDS.items() if _PROFILES.index(least) <= rank
        )
        self._attachments = {
            name: keys
            for name, (least, keys) in tables.ATTACHMENTS.items()
            if _PROFILES.index(least) <= rank
        }
        chosen = sorted(self._records), sorted((n, sorted(k)) for n, k in self._attachments.items())
        keys = sorted(tables.RECORD_KEYS), sorted(tables.CHAIN_KEYS)
        text = repr((tables.VERSION, profile, chosen, keys))
        self._version = hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """A hash over the tables and the profile: 16 hex digits."""
        return self._version

    def chooser(
        self, answers: Mapping[str, bool] = {}, outputs: Iterable[str] = ()
    ) -> "ClaudeChooser":
        """A chooser that goes on after earlier lines of the same transcript."""
        everything = self._profile is Profile.FULL
        return ClaudeChooser(self._records, self._attachments, everything, answers, outputs)


class ClaudeChooser:
    """Chooses the records of one transcript; see `RecordChooser`."""

    def __init__(
        self,
        records: frozenset[str],
        attachments: Mapping[str, frozenset[str]],
        everything: bool,
        answers: Mapping[str, bool],
        outputs: Iterable[str],
    ) -> None:
        self._records = records
        self._fast = records - set(_REWRITTEN)
        self._attachments = attachments
        self._everything = everything
        self._ids = [call.encode() for call in answers]
        self.answers = dict(answers)
        self.outputs = set(outputs)

    def choose(self, block: bytes) -> Chosen:
        """What leaves of whole lines; the last may lack its line end."""
        withheld = WithheldRecords()
        lines = _lines(block)
        kept: list[bytes] = []
        starts: list[int] = []
        at, same, blank = 0, True, 0
        asks = _OWN_NAME.search(block) is not None or bool(self._ids)
        for line in lines:
            out = self._choose(line, asks, withheld)
            same = same and out is line
            if out:
                kept.append(out)
                starts.append(at)
                blank += out.isspace()
            at += len(line)
        if same:
            return Chosen(block, None, len(kept) - blank, withheld)
        return Chosen(b"".join(kept), starts, len(kept) - blank, withheld)

    def _choose(self, line: bytes, asks: bool, withheld: WithheldRecords) -> bytes:
        """The line itself, another one in its place, or b"" if it stays here."""
        about_us = asks and (_OWN_NAME.search(line) is not None or self._names_call(line))
        if not about_us and (self._everything or self._is_fast(line)) or line.isspace():
            return line
        record = _parsed(line)
        if record is None:
            if self._everything and not self._names_call(line):
                return line
            withheld.count(NOT_JSON, len(line), known=False)
            return b""
        changed = about_us and self._answered(record)
        choice = _Choice(record) if self._everything else self._chosen(record)
        if choice.stays:
            withheld.count(choice.stays, len(line), _is_known(choice.stays))
        if choice.record is None:
            return b""
        return _line(choice.record, line) if changed or choice.record != record else line

    def _is_fast(self, line: bytes) -> bool:
        """Whether the first fields of a record tell that all of it leaves."""
        try:
            head = _head(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        behind = head.subtype if head.type == "system" else None
        if head.type == "progress" and head.data:
            behind = head.data.type
        return (f"{head.type}/{behind}" if behind else head.type) in self._fast

    def _chosen(self, record: Json) -> "_Choice":
        """What leaves of a record."""
        name = _type_of(record)
        if name == "attachment":
            return self._attachment(record)
        if name not in self._records:
            return _in_place(record, name)
        if name == "progress/agent_progress":
            return _Choice({**record, "data": self._nested(record["data"])})
        return _Choice(record)

    def _attachment(self, record: Json) -> "_Choice":
        attachment = record.get("attachment")
        content = attachment if isinstance(attachment, dict) else {}
        name = _text(content.get("type")) or _text(content.get(_WITHHELD)) or "attachment"
        keys = self._attachments.get(name)
        if keys is None or not self._is_ours_to_send(name, content, record):
            return _in_place(record, name)
        kept = {key: value for key, value in content.items() if key in keys or key == "type"}
        if name in tables.INSTRUCTIONS and "files" in kept:
            kept["files"] = _of_project(kept["files"], record.get("cwd"))
        whole = {key: value for key, value in record.items() if key in tables.RECORD_KEYS}
        return _Choice({**whole, "attachment": kept})

    def _is_ours_to_send(self, name: str, content: Json, record: Json) -> bool:
        """Whether an attachment with instructions holds any of the project's own."""
        key = tables.INSTRUCTIONS.get(name)
        if key is None:
            return True
        held = content.get(key)
        return bool(_of_project(held if isinstance(held, list) else [held], record.get("cwd")))

    def _nested(self, value: object) -> object:
        """The data of a progress record; records nested in it pass the same tables."""
        if isinstance(value, list):
            return [chosen for each in value if (chosen := self._nested(each)) is not None]
        if not isinstance(value, dict):
            return value
        if "uuid" in value and "type" in value:
            return self._chosen(value).record
        return {key: self._nested(each) for key, each in value.items()}

    def _names_call(self, line: bytes) -> bool:
        return any(call in line for call in self._ids)

    def _answered(self, record: Json) -> bool:
        """Note calls of karma-sync's reading commands, and take out their results."""
        for call in _objects(record, "tool_use"):
            name, text = _text(call.get("id")), _texts(call.get("input"))
            if name and name not in self.answers and any(map(runs_reading_command, text)):
                self.answers[name] = False
                self._ids.append(name.encode())
        results = [
            part
            for part in _objects(record, "tool_result")
            if part.get("tool_use_id") in self.answers
        ]
        for part in results:
            self.answers[part["tool_use_id"]] = True
            self._note_outputs(part)
            part["content"] = GIVEN
        for each in _with_key(record, "toolUseResult") if results else ():
            self._note_outputs(each["toolUseResult"])
            each["toolUseResult"] = GIVEN
        about = {record.get("parentToolUseID"), record.get("toolUseID")} & self.answers.keys()
        if about and record.get("type") == "progress" and isinstance(record.get("data"), dict):
            record["data"] = {"type": record["data"].get("type"), _WITHHELD: GIVEN}
            return True
        attachment = record.get("attachment")
        if isinstance(attachment, dict) and attachment.get("toolUseID") in self.answers:
            record["attachment"] = {_WITHHELD: str(attachment.get("type"))}
            return True
        return bool(results)

    def _note_outputs(self, value: object) -> None:
        for text in _texts(value):
            self.outputs.update(_OUTPUT.findall(text))


class _Choice(msgspec.Struct, gc=False):
    """What leaves of a record, None if nothing; `stays` is its type if its content stays here."""

    record: Json | None
    stays: str = ""


def _in_place(record: Json, name: str) -> _Choice:
    """A record whose content stays here: it keeps its place in the chain, or is left out."""
    if not isinstance(record.get("uuid"), str):
        return _Choice(None, name)
    kept = {key: value for key, value in record.items() if key in tables.CHAIN_KEYS}
    content = {_WITHHELD: name}
    if record.get("type") == "attachment":
        return _Choice({**kept, "attachment": content}, name)
    return _Choice({**kept, **content}, name)


def _of_project(files: object, cwd: object) -> list[Json]:
    """The instructions that lie in the working directory or below it.

    Claude Code calls those in the directories above it the project's too, up to the root of the
    disk, and those that a project's file includes from anywhere.
    """
    found = []
    for each in files if isinstance(files, list) else ():
        if isinstance(each, dict) and each.get("type") == tables.PROJECT:
            path = each.get("path")
            if isinstance(path, str) and isinstance(cwd, str) and cwd and _is_below(path, cwd):
                found.append({key: each[key] for key in ("path", "type", "content") if key in each})
    return found


def _is_below(path: str, directory: str) -> bool:
    path, directory = os.path.normpath(path), os.path.normpath(directory)
    return path.startswith(directory.rstrip("/\\") + ("\\" if "\\" in directory else "/"))


def _is_known(name: str) -> bool:
    return name in tables.STAY or name in tables.RECORDS or name in tables.ATTACHMENTS


def _type_of(record: Json) -> str:
    name = _text(record.get("type")) or _ODD_TYPE
    behind: object = None
    if name == "system":
        behind = record.get("subtype")
    elif name == "progress" and isinstance(record.get("data"), dict):
        behind = record["data"].get("type")
    if behind is None:
        return name
    return f"{name}/{_text(behind) or _ODD_TYPE}"


def _text(value: object) -> str:
    """A type or an id, which are short words; "" for anything else."""
    return value if isinstance(value, str) and _TYPE.fullmatch(value) else ""


def _parsed(line: bytes) -> Json | None:
    """The object in a line of JSON; None if the line holds none."""
    try:
        value = json.loads(line.removeprefix(_BOM).decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _line(record: Json, before: bytes) -> bytes:
    end = b"\n" if before.endswith(b"\n") else b""
    try:
        return _plain(record) + end
    except (msgspec.MsgspecError, ValueError, UnicodeError):
        return json.dumps(record, separators=(",", ":")).encode() + end  # half an emoji


def _lines(block: bytes) -> list[bytes]:
    """Lines by line feed alone: `splitlines` also ends a line at a carriage return."""
    parts = block.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _objects(value: object, kind: str) -> list[Json]:
    """All objects of a type, at any depth."""
    return [each for each in _with_key(value, "type") if each["type"] == kind]


def _with_key(value: object, key: str) -> Iterator[Json]:
    """All objects that have a key, at any depth."""
    if isinstance(value, dict):
        if key in value:
            yield value
        for each in list(value.values()):
            yield from _with_key(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _with_key(each, key)


def _texts(value: object) -> Iterator[str]:
    """All texts in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
