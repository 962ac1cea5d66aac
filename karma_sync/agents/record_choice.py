"""The interface with which an agent's adapter chooses the records of a transcript that leave."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

NOT_JSON = "no JSON object"  # stands in place of the type of a line that holds none


@dataclass
class WithheldRecords:
    """How many records stay here, and their size in bytes, by type.

    `unknown` are the types that this version does not know.
    """

    types: dict[str, tuple[int, int]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def count(self, name: str, size: int, known: bool) -> None:
        """Count one record."""
        records, total = self.types.get(name, (0, 0))
        self.types[name] = records + 1, total + size
        if not known:
            self.unknown.add(name)

    def add(self, other: "WithheldRecords") -> None:
        """Count the records of another file, or of more lines."""
        for name, (records, size) in other.types.items():
            before, total = self.types.get(name, (0, 0))
            self.types[name] = before + records, total + size
        self.unknown |= other.unknown

    @property
    def known_types(self) -> dict[str, tuple[int, int]]:
        """The types of records that this version knows, with their counts."""
        return {name: each for name, each in self.types.items() if name not in self.unknown}

    @property
    def unknown_types(self) -> dict[str, tuple[int, int]]:
        """The types of records that this version does not know, with their counts."""
        return {name: self.types[name] for name in self.unknown}


@dataclass(frozen=True)
class Chosen:
    """The records of a block of whole lines that leave, before redaction.

    `starts` has the offset in the block at which each line of `data` began; None if all lines
    leave as they are. `records` counts the lines in `data`.
    """

    data: bytes
    starts: Sequence[int] | None
    records: int
    withheld: WithheldRecords


class RecordChooser(Protocol):
    """Chooses the records of one transcript that leave; lines come in their order.

    `answers` are the calls of karma-sync's reading commands so far, by id, and whether their
    result was seen. `outputs` are the names of files and background tasks that hold such a result,
    as far as the transcript shows.
    """

    answers: dict[str, bool]
    outputs: set[str]

    def choose(self, block: bytes) -> Chosen:
        """The records of whole lines that leave; the last line may lack its line end."""


class RecordChoice(Protocol):
    """Chooses records of one agent's transcripts; `version` changes with its rules."""

    @property
    def version(self) -> str: ...

    def is_given(self, text: str, outputs: Iterable[str]) -> bool:
        """Whether a text file shows lines of the files `outputs`; see `RecordChooser`."""

    def chooser(
        self, answers: Mapping[str, bool] = {}, outputs: Iterable[str] = ()
    ) -> RecordChooser:
        """A chooser that goes on after earlier lines of the same transcript."""
