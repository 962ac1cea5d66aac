"""A passage: the texts of one record of a session that people search for.

An agent's adapter makes passages from the lines of that agent's files. The passage of a line
depends on this line alone, so that a grown file is indexed from where it ended, and text that was
indexed once can be taken out again.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from karma_sync.domain.session.activity import Activity


class Texts(NamedTuple):
    """The texts of a passage by their kinds; the names are those of the index's columns.

    `tool` is the name of a tool that was called, `input` what it was given, `path` the files that
    the call names, `result` what a tool gave back.
    """

    title: str = ""
    prompt: str = ""
    answer: str = ""
    thinking: str = ""
    tool: str = ""
    input: str = ""
    path: str = ""
    result: str = ""


class Passage(NamedTuple):
    """The texts of one line of a file, and the activity that it shows.

    `at` and `size` are where the line lies, in bytes, without its line end. `time` is the record's
    time in Unix seconds, 0 if it has none. A line without content has no texts.
    """

    at: int
    size: int
    time: int
    texts: Texts
    activity: Activity = Activity()


class Reading(NamedTuple):
    """One record as a reader gets it: its id ("" if it has none), its time, its texts in full."""

    message: str
    time: int
    texts: Texts


class Extractor(Protocol):
    """An adapter that finds the passages in one agent's files.

    `version` changes whenever a line may give other passages than before.
    """

    @property
    def version(self) -> str: ...

    def reads(self, name: str) -> bool:
        """Whether a file with this name inside an item holds passages."""
        ...

    def passages(self, lines: bytes, at: int) -> Iterator[Passage]:
        """The passages of lines that begin `at` bytes after the beginning of their file."""
        ...

    def read(self, line: bytes) -> Reading | None:
        """One line in full, to show it or to search it; None if it holds no passage."""
        ...

    def name(self, line: bytes) -> str:
        """The id of the record in a line; "" if it has none."""
        ...


def passages_of(blocks: Iterable[bytes], extractor: Extractor) -> Iterator[Passage]:
    """All passages of a file, given in blocks of whole lines from its beginning."""
    at = 0
    for block in blocks:
        yield from extractor.passages(block, at)
        at += len(block)
