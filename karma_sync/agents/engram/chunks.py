"""Engram's sharing format: a manifest, and chunks that are named by their content.

A chunk is gzip of one JSON object, although its name ends otherwise, and never changes.
`ChunkStore` is the interface that a folder on disk, an export and a store in memory have in common.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from karma_sync.domain.limits import has_too_many_values
from karma_sync.errors import KarmaError
from karma_sync.files import open_unlinked, write_private

CHUNK_ID = re.compile(r"[0-9a-f]{8}")
_MOST_CHUNK_BYTES = 32_000_000  # unpacked
_MOST_VALUES = 1_000_000  # in a chunk or a manifest
_MOST_FILE_BYTES = 64_000_000


class ChunkNotFound(KarmaError):
    """The store has no chunk of this id."""


class BadChunk(KarmaError):
    """A manifest or a chunk is damaged, or does not fit its name."""


@dataclass(frozen=True)
class ChunkEntry:
    """The entry of one chunk in a manifest."""

    id: str
    created_by: str = ""
    created_at: str = ""
    sessions: int = 0
    memories: int = 0
    prompts: int = 0


@dataclass(frozen=True)
class ChunkManifest:
    """The chunks of a store; a store that has no manifest has an empty one of version 1."""

    version: int = 1
    chunks: tuple[ChunkEntry, ...] = ()

    def with_entry(self, entry: ChunkEntry) -> "ChunkManifest":
        """The same with one more chunk; one that it has already is not listed twice."""
        if any(each.id == entry.id for each in self.chunks):
            return self
        return replace(self, chunks=(*self.chunks, entry))

    def to_json(self) -> bytes:
        """The manifest as Engram writes it."""
        chunks = [vars(each) for each in self.chunks]
        return json.dumps({"version": self.version, "chunks": chunks}, indent=2).encode()


@dataclass(frozen=True)
class Chunk:
    """The content of one chunk."""

    sessions: tuple[Mapping[str, Any], ...] = ()
    observations: tuple[Mapping[str, Any], ...] = ()
    prompts: tuple[Mapping[str, Any], ...] = ()
    mutations: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> bytes:
        """The bytes over which Engram computes the id."""
        fields: dict[str, Any] = {
            "sessions": list(self.sessions),
            "observations": list(self.observations),
            "prompts": list(self.prompts),
        }
        if self.mutations:
            fields["mutations"] = list(self.mutations)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


class ChunkStore(Protocol):
    """A store from which a manifest and chunks are read, and to which they are written."""

    def read_manifest(self) -> ChunkManifest:
        """The manifest; empty and of version 1 if there is none.

        Raises:
            BadChunk: it is damaged.
        """
        ...

    def write_manifest(self, manifest: ChunkManifest) -> None:
        """Replace the manifest."""
        ...

    def read_chunk(self, chunk_id: str) -> Chunk:
        """One chunk.

        Raises:
            ChunkNotFound: there is none of this id.
            BadChunk: it is damaged.
        """
        ...

    def write_chunk(self, chunk: Chunk) -> str:
        """Write a chunk; returns its id. The same chunk again changes nothing."""
        ...


@dataclass
class MemoryChunks:
    """A store in memory."""

    manifest: ChunkManifest = field(default_factory=ChunkManifest)
    chunks: dict[str, Chunk] = field(default_factory=dict)
    calls: int = 0

    def read_manifest(self) -> ChunkManifest:
        """As `ChunkStore`."""
        self.calls += 1
        return self.manifest

    def write_manifest(self, manifest: ChunkManifest) -> None:
        """As `ChunkStore`."""
        self.calls += 1
        self.manifest = manifest

    def read_chunk(self, chunk_id: str) -> Chunk:
        """As `ChunkStore`."""
        self.calls += 1
        if chunk_id not in self.chunks:
            raise ChunkNotFound(f"there is no chunk {chunk_id!r}")
        return self.chunks[chunk_id]

    def write_chunk(self, chunk: Chunk) -> str:
        """As `ChunkStore`."""
        self.calls += 1
        chunk_id = chunk_id_of(chunk.to_json())
        self.chunks.setdefault(chunk_id, chunk)
        return chunk_id


@dataclass(frozen=True)
class FolderChunks:
    """A `.engram` folder, of a repository or of an export; `create` it before writing."""

    root: Path

    @property
    def manifest_path(self) -> Path:
        """The manifest's file."""
        return self.root / "manifest.json"

    def chunk_path(self, chunk_id: str) -> Path:
        """A chunk's file.

        Raises:
            ChunkNotFound: the id has another form, so that no path is built from it.
        """
        if not CHUNK_ID.fullmatch(chunk_id):
            raise ChunkNotFound(f"{chunk_id[:40]!r} is not the id of a chunk")
        return self.root / "chunks" / f"{chunk_id}.jsonl.gz"

    def chunk_ids(self) -> list[str]:
        """The ids of the chunks that have a file, sorted, also of those that no manifest lists."""
        place = self.root / "chunks"
        found = () if self.root.is_symlink() or place.is_symlink() else place.glob("*.jsonl.gz")
        names = (path.name.removesuffix(".jsonl.gz") for path in found)
        return sorted(name for name in names if CHUNK_ID.fullmatch(name))

    def read_manifest(self) -> ChunkManifest:
        """As `ChunkStore`."""
        self._require_unlinked()
        raw = _bounded(self.manifest_path)
        return ChunkManifest() if raw is None else parsed_manifest(raw)

    def write_manifest(self, manifest: ChunkManifest) -> None:
        """As `ChunkStore`."""
        self._require_unlinked()
        self.root.mkdir(parents=True, exist_ok=True)
        write_private(self.manifest_path, manifest.to_json())

    def read_chunk(self, chunk_id: str) -> Chunk:
        """As `ChunkStore`."""
        self._require_unlinked()
        raw = _bounded(self.chunk_path(chunk_id))
        if raw is None:
            raise ChunkNotFound(f"{self.root} has no chunk {chunk_id}")
        return parsed_chunk(_unpacked(raw, chunk_id), chunk_id)

    def write_chunk(self, chunk: Chunk) -> str:
        """As `ChunkStore`."""
        self._require_unlinked()
        raw = chunk.to_json()
        chunk_id = chunk_id_of(raw)
        path = self.chunk_path(chunk_id)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_private(path, gzip.compress(raw, mtime=0))
        return chunk_id

    def _require_unlinked(self) -> None:
        """Raises BadChunk if a directory is a link: a repository's may lead to another project."""
        for place in (self.root, self.root / "chunks"):
            if place.is_symlink():
                raise BadChunk(f"{place} is a link, which is not followed")


