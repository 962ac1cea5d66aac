"""Reads the new content of one file of a session, and appends it to the session's pack."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from karma_sync.agents.claude.gathering import feed
from karma_sync.agents.claude.records import parse_record
from karma_sync.agents.growing_file import BLOCK_BYTES, continues, open_source, position
from karma_sync.archive.pack import (
    FRAME_BYTES,
    PackEntry,
    PackWriter,
    content_hash,
    entries,
    open_pack,
)
from karma_sync.archive.store import ArchivedFile
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import TITLE, FileKind, kind_of
from karma_sync.domain.session.source_files import ReadFile, SourceFile
from karma_sync.errors import KarmaError

# The agent replaces these as a matter of course: they tell a present state. Of all other files
# the versions that were replaced are kept.
_STATES = frozenset({FileKind.TODO, FileKind.TASK, FileKind.SUBAGENT_NOTE, FileKind.TITLE})
_TRANSCRIPTS = frozenset({FileKind.TRANSCRIPT, FileKind.COPY, FileKind.SUBAGENT})
_TITLE_BYTES = 1 << 16
BESIDE = "beside/"  # begins the names of files that no channel takes
# The number of replaced versions of a file that are kept: the first one and the newest ones.
MOST_VERSIONS = 16


class SourceUnreadable(KarmaError):
    """A file of a session cannot be read; the next pass tries again."""


class SourceVanished(SourceUnreadable):
    """A file of a session vanished, or another one lies in its place now."""


@dataclass(frozen=True)
class Taken:
    """The file as it is archived now.

    `replaced` is the version that it was before, if that is another one now; `left` tells that the
    file has more than was read.
    """

    file: ArchivedFile
    replaced: ArchivedFile | None = None
    left: bool = False


class Feeder:
    """Adds the whole lines of a growing transcript to its facts.

    `fed` counts the bytes whose lines were added. It becomes -1 after a line that is too long to
    be examined; then the facts stay as they are. Of the bytes that are added here the first `known`
    are among them already.
    """

    def __init__(self, facts: Facts, fed: int, known: int = 0) -> None:
        self.facts = facts
        self.fed = fed
        self._known = known
        self._begun: list[bytes] = []
        self._held = 0

    def add(self, piece: bytes) -> None:
        """Add the next bytes of the file."""
        if self.fed < 0:
            return
        if self._known:
            known = min(self._known, len(piece))
            self._known -= known
            piece = piece[known:]
        end = piece.rfind(b"\n") + 1
        if end:
            lines = b"".join([*self._begun, piece[:end]])
            feed(self.facts, lines)
            self.fed += len(lines)
            self._begun, self._held = [], 0
        self._begun.append(piece[end:])
        self._held += len(piece) - end
        if self._held > limits.LINE_BYTES:
            self._begun, self.fed = [], -1

    @property
    def is_ahead(self) -> bool:
        """Whether the facts are of more bytes than were added."""
        return self._known > 0


class FileTaker:
    """Appends new content of files to one session's pack; `before` is the pack's valid length.

    `read_ahead` gives what was read of a new file already.
    """

    def __init__(
        self,
        writer: PackWriter,
        read_ahead: Callable[[SourceFile], ReadFile | None] = lambda file: None,
    ) -> None:
        self._writer = writer
        self._read_ahead = read_ahead
        self._before = writer.length
        self.count = 0  # of the entries that were appended

    def take(self, file: SourceFile, path: str, known: ArchivedFile | None, most: int) -> Taken:
        """Archive new content of a file, at most `most` bytes; opens no file that has not changed.

        `path` is the file's path below the agent's directory, `known` its newest archived version.

        Raises:
            SourceUnreadable: the file vanished, or cannot be read.
            OSError: the pack cannot be written.
        """
        if known and known.read_to and known.read_to.is_current(file.stat) and known.path == path:
            return Taken(known)
        with _reading(file) as source:
            begun = self._begin(source, file, known)
            target = replace(begun or _next(file, known), path=path)
            if begun is None and known and known.size and not file.stat.size:
                # an emptied file has no facts: it does not become a version
                return Taken(replace(known, read_to=position(source, file.stat, 0)))
            taken = self._append(source, file, target, most)
        replaced = known if known and begun is None else None
        return replace(taken, replaced=replaced)

    def _begin(
        self, source: BinaryIO, file: SourceFile, known: ArchivedFile | None
    ) -> ArchivedFile | None:
        """The archived version that the file goes on from; None if it begins anew."""
        if known is None:
            return None
        position_kept = known.read_to and known.read_to.offset == known.size
        if position_kept and known.read_to and continues(source, known.read_to):
            return known
        is_same = file.stat.size >= known.size and self._holds_all_of(source, known)
        return known if is_same else None

    def _holds_all_of(self, source: BinaryIO, known: ArchivedFile) -> bool:
        """Whether a file begins with all the content of a version: it was moved, or put back."""
        reached = 0
        with open_pack(self._writer.path) as pack:
            for placed in entries(pack, self._before):
                entry = placed.entry
                if (entry.name, entry.version) != (known.name, known.version):
                    continue
                source.seek(entry.at)
                if content_hash(_read(source, entry.size)) != entry.hash:
                    return False
                reached = entry.at + entry.size
        return reached == known.size

    def _append(self, source: BinaryIO, file: SourceFile, target: ArchivedFile, most: int) -> Taken:
        at, stop = target.size, min(file.stat.size, target.size + most)
        feeder = self._feeder(source, file, target, stop) if is_transcript(file.name) else None
        for pieces in _frames(source, at, stop):
            content = b"".join(pieces)
            self._write(target, at, content)
            at += len(content)
            if feeder:
                for piece in pieces:
                    feeder.add(piece)
        if feeder and feeder.is_ahead:  # the file shrank meanwhile; the next pass sees that
            feeder = Feeder(Facts(), 0)
        seen = file.stat if at >= file.stat.size else replace(file.stat, size=at)
        changes = {} if feeder is None else {"facts": feeder.facts, "fed": feeder.fed}
        if file.name == TITLE:
            changes = {"facts": title_facts(source)}
        read_to = position(source, seen, at)
        found = replace(target, size=at, read_to=read_to, **changes)  # type: ignore[arg-type] # mypy takes all values for one type
        return Taken(found, left=at < file.stat.size and at == stop)

    def _feeder(
        self, source: BinaryIO, file: SourceFile, target: ArchivedFile, stop: int
    ) -> Feeder:
        """A feeder that goes on where the version's facts end, or what was read ahead of it."""
        read = None if target.size else self._read_ahead(file)
        if read and read.position.offset <= stop and continues(source, read.position):
            return Feeder(read.facts, read.position.offset, read.position.offset)
        return _feeder(source, target)

    def _write(self, target: ArchivedFile, at: int, content: bytes) -> None:
        digest, frame = self._writer.sealed(content)
        path = "" if at else target.path
        entry = PackEntry(
            name=target.name,
            version=target.version,
            path=path,
            at=at,
            size=len(content),
            stored=len(frame),
            hash=digest,
        )
        self._writer.append(entry, frame)
        self.count += 1


