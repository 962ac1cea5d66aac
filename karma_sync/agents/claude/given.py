"""Cuts text that karma-sync gave the agent from a transcript, where the marks of frames are lost.

`| grep` drops the marks, a part of a file has none, and a background command writes to a file that
the agent reads later. So a call of a reading command is remembered with the names of the files and
background tasks to which its output goes. The results of calls that name one of those are taken
out too, and what these write to is remembered in turn.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from karma_sync.domain.session.frame import GIVEN, files_written, is_marked, reads_karma_sync

WITHHELD = "withheld"

_OWN_NAME = re.compile(rb"karma[-_]sync")
_SAVED = re.compile(r"tool-results[/\\]+([^\s\"'\\/<>]+)")
_BACKGROUND = re.compile(r"\bwith ID: ([\w-]{2,64})|[/\\](([\w-]{2,64})\.output)\b")
_TYPED = re.compile(r"<bash-input>(.*?)(?:</bash-input>|\Z)", re.DOTALL)
_PRINTED = ("<bash-stdout>", "<bash-stderr>")
_NOTE = "<task-notification>"
# The agent writes these by itself: a name in them does not show what the call returns.
_OWN_WORDS = frozenset(
    ("content", "description", "edits", "new_source", "new_string", "old_string", "prompt")
)
_FILE_KEYS = ("file_path", "notebook_path", "filePath")
_OF_POSTED = frozenset(("type", "sessionId", "agentId", "hash", "id", "timestamp"))
_MCP = "mcpMeta"  # the other data that a tool of an MCP server gave besides its text
_MOST_NAME = 255  # the longest name of a file

Json = dict[str, Any]


class GivenTexts:
    """Follows one transcript; `answers` and `names` are those of `RecordChooser`."""

    def __init__(self, answers: Mapping[str, bool], names: Iterable[str]) -> None:
        self.answers = dict(answers)
        self.names: set[str] = set()
        self._needles: dict[str, bytes] = {}  # the ids and names, as they stand in a line
        self._named: re.Pattern[str] | None = None
        self._listed: re.Pattern[str] | None = None
        for call in answers:
            self._look_for(call)
        for name in names:
            self._note(name)

    def may_be_in(self, block: bytes) -> bool:
        """Whether `take_out` has to look at a block; a quick look."""
        return _OWN_NAME.search(block) is not None or any(
            needle in block for needle in self._needles.values()
        )

    def names_call(self, line: bytes) -> bool:
        """Whether a line that holds no record names one of the calls."""
        return any(self._needles[call] in line for call in self.answers)

    def lists(self, text: str) -> bool:
        """Whether a text has lines of one of the files, as `grep` prints those of many."""
        return self._lists([text])

    def take_out(self, record: Json) -> bool:
        """Note the calls in a record, and put `GIVEN` in place of their results; True if any."""
        self._note_calls(record)
        self._note_backups(record)
        changed = self._take_results(record)
        if self._take_attachment(record) or self._take_progress(record):
            changed = True
        if self._take_posted(record):
            changed = True
        return self._take_message(record) or changed

    def _note_calls(self, record: Json) -> None:
        for call in _objects(record, "tool_use"):
            name, given = call.get("id"), call.get("input")
            if not isinstance(name, str) or name in self.answers:
                continue
            asks = any(map(reads_karma_sync, _texts(given)))
            if asks or self._is_named(_texts(given, _OWN_WORDS)):
                self._begin(name, given)
                if asks:
                    self._note_files(given)  # a script

    def _begin(self, name: str, given: object) -> None:
        self.answers[name] = False
        self._look_for(name)
        for text in _texts(given, _OWN_WORDS):
            for file in files_written(text):
                self._note(file)

    def _take_results(self, record: Json) -> bool:
        if _is_served(record):
            self._note_served(record)
        found = False
        for part in _objects(record, "tool_result"):
            if part.get("tool_use_id") in self.answers:
                self.answers[part["tool_use_id"]] = True
            elif not self._lists(_texts(part.get("content"))):
                if any(map(is_marked, _texts(part))):
                    self._note_places(part)
                continue
            self._note_places(part)
            part["content"] = GIVEN
            found = True
        for each in _with_key(record, _MCP) if found else ():
            del each[_MCP]
        return self._take_used(record, found) or found

    def _note_served(self, record: Json) -> None:
        """Count the results of our MCP server with those of our commands."""
        for part in _objects(record, "tool_result"):
            call = part.get("tool_use_id")
            if isinstance(call, str) and call not in self.answers:
                self._begin(call, None)

    def _take_used(self, record: Json, found: bool) -> bool:
        """Replace the copies of a result that the agent's program keeps in the same record.

        `found` means that text was cut from the result itself. Return whether a copy was replaced.
        """
        taken = False
        for each in _with_key(record, "toolUseResult"):
            used = each["toolUseResult"]
            # the lines of a difference are texts of their own, so cutting the frame is not enough
            marked = any(map(is_marked, _texts(used)))
            is_file = isinstance(used, dict) and ("structuredPatch" in used or "file" in used)
            if marked:
                self._note_files(used)
                self._note_places(used)
            if found or (marked and is_file) or self._lists(_texts(used)):
                self._note_places(used)
                each["toolUseResult"] = GIVEN
                taken = True
        return taken

    def _take_progress(self, record: Json) -> bool:
        about = {record.get("parentToolUseID"), record.get("toolUseID")} & self.answers.keys()
        data = record.get("data")
        if not about or record.get("type") != "progress" or not isinstance(data, dict):
            return False
        record["data"] = {"type": data.get("type"), WITHHELD: GIVEN}
        return True

    def _take_attachment(self, record: Json) -> bool:
        """Cut hooks and notes about a call of ours, and files that hold its output."""
        attachment = record.get("attachment")
        if not isinstance(attachment, dict):
            return False
        command, prompt = attachment.get("command"), attachment.get("prompt")
        places = (attachment.get("filename"), attachment.get("taskId"), command)
        if (
            attachment.get("toolUseID") in self.answers
            or (isinstance(command, str) and reads_karma_sync(command))
            or self._is_named(each for each in places if isinstance(each, str))
            or (isinstance(prompt, str) and _NOTE in prompt and self._is_named([prompt]))
        ):
            record["attachment"] = {WITHHELD: str(attachment.get("type"))}
            for key in [key for key in record if key.startswith("rendered")]:
                del record[key]  # the same as it was posted
            return True
        return False

    def _take_posted(self, record: Json) -> bool:
        """Cut a record of what was posted to the API if it names a file that was given.

        After a compaction, the agent posts files that it read. Return whether the record was cut.
        """
        if not str(record.get("type")).startswith("api-request") or not self._is_named(
            _texts(record)
        ):
            return False
        for key in [key for key in record if key not in _OF_POSTED]:
            del record[key]
        record[WITHHELD] = GIVEN
        return True

    def _take_message(self, record: Json) -> bool:
        """Commands that the person typed after `!`, and notes about background tasks."""
        message = record.get("message")
        text = message.get("content") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(text, str):
            return False
        place, before = record.get("uuid"), record.get("parentUuid")
        typed = _TYPED.match(text)
        if typed and isinstance(place, str) and place not in self.answers:
            if reads_karma_sync(typed[1]) or self._is_named([typed[1]]):
                self._begin(place, {"command": typed[1]})
            return False
        if text.startswith(_PRINTED) and isinstance(before, str) and before in self.answers:
            self.answers[before] = True
            self._note_places(text)
            message["content"] = GIVEN
            return True
        if _NOTE in text and self._is_named([text]):
            message["content"] = GIVEN
            return True
        return False

    def _note_files(self, value: object) -> None:
        """Note the files that a call names as those it reads or writes."""
        for key in _FILE_KEYS:
            for each in _with_key(value, key):
                if isinstance(each[key], str):
                    self._note(re.split(r"[/\\]", each[key])[-1])

    def _note_backups(self, record: Json) -> None:
        """Note the copies that the agent made of such files before it edited them."""
        if not str(record.get("type")).startswith("file-history-"):
            return
        for each in _with_key(record, "trackedFileBackups"):
            tracked = each["trackedFileBackups"]
            for path, backup in tracked.items() if isinstance(tracked, dict) else ():
                if self._is_named([path]):
                    self._note_backup(backup)
        if record.get("type") == "file-history-delta" and self._is_named(_texts(record)):
            self._note_backup(record)

    def _note_backup(self, value: object) -> None:
        for each in _with_key(value, "backupFileName"):
            if isinstance(each["backupFileName"], str):
                self._note(each["backupFileName"])

    def _note_places(self, value: object) -> None:
        """Note the place of the output that a result names."""
        for text in _texts(value):
            for name in _SAVED.findall(text):
                self._note(name)
            for found in _BACKGROUND.findall(text):
                for name in found:
                    self._note(name)
        for each in _with_key(value, "backgroundTaskId"):
            if isinstance(each["backgroundTaskId"], str):
                self._note(each["backgroundTaskId"])

    def _note(self, name: str) -> None:
        if name in self.names or not name or len(name) > _MOST_NAME:
            return
        self.names.add(name)
        self._look_for(name)
        self._named = self._listed = None

    def _look_for(self, text: str) -> None:
        try:
            self._needles[text] = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            self._needles[text] = json.dumps(text)[1:-1].encode()  # half an emoji

    def _is_named(self, texts: Iterable[str]) -> bool:
        if self._named is None:
            self._named = re.compile(rf"(?<![\w.-])(?:{self._any_name()})(?![\w-]|\.\w)")
        return bool(self.names) and any(map(self._named.search, texts))

    def _lists(self, texts: Iterable[str]) -> bool:
        if self._listed is None:
            name = rf"(?<![\w.-])(?:{self._any_name()})"
            self._listed = re.compile(rf"{name}(?:[:-]|\r?\n)\d+[:-]|{name}:(?=\S)")
        return bool(self.names) and any(map(self._listed.search, texts))

    def _any_name(self) -> str:
        return "|".join(map(re.escape, sorted(self.names)))


def _is_served(record: Json) -> bool:
    """Whether a record has an answer of our MCP server, whatever name the server was given.

    Beside the text it has values, such as ids, that no mark stands around.
    """
    return any(True for _ in _with_key(record, _MCP)) and any(map(is_marked, _texts(record)))


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


def _texts(value: object, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """All texts in a value, at any depth, but for those under the keys `without`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in without:
                yield from _texts(each, without)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, without)
