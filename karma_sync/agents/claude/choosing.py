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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from karma_sync.agents.claude import record_types as tables
from karma_sync.agents.claude.given import WITHHELD, GivenTexts
from karma_sync.agents.record_choice import NOT_JSON, Chosen, WithheldRecords
from karma_sync.domain.session.profile import Profile

_TYPE = re.compile(r"[\w./-]{1,64}")
_ODD_TYPE = "an unusual type"
_BOM = b"\xef\xbb\xbf"

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
_OWN_TEXTS = tables.SKILL_BEGINS.encode(), tables.SHOWN_BELOW.encode()
_REWRITTEN = (
    "attachment",
    "progress/agent_progress",
    "system/api_error",
)  # their content is looked at too


class ClaudeRecords:
    """Chooses records of Claude Code for a profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._records = frozenset(
            name for name, least in tables.RECORDS.items() if least.rank <= profile.rank
        )
        self._attachments = {
            name: keys
            for name, (least, keys) in tables.ATTACHMENTS.items()
            if least.rank <= profile.rank
        }
        chosen = sorted(self._records), sorted((n, sorted(k)) for n, k in self._attachments.items())
        keys = sorted(tables.RECORD_KEYS), sorted(tables.CHAIN_KEYS)
        text = repr((tables.VERSION, profile, chosen, keys))
        self._version = hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """A hash over the tables and the profile: 16 hex digits."""
        return self._version

    def is_given(self, text: str, outputs: Iterable[str]) -> bool:
        """Whether a text file shows lines of the files `outputs`."""
        return GivenTexts({}, outputs).lists(text)

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
        self._given = GivenTexts(answers, outputs)
        self.answers = self._given.answers
        self.outputs = self._given.names

    def choose(self, block: bytes) -> Chosen:
        """The parts of whole lines that leave; the last line may lack its line end."""
        withheld = WithheldRecords()
        lines = _lines(block)
        kept: list[bytes] = []
        starts: list[int] = []
        at, same, blank = 0, True, 0
        asks = self._given.may_be_in(block)
        fast = self._everything or not _has_own_text(block)
        for line in lines:
            out = self._choose(line, asks, fast or not _has_own_text(line), withheld)
            same = same and out is line
            if out:
                kept.append(out)
                starts.append(at)
                blank += out.isspace()
            at += len(line)
        if same:
            return Chosen(block, None, len(kept) - blank, withheld)
        return Chosen(b"".join(kept), starts, len(kept) - blank, withheld)

    def _choose(self, line: bytes, asks: bool, fast: bool, withheld: WithheldRecords) -> bytes:
        """The line itself, another one in its place, or b"" if it stays here."""
        about_us = asks and self._given.may_be_in(line)
        if not about_us and (self._everything or fast and self._is_fast(line)) or line.isspace():
            return line
        record = _parsed(line)
        if record is None:
            if self._everything and not self._given.names_call(line):
                return line
            withheld.count(NOT_JSON, len(line), known=False)
            return b""
        changed = about_us and self._given.take_out(record)
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
        """The part of a record that leaves."""
        name = _type_of(record)
        if name == "attachment":
            return self._attachment(record)
        if name not in self._records:
            return _in_place(record, name)
        if name == "progress/agent_progress":
            return _Choice({**record, "data": self._nested(record["data"])})
        if name == "system/api_error":
            return _Choice(_without(record, tables.ERROR_KEYS))
        if name == "user" and record.get("isMeta"):
            return _without_own_texts(record)
        return _Choice(record)

    def _attachment(self, record: Json) -> "_Choice":
        attachment = record.get("attachment")
        content = attachment if isinstance(attachment, dict) else {}
        name = _text(content.get("type")) or _text(content.get(WITHHELD)) or "attachment"
        keys = self._attachments.get(name)
        if keys is None or not self._is_ours_to_send(name, content, record):
            return _in_place(record, name)
        kept = {key: value for key, value in content.items() if key in keys or key == "type"}
        if name in tables.INSTRUCTIONS and "files" in kept:
            kept["files"] = _of_project(kept["files"], record)
        whole = {key: value for key, value in record.items() if key in tables.RECORD_KEYS}
        return _Choice({**whole, "attachment": kept})

    def _is_ours_to_send(self, name: str, content: Json, record: Json) -> bool:
        """Whether an attachment with instructions holds any of the project's own."""
        key = tables.INSTRUCTIONS.get(name)
        if key is None:
            return True
        held = content.get(key)
        return bool(_of_project(held if isinstance(held, list) else [held], record))

    def _nested(self, value: object) -> object:
        """The data of a progress record; records nested in it pass the same tables."""
        if isinstance(value, list):
            return [chosen for each in value if (chosen := self._nested(each)) is not None]
        if not isinstance(value, dict):
            return value
        if "uuid" in value and "type" in value:
            return self._chosen(value).record
        return {key: self._nested(each) for key, each in value.items()}


