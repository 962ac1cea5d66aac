"""How much of a session leaves: a file's kind follows from its name, the profile says which go."""

from enum import StrEnum


class FileKind(StrEnum):
    """What a file of a session is (docs/agent-files.md, "Side files")."""

    TRANSCRIPT = "transcript"
    SUBAGENT = "subagent"  # a subagent's transcript
    SUBAGENT_NOTE = "subagent-note"  # what describes a subagent
    TOOL_RESULT = "tool-result"
    WORKFLOW = "workflow"
    TODO = "todo"
    TASK = "task"
    PLAN = "plan"
    FILE_HISTORY = "file-history"  # whole files of source code, as they were before an edit
    DEBUG = "debug"  # a log, with what stood in the environment


class Profile(StrEnum):
    """What a member sends of each session of a project."""

    CONVERSATION = "conversation"
    STANDARD = "standard"
    FULL = "full"


_TRANSCRIPTS = frozenset({FileKind.TRANSCRIPT, FileKind.SUBAGENT})
_PRIVATE = frozenset({FileKind.FILE_HISTORY, FileKind.DEBUG})
_FOLDERS = {
    "tool-results": FileKind.TOOL_RESULT,
    "workflows": FileKind.WORKFLOW,
    "todos": FileKind.TODO,
    "tasks": FileKind.TASK,
    "plans": FileKind.PLAN,
    "file-history": FileKind.FILE_HISTORY,
    "debug": FileKind.DEBUG,
}


def kind_of(name: str) -> FileKind:
    """What the file of this name inside an item is.

    Raises:
        KeyError: no file of an item is called so.
    """
    folder, slash, rest = name.partition("/")
    if not slash:
        return {"transcript.jsonl": FileKind.TRANSCRIPT}[name]
    if folder == "subagents":
        return FileKind.SUBAGENT if rest.endswith(".jsonl") else FileKind.SUBAGENT_NOTE
    return _FOLDERS[folder]


def takes(profile: Profile, kind: FileKind) -> bool:
    """Whether files of a kind leave with this profile."""
    match profile:
        case Profile.CONVERSATION:
            return kind in _TRANSCRIPTS
        case Profile.STANDARD:
            return kind not in _PRIVATE
        case Profile.FULL:
            return True
