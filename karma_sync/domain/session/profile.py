"""The kinds of items and files, and which files of a session leave: by kind and profile."""

import re
from enum import StrEnum


class ItemKind(StrEnum):
    """The kinds of items: one session, or the observations of one source."""

    SESSION = "session"
    OBSERVATIONS = "observations"


class FileKind(StrEnum):
    """The kinds of files in a session (docs/agent-files.md, "Side files")."""

    TRANSCRIPT = "transcript"
    COPY = "copy"  # another copy of the transcript that says something else
    TITLE = "title"  # the name that a person gave the session
    SUBAGENT = "subagent"  # a subagent's transcript
    SUBAGENT_NOTE = "subagent-note"  # describes a subagent
    TOOL_RESULT = "tool-result"
    WORKFLOW = "workflow"
    TODO = "todo"
    TASK = "task"
    PLAN = "plan"
    FILE_HISTORY = "file-history"  # whole files of source code, from before an edit
    DEBUG = "debug"  # a log; it may hold environment variables
    OBSERVATIONS = "observations"  # the one file of an observations item


class Profile(StrEnum):
    """The profiles: which kinds of files a member sends of each session; `takes` defines them."""

    CONVERSATION = "conversation"
    STANDARD = "standard"
    FULL = "full"

    @property
    def rank(self) -> int:
        """The place among the profiles, the one that sends least first."""
        return tuple(Profile).index(self)


TRANSCRIPT = "transcript.jsonl"
TITLE = "custom-title.json"
# Files of an agent's records; which of these leave is decided record by record.
TRANSCRIPTS = frozenset({FileKind.TRANSCRIPT, FileKind.COPY, FileKind.SUBAGENT})
# Files that the agent writes and that may hold what karma-sync gave it.
MAY_BE_GIVEN = frozenset({FileKind.TOOL_RESULT, FileKind.FILE_HISTORY})
_AGENT_FILE = re.compile(r"agent-.*\.jsonl")
_PRIVATE = frozenset({FileKind.FILE_HISTORY, FileKind.DEBUG})
_TOP = {
    TRANSCRIPT: FileKind.TRANSCRIPT,
    TITLE: FileKind.TITLE,
    "observations.jsonl": FileKind.OBSERVATIONS,
}
_FOLDERS = {
    "copies": FileKind.COPY,
    "tool-results": FileKind.TOOL_RESULT,
    "workflows": FileKind.WORKFLOW,
    "todos": FileKind.TODO,
    "tasks": FileKind.TASK,
    "plans": FileKind.PLAN,
    "file-history": FileKind.FILE_HISTORY,
    "debug": FileKind.DEBUG,
}


def kind_of(name: str) -> FileKind:
    """The kind of a file, by its name inside an item.

    Raises:
        KeyError: files of an item have other names.
    """
    folder, slash, rest = name.partition("/")
    if not slash:
        return _TOP[name]
    if folder == "subagents":
        # a workflow's journal.jsonl lies among its subagents and is none
        is_agent = _AGENT_FILE.fullmatch(rest.rpartition("/")[2])
        return FileKind.SUBAGENT if is_agent else FileKind.SUBAGENT_NOTE
    return _FOLDERS[folder]


def takes(profile: Profile, kind: FileKind) -> bool:
    """Whether this profile sends files of this kind."""
    match profile:
        case Profile.CONVERSATION:
            return kind in TRANSCRIPTS or kind is FileKind.OBSERVATIONS
        case Profile.STANDARD:
            return kind not in _PRIVATE
        case Profile.FULL:
            return True