class _Choice(msgspec.Struct, gc=False):
    """The part of a record that leaves, None if nothing does.

    `stays` is the type of the record if its content stays here.
    """

    record: Json | None
    stays: str = ""


def _in_place(record: Json, name: str) -> _Choice:
    """A record whose content stays here: it keeps its place in the chain, or is left out."""
    if not isinstance(record.get("uuid"), str):
        return _Choice(None, name)
    kept = {key: value for key, value in record.items() if key in tables.CHAIN_KEYS}
    content = {WITHHELD: name}
    if record.get("type") == "attachment":
        return _Choice({**kept, "attachment": content}, name)
    return _Choice({**kept, **content}, name)


def _of_project(files: object, record: Json) -> list[Json]:
    """The instructions that lie in the working directory of the record or below it.

    Claude Code calls those in the directories above it the project's too, up to the root of the
    disk, and those that a project's file includes from anywhere.
    """
    return [
        {key: each[key] for key in ("path", "type", "content") if key in each}
        for each in (files if isinstance(files, list) else ())
        if isinstance(each, dict)
        and each.get("type") == tables.PROJECT
        and _is_in_project(each.get("path"), record)
    ]


def _has_own_text(content: bytes) -> bool:
    """Whether there may be a text for `_without_own_texts`; a quick look."""
    return any(text in content for text in _OWN_TEXTS)


def _without_own_texts(record: Json) -> _Choice:
    """A record with `isMeta` without skills outside the project, and without instructions."""
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [each.get("text") for each in parts if isinstance(each, dict)]
    for text in texts:
        if not isinstance(text, str):
            continue
        place = text.removeprefix(tables.SKILL_BEGINS).partition("\n")[0]
        if text.startswith(tables.SKILL_BEGINS) and not _is_in_project(place, record):
            kept, stays = tables.SKILL_STAYS, "skill"
        elif tables.SHOWN_BELOW in text:
            kept = text.partition(tables.SHOWN_BELOW)[0] + tables.SHOWN_STAY
            stays = "instructions"
        else:
            continue
        return _Choice({**record, "message": {**record["message"], "content": kept}}, stays)
    return _Choice(record)


def _is_in_project(path: object, record: Json) -> bool:
    """Whether a path is in the working directory, as far as that belongs to a project.

    The agent may have gone to a directory above the project. So the home directory, those above
    it, and a directory outside any repository (the branch is then empty or `HEAD`) are no project.
    """
    cwd, branch = record.get("cwd"), record.get("gitBranch")
    if not isinstance(path, str) or not isinstance(cwd, str) or branch in (None, "", "HEAD"):
        return False
    return bool(cwd) and _is_below(path, cwd) and not _is_below(str(Path.home() / "x"), cwd)


def _is_below(path: str, directory: str) -> bool:
    path, directory = os.path.normpath(path), os.path.normpath(directory)
    return path.startswith(directory.rstrip("/\\") + ("\\" if "\\" in directory else "/"))


def _without(value: Any, keys: frozenset[str]) -> Any:
    """A value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: _without(each, keys) for key, each in value.items() if key not in keys}
    return [_without(each, keys) for each in value] if isinstance(value, list) else value


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