def _next(file: SourceFile, known: ArchivedFile | None) -> ArchivedFile:
    """The version that begins now; nothing of it is archived yet."""
    version = known.version + 1 if known else 1
    return ArchivedFile(file.name, version, "", 0)


def _feeder(source: BinaryIO, target: ArchivedFile) -> Feeder:
    """A feeder that goes on where the version's facts end."""
    facts = target.facts.model_copy(deep=True) if target.facts else Facts()
    feeder = Feeder(facts, target.fed)
    if 0 <= target.fed < target.size:
        source.seek(target.fed)
        for piece in _pieces(source, target.size - target.fed):
            feeder.add(piece)
    return feeder


def _frames(source: BinaryIO, start: int, stop: int) -> Iterator[list[bytes]]:
    """The content between two offsets, in pieces for each frame; an empty file is an empty frame.

    It ends early if the file shrank meanwhile; the next pass sees that.
    """
    at = start
    source.seek(start)
    while at < stop or at == 0:
        pieces = list(_pieces(source, min(FRAME_BYTES, stop - at)))
        if pieces or at == 0:
            yield pieces
        if not pieces:
            return
        at += sum(map(len, pieces))


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := _read(source, min(size, BLOCK_BYTES))):
        size -= len(piece)
        yield piece


def _read(source: BinaryIO, size: int) -> bytes:
    try:
        return source.read(size)
    except OSError as error:  # of the disk; the pack has errors of its own
        raise SourceUnreadable(f"{source.name} cannot be archived: {error.strerror}") from error


@contextmanager
def _reading(file: SourceFile) -> Iterator[BinaryIO]:
    """The file, open; that it cannot be opened is an error of the source, not of the archive."""
    try:
        source = open_source(file)
    except FileNotFoundError as error:
        raise SourceVanished(f"{file.path} vanished") from error
    except OSError as error:
        raise SourceUnreadable(f"{file.path} cannot be archived: {error.strerror}") from error
    with source:
        yield source


def keeps_versions(name: str) -> bool:
    """Whether a version that was replaced is kept, of a file with this name in its session."""
    return _kind(name) not in _STATES


def is_transcript(name: str) -> bool:
    """Whether a file with this name is a transcript; its records give facts."""
    return _kind(name) in _TRANSCRIPTS


def title_facts(source: BinaryIO) -> Facts:
    """The title in an open file that Claude Code writes beside a transcript."""
    source.seek(0)
    record = parse_record(_read(source, _TITLE_BYTES))
    title = record.customTitle if record else None
    return Facts(custom_title=title if isinstance(title, str) else "")


def _kind(name: str) -> FileKind | None:
    """The kind of a file; None for one that is no part of a session elsewhere."""
    return None if name.startswith(BESIDE) else kind_of(name)


def superseded(versions: list[ArchivedFile]) -> list[ArchivedFile]:
    """The replaced versions of a file that are too many and are dropped; `versions`: oldest first.

    The first stays, because it is what the agent itself wrote before anything rewrote it.
    """
    return versions[1 : max(1, len(versions) - MOST_VERSIONS + 1)]
