"""Reads Engram's observations: its database, and the `.engram` folders of repositories.

It writes nothing. Engram names no author. Of its database, rows that no imported chunk brought are
this person's; of a folder, chunks that one of the person's own names created. In doubt, a row is
not theirs.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from karma_sync.agents.engram.chunks import BadChunk, Chunk, ChunkNotFound, FolderChunks
from karma_sync.agents.engram.rows import ENGRAM, observation_of
from karma_sync.agents.observations import SourceContent, file_stamp, newest
from karma_sync.domain.session.observation import SourceObservation, StayReason
from karma_sync.errors import KarmaError

DATABASE = "engram.db"
# The clock of a machine whose chunks are imported here may be ahead by this much.
_CLOCKS = timedelta(minutes=10)
_NEVER = "0000"


class Rows(Protocol):
    """A read-only connection to Engram's database."""

    def execute(self, query: str, /) -> Any: ...


@dataclass(frozen=True)
class EngramFolder:
    """A repository that may have a `.engram` folder."""

    repository: Path

    @property
    def chunks(self) -> FolderChunks:
        """The folder itself."""
        return FolderChunks(self.repository / ".engram")


@dataclass(frozen=True)
class KnownChunks:
    """The content of the chunks of all folders: the rows in them, and who created each chunk.

    `mine` are those that count as the person's; `foreign` maps the ids in all other chunks to why
    they stay, `ids` are the ids of the chunks.
    """

    mine: Sequence[SourceObservation]
    foreign: Mapping[str, StayReason]
    ids: frozenset[str]
    problems: Sequence[str]


@dataclass(frozen=True)
class RowReader:
    """Makes observations of rows; `places` are the directories of sessions, by id.

    Rows until `doubtful` may have come with a chunk that is not here; `gone` are ids that were
    deleted, where a row came back with a chunk.
    """

    places: Mapping[str, str]
    doubtful: str
    gone: frozenset[str]
    foreign: Mapping[str, StayReason]

    @classmethod
    def of(cls, rows: Rows, known: KnownChunks) -> "RowReader | None":
        """The reader for a database; None if it has no observations."""
        tables = {row["name"] for row in rows.execute("SELECT name FROM sqlite_master")}
        if "observations" not in tables:
            return None
        return cls(
            _directories(rows) if "sessions" in tables else {},
            _doubtful_until(rows, known.ids) if "sync_chunks" in tables else _NEVER,
            _deleted(rows) if "sync_mutations" in tables else frozenset(),
            known.foreign,
        )

    def read(self, fields: Mapping[str, Any]) -> SourceObservation | None:
        """The observation in a row; None if it was deleted."""
        directory = self.places.get(str(fields.get("session_id")), "")
        found = observation_of(fields, directories=[directory] if directory else [])
        if found.record.deleted or found.record.id in self.gone:
            return found if found.record.deleted else None
        found = _held(found, self.foreign)
        is_doubtful = found.record.created <= self.doubtful
        return found.staying(StayReason.UNKNOWN_AUTHOR) if is_doubtful else found


@dataclass(frozen=True)
class EngramSource:
    """Engram's database in `home`, and the folders of the repositories that are known.

    `authors` are the names under which this person's chunks are created. `opened` opens a database
    read-only, and raises KarmaError if it is locked or damaged.
    """

    home: Path
    folders: Callable[[], Sequence[EngramFolder]]
    authors: Callable[[], frozenset[str]]
    opened: Callable[[Path], AbstractContextManager[Rows]]
    name: str = field(default=ENGRAM, init=False)

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.home / DATABASE

    def stamp(self) -> Hashable:
        """As `ObservationSource`."""
        database = file_stamp(self.database), file_stamp(self.home / f"{DATABASE}-wal")
        return database, self.folder_stamp()

    def folder_stamp(self) -> Hashable:
        """A value that changes whenever the folders may have other content."""
        found: list[Hashable] = []
        for each in self.folders():
            root = each.chunks.root
            found += [str(root), file_stamp(root / "manifest.json"), file_stamp(root / "chunks")]
        return tuple(found), self.authors()

    def directories(self) -> Sequence[Path]:
        """As `ObservationSource`."""
        roots = [each.chunks.root for each in self.folders()]
        return [self.home, *roots, *(root / "chunks" for root in roots)]

    def read(self) -> SourceContent:
        """As `ObservationSource` describes, without deleted observations."""
        known = self.read_folders()
        problems = list(known.problems)
        whole = not problems
        found: list[SourceObservation] = list(known.mine)
        if self.database.exists():
            try:
                with self.opened(self.database) as rows:
                    found += self._rows(rows, known)
            except KarmaError as error:
                problems.append(str(error))
                whole = False
        live = [each for each in newest(found) if not each.record.deleted]
        return SourceContent(live, whole, problems)

    def created_by(self) -> list[str]:
        """The names under which the chunks of all folders were created, sorted."""
        names: set[str] = set()
        for each in self.folders():
            try:
                names |= {entry.created_by for entry in each.chunks.read_manifest().chunks}
            except BadChunk:
                continue  # `read` reports it
        return sorted(names - {""})

    def read_folders(self) -> KnownChunks:
        """The rows and the authors in the chunks of all folders."""
        mine: list[SourceObservation] = []
        foreign: dict[str, StayReason] = {}
        ids: set[str] = set()
        problems: list[str] = []
        authors = self.authors()
        for folder in self.folders():
            creators, why = _creators(folder)
            problems += why
            for chunk_id in folder.chunks.chunk_ids():
                ids.add(chunk_id)
                try:
                    chunk = folder.chunks.read_chunk(chunk_id)
                except (BadChunk, ChunkNotFound) as error:
                    problems.append(str(error))
                    continue
                creator = creators.get(chunk_id, "")
                if creator in authors:
                    mine += observations_in(chunk, str(folder.repository))
                    continue
                reason = StayReason.FOREIGN if creator and authors else StayReason.UNKNOWN_AUTHOR
                for each in observations_in(chunk, str(folder.repository)):
                    foreign.setdefault(each.record.id, reason)
        own = [_held(each, foreign) for each in mine]
        return KnownChunks(own, foreign, frozenset(ids), problems)

    def _rows(self, rows: Rows, known: KnownChunks) -> Iterator[SourceObservation]:
        reader = RowReader.of(rows, known)
        if reader is None:
            return
        for row in rows.execute("SELECT * FROM observations"):
            found = reader.read(dict(row))
            if found is not None:
                yield found