def chunk_id_of(raw: bytes) -> str:
    """The id of a chunk, as Engram computes it from its bytes before compression."""
    return hashlib.sha256(raw).hexdigest()[:8]


def parsed_manifest(raw: bytes) -> ChunkManifest:
    """The manifest in a file; entries that are no chunk are left out, repeated ones count once.

    Raises:
        BadChunk: it is no JSON, or no manifest.
    """
    _require_few_values(raw, "the manifest")
    try:
        fields = json.loads(raw)
        listed = fields["chunks"] or []
        version = fields.get("version", 1)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadChunk("the manifest is damaged: a merge may have left its marks") from None
    known: dict[str, ChunkEntry] = {}
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and CHUNK_ID.fullmatch(str(each.get("id", ""))):
            known.setdefault(each["id"], _entry(each))
    return ChunkManifest(version if isinstance(version, int) else 1, tuple(known.values()))


def parsed_chunk(raw: bytes, chunk_id: str) -> Chunk:
    """The content of a chunk; lists that are missing or null are empty.

    Raises:
        BadChunk: it is no JSON object.
    """
    _require_few_values(raw, f"chunk {chunk_id}")
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadChunk(f"chunk {chunk_id} is no JSON") from None
    if not isinstance(fields, dict):
        raise BadChunk(f"chunk {chunk_id} is no JSON object")
    return Chunk(*(_rows(fields.get(name)) for name in _LISTS))


_LISTS = ("sessions", "observations", "prompts", "mutations")


def _require_few_values(raw: bytes, what: str) -> None:
    """Raises BadChunk for JSON that would fill the memory: a small file unpacks to a large one."""
    if has_too_many_values(raw, _MOST_VALUES):
        raise BadChunk(f"{what} holds more than {_MOST_VALUES} values")


def _entry(fields: Mapping[str, Any]) -> ChunkEntry:
    counts = (fields.get(name) for name in ("sessions", "memories", "prompts"))
    return ChunkEntry(
        fields["id"],
        str(fields.get("created_by") or ""),
        str(fields.get("created_at") or ""),
        *(count if isinstance(count, int) else 0 for count in counts),
    )


def _rows(value: object) -> tuple[Mapping[str, Any], ...]:
    rows: Iterable[object] = value if isinstance(value, list) else ()
    return tuple(row for row in rows if isinstance(row, dict))


def _bounded(path: Path) -> bytes | None:
    """The bytes of a file; None if there is none.

    Raises:
        BadChunk: it is too large, or cannot be read.
    """
    try:
        with open_unlinked(path) as opened:
            raw = opened.read(_MOST_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadChunk(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > _MOST_FILE_BYTES:
        raise BadChunk(f"{path} is larger than {_MOST_FILE_BYTES // 10**6} MB")
    return raw


def _unpacked(raw: bytes, chunk_id: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(raw, _MOST_CHUNK_BYTES)
    except zlib.error:
        raise BadChunk(f"chunk {chunk_id} is no gzip") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise BadChunk(f"chunk {chunk_id} is cut off, or too large")
    return content
