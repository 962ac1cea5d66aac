"""Describes sessions as agents wrote them on this machine, and how far each file was read.

A source (`agents/`) finds sessions and reads their facts; the packager packages them. `ReadFile`
and `PackedItem` are stored in work.db, so that both go on after a restart.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import TRANSCRIPTS, FileKind, kind_of


@dataclass(frozen=True)
class Stat:
    """Size, time and inode of a file: they tell without reading whether the file changed."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stat":
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def values(self) -> tuple[int, int, int]:
        """All three, as they are stored."""
        return self.size, self.mtime_ns, self.inode


class _Stored(BaseModel):
    """Base of the values that work.db keeps as JSON."""

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
    """The position up to which a file was read: `offset` bytes, all of them whole lines.

    `size`, `mtime_ns` (Unix nanoseconds) and `inode` are the file's when reading began.
    `fingerprint` is a hash over the file's first bytes and the last bytes before `offset`. A file
    that was rewritten in place is mistaken for one that grew only if it is longer than before and
    has the same bytes in both places.
    """

    size: int
    mtime_ns: int
    inode: int
    offset: int
    fingerprint: str

    def is_current(self, now: Stat) -> bool:
        """Whether the file has not changed since it was read."""
        return (self.size, self.mtime_ns, self.inode) == (now.size, now.mtime_ns, now.inode)


class ReadFile(_Stored):
    """The facts from the records of one file so far, and the position where reading goes on."""

    path: str
    position: Position
    facts: Facts


class PackedFile(_Stored):
    """The state from which packaging goes on in one file.

    The first `sealed` chunks of the file's entry never change. Packaging goes on after them: with
    the line that begins at raw byte `line`, after its first `skip` redacted bytes. `position` is
    how far the file was read; `cuts` counts the redactions up to there, by rule. `waits` is true
    if the file ends with an incomplete line, which is not packaged before the file is quiet.

    `records` counts the lines that leave, `withheld` the records and bytes that stay here, by type;
    `unknown` are the types among them that were not known. `answers` and `outputs` are those of
    `RecordChooser`.
    """

    position: Position
    sealed: int = 0
    line: int = 0
    skip: int = 0
    cuts: dict[str, int] = {}
    waits: bool = False
    records: int = 0
    withheld: dict[str, tuple[int, int]] = {}
    unknown: tuple[str, ...] = ()
    answers: dict[str, bool] = {}
    outputs: tuple[str, ...] = ()


class PackedItem(_Stored):
    """The state of one session that was packaged into one channel.

    `version` is that of `Outgoing`. `running` tells whether the agent had the session open; None if
    the agent does not report that. `held` has the size, time and inode of each file that stays here
    because it holds what karma-sync gave the agent.
    """

    folder: str
    item: str
    session: str
    revision: int
    version: str
    files: dict[str, PackedFile]
    running: bool | None = None
    held: dict[str, tuple[int, int, int]] = {}


def is_lines(name: str) -> bool:
    """Whether a file with this name inside an item holds one record per line."""
    return name.endswith(".jsonl")


@dataclass(frozen=True)
class SourceFile:
    """A file of a session: its name inside the item, its path, its state when it was found."""

    name: str
    path: Path
    stat: Stat

    @property
    def is_lines(self) -> bool:
        """Whether the file holds one record per line, and grows by whole lines."""
        return is_lines(self.name)

    @property
    def kind(self) -> FileKind:
        """The file's kind, by its name."""
        return kind_of(self.name)

    @property
    def is_transcript(self) -> bool:
        """Whether it is a transcript, of the session or a subagent; its records give facts."""
        return self.kind in TRANSCRIPTS


@dataclass(frozen=True)
class SourceSession:
    """A session that was found on this machine.

    - `files`: the transcript first.
    - `running`: whether the agent has the session open; None if it does not report that.
    - `closed`: directories of the session that we may not read, although their files belong to it.
    - `left_out`: other copies of the transcript that say nothing else; only their names count.
    - `touched_ns`: the session's time (Unix nanoseconds) if it has no files, because it is
      packaged again without its source.
    """

    agent: str
    session_id: str
    directory: Path
    files: tuple[SourceFile, ...]
    running: bool | None = False
    touched_ns: int = 0
    closed: tuple[Path, ...] = ()
    left_out: tuple[SourceFile, ...] = ()

    @property
    def place(self) -> Path:
        """The agent's path of the transcript; this may be a link to the file that is read."""
        return self.directory / f"{self.session_id}.jsonl"

    @property
    def transcript(self) -> SourceFile:
        return self.files[0]

    @property
    def changed_ns(self) -> int:
        """The latest time at which one of its files was written, in Unix nanoseconds."""
        return max((f.stat.mtime_ns for f in self.files), default=self.touched_ns)

    @property
    def size(self) -> int:
        """The size of all its files, in bytes."""
        return sum(f.stat.size for f in self.files)
