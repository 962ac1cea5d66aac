"""A session as people read it: messages with what was said, which tools ran, and what they changed.

An agent's adapter makes it from that agent's records (`agents/claude/conversation.py`). The
terminal, exports, MCP and the web page all read this model. Its texts are a peer's; the adapter
makes them safe to show on a terminal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Who(StrEnum):
    """The writers of messages; the program writes marks."""

    USER = "user"
    ASSISTANT = "assistant"
    PROGRAM = "program"


class MarkKind(StrEnum):
    """The kinds of marks at a place in a session."""

    COMPACTION = "compaction"  # the agent goes on with a summary of what is above
    WITHHELD = "withheld"  # a record whose content stays with its author
    NOTE = "note"  # the program, not a person, wrote this
    UNREADABLE = "unreadable"  # a line that holds no record


@dataclass(frozen=True)
class Said:
    """A text, in Markdown."""

    text: str


@dataclass(frozen=True)
class Thought:
    """A thought of the model; "" if only its signature was kept."""

    text: str


@dataclass(frozen=True)
class Attached:
    """An image or a document: its media type and its size in bytes."""

    media: str
    size: int


@dataclass(frozen=True)
class Mark:
    """A note about the session at this place."""

    kind: MarkKind
    text: str


@dataclass(frozen=True)
class Change:
    """A change of one file: its path, and the lines of a unified diff without a header."""

    path: str
    lines: Sequence[str]

    @property
    def added(self) -> int:
        """The number of lines that were added."""
        return sum(line.startswith("+") for line in self.lines)

    @property
    def removed(self) -> int:
        """The number of lines that were removed."""
        return sum(line.startswith("-") for line in self.lines)


@dataclass(frozen=True)
class ToolCall:
    """A use of a tool, with its result if there is one.

    - `subject` is what it was used on: a path, a command, a pattern, on one line.
    - `outcome` is how it ended, in a few words; "" if nothing is known.
    - `result` is the text that the model got; None if there is none yet.
    - `changes` are the files that it changed; `path` is the file that it read or changed.
    - `agent` is the subagent that it started, by its id.
    """

    id: str
    name: str
    subject: str
    given: str
    outcome: str = ""
    failed: bool = False
    result: str | None = None
    attached: Sequence[Attached] = ()
    changes: Sequence[Change] = ()
    path: str = ""
    agent: str = ""

    @property
    def summary(self) -> str:
        """The call on one line: `Edit src/app.py +12 −3`, `Bash make test → exit 1`."""
        added = sum(change.added for change in self.changes)
        removed = sum(change.removed for change in self.changes)
        counts = f"+{added} −{removed}" if self.changes else ""
        outcome = f"→ {self.outcome}" if self.outcome else ""
        return " ".join(each for each in (self.name, self.subject, counts, outcome) if each)


Part = Said | Thought | Attached | Mark | ToolCall


@dataclass(frozen=True)
class Spent:
    """The tokens of one response: read afresh, written, and read from or put into the cache."""

    read: int = 0
    written: int = 0
    cached: int = 0
    stored: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.read + other.read,
            self.written + other.written,
            self.cached + other.cached,
            self.stored + other.stored,
        )


@dataclass(frozen=True)
class Message:
    """One message: a prompt, a response of the model, or a mark of the program.

    `ids` are those of its records, the first one's first; a record may have none. `when` is in UTC.
    `number` counts the prompts of people up to here. `at` is where its first record begins, in
    bytes from the first line that was read.
    """

    ids: Sequence[str]
    who: Who
    parts: Sequence[Part]
    when: datetime | None = None
    model: str = ""
    spent: Spent = Spent()
    number: int = 0
    at: int = 0

    @property
    def id(self) -> str:
        """The id of its first record; "" if none of them has one."""
        return self.ids[0] if self.ids else ""

    @property
    def text(self) -> str:
        """The text that its writer said in this message."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, Said))

    @property
    def calls(self) -> list[ToolCall]:
        """The tools that it used."""
        return [part for part in self.parts if isinstance(part, ToolCall)]


@dataclass
class FileChanges:
    """All changes of one file in a session, in order."""

    path: str
    changes: list[Change] = field(default_factory=list)

    @property
    def added(self) -> int:
        """The number of lines that were added, counted per change."""
        return sum(change.added for change in self.changes)

    @property
    def removed(self) -> int:
        """The number of lines that were removed, counted per change."""
        return sum(change.removed for change in self.changes)


def changes_by_file(messages: Iterable[Message]) -> list[FileChanges]:
    """The changes of a session, by file, in the order of the first change."""
    found: dict[str, FileChanges] = {}
    for message in messages:
        for change in (change for call in message.calls for change in call.changes):
            found.setdefault(change.path, FileChanges(change.path)).changes.append(change)
    return list(found.values())