def _held(found: SourceObservation, foreign: Mapping[str, StayReason]) -> SourceObservation:
    reason = foreign.get(found.record.id)
    return found.staying(reason) if reason else found


def _creators(folder: EngramFolder) -> tuple[dict[str, str], list[str]]:
    """The creator of each chunk of a folder; empty, with the reason, if the manifest is damaged."""
    try:
        manifest = folder.chunks.read_manifest()
    except BadChunk as error:
        return {}, [f"{folder.chunks.root}: {error}"]
    return {entry.id: entry.created_by for entry in manifest.chunks}, []


def observations_in(chunk: Chunk, repository: str) -> Iterator[SourceObservation]:
    """The observations of a chunk, and those that its mutations change or delete.

    `repository` is the directory to which a row without a project belongs, "" if none is known.
    """
    for row in chunk.observations:
        yield observation_of(row, directories=_place(row, repository))
    for mutation in chunk.mutations:
        if mutation.get("entity") == "observation":
            yield from _mutated(mutation, repository)


def _mutated(mutation: Mapping[str, Any], repository: str) -> Iterator[SourceObservation]:
    payload = mutation.get("payload")
    try:
        row = json.loads(payload) if isinstance(payload, str) else payload
    except (ValueError, RecursionError):
        return
    if not isinstance(row, dict):
        return
    at = mutation.get("occurred_at") or row.get("updated_at") or row.get("created_at")
    key = row.get("sync_id") or mutation.get("entity_key")
    changed = row | {"sync_id": key, "updated_at": at, "revision_count": row.get("revision_count")}
    if mutation.get("op") == "delete":
        changed["deleted"] = True
    yield observation_of(changed, directories=_place(row, repository))


def _place(row: Mapping[str, Any], repository: str) -> tuple[str, ...]:
    return (repository,) if repository and not row.get("project") else ()


def _directories(rows: Rows) -> dict[str, str]:
    """The working directory of each session, as far as Engram knows."""
    found = {}
    for row in rows.execute("SELECT * FROM sessions"):
        fields = dict(row)
        directory = str(fields.get("directory") or "")
        if directory.startswith("/"):
            found[str(fields.get("id"))] = directory
    return found


def _doubtful_until(rows: Rows, known: frozenset[str]) -> str:
    """The latest time, as records write it, of a row that a chunk without a file may have brought.

    Engram lists the chunks that it exported and imported alike.
    """
    latest = _NEVER
    for row in rows.execute("SELECT * FROM sync_chunks"):
        fields = dict(row)
        if str(fields.get("chunk_id")) not in known:
            latest = max(latest, _later(str(fields.get("imported_at") or "")))
    return latest


def _later(imported: str) -> str:
    try:
        moment = datetime.fromisoformat(imported.replace("Z", "+00:00")) + _CLOCKS
    except (ValueError, OverflowError):
        return "9999"  # nobody knows when: no row is surely this person's
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _deleted(rows: Rows) -> frozenset[str]:
    """The ids that were deleted, where a row came back with a chunk."""
    query = "SELECT entity_key FROM sync_mutations WHERE entity = 'observation' AND op = 'delete'"
    return frozenset(str(row["entity_key"]) for row in rows.execute(query))
