"""Sessions as an agent wrote them on this machine, and how far each file was read."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import FileKind, kind_of

TRANSCRIPT = "transcript.jsonl"


@dataclass(frozen=True)
class Stat:
    """What tells without reading whether a file is still the one we know."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stat":
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


class _Stored(BaseModel):
    """Base of what work.db keeps as JSON."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The value that a JSON text of ours describes.

        Raises:
            pydantic.ValidationError: the text does not describe one.
        """
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """The value as JSON on one line."""
        return self.model_dump_json()


class Position(_Stored):
    """How far a file was read: `offset` bytes, all of them whole lines.

    `print` is a hash over the file's first bytes and the last ones before `offset`. A rewrite
    that keeps the inode and both is not noticed if the file also grew, to just where they match.
    """

    size: int
    mtime_ns: int
    inode: int
    offset: int
    fingerprint: str

    def same(self, now: Stat) -> bool:
        """Whether nothing happened to the file since."""
        return (self.size, self.mtime_ns, self.inode) == (now.size, now.mtime_ns, now.inode)


class ReadFile(_Stored):
    """What the records of one file told so far, and where to go on."""

    path: str
    position: Position
    facts: Facts


class PackedFile(_Stored):
    """Where packaging one file goes on.

    The first `sealed` chunks of its entry never change; after them it goes on `skip` redacted
    bytes into the line that begins at raw byte `line`. `position` is how far it was read, and
    `cuts` what was redacted up to there.
    """

    position: Position
    sealed: int = 0
    line: int = 0
    skip: int = 0
    cuts: dict[str, int] = {}
    waits: bool = False


class PackedItem(_Stored):
    """What was packaged of one session into one channel, and with which redactor.

    `running` is whether the agent had it open; None if it never said so.
    """

    folder: str
    item: str
    session: str
    revision: int
    redactor: str
    files: dict[str, PackedFile]
    running: bool | None = None


def is_lines(name: str) -> bool:
    """Whether a file of an item so named holds one record a line."""
    return name.endswith(".jsonl")


@dataclass(frozen=True)
class SourceFile:
    """A file of a session: `name` inside the item, and where it lies now."""

    name: str
    path: Path
    stat: Stat

    @property
    def is_lines(self) -> bool:
        """Whether it grows by whole lines, one record each."""
        return is_lines(self.name)

    @property
    def kind(self) -> FileKind:
        """What it is, by its name."""
        return kind_of(self.name)

    @property
    def tells(self) -> bool:
        """Whether it is a transcript, whose records tell of the session."""
        return self.kind in {FileKind.TRANSCRIPT, FileKind.SUBAGENT}


@dataclass(frozen=True)
class SourceSession:
    """A session found on this machine; `files` has the transcript first.

    `closed` are directories of it that we may not read: what is in them belongs to it too.
    `running` if the agent says that it has the session open. One that is only packaged anew, and
    not read from its source, has no files; `touched_ns` is its time then.
    """

    agent: str
    session_id: str
    directory: Path
    files: tuple[SourceFile, ...]
    running: bool = False
    touched_ns: int = 0
    closed: tuple[Path, ...] = ()

    @property
    def transcript(self) -> SourceFile:
        return self.files[0]

    @property
    def changed_ns(self) -> int:
        """When the newest of its files was written, Unix nanoseconds."""
        return max((f.stat.mtime_ns for f in self.files), default=self.touched_ns)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(f.stat.size for f in self.files)
