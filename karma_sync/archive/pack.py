"""The packs of the archive: one file for each session, which only ever grows.

A pack is a sequence of entries. Each is a header, one line of JSON, and one zstd frame of the
length that the header states. A header names all that is needed to make `archive.db` again:

- the first entry of a pack names the session, its agent and the agent's directory; it has no
  frame;
- every other entry continues one version of one file at the raw offset `at`; at offset 0 it also
  names the file's path below the agent's directory.

The hashes are SHA-256 over a prefix of their own and the content, so that no hash of the archive
is the name of a chunk in an outbox.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import zstandard
from msgspec import DecodeError

from karma_sync.domain.value import Value
from karma_sync.errors import KarmaError
from karma_sync.files import PRIVATE_FILE

# One frame holds at most this much. With 1 << 20, packs are 8 % smaller (150 MB in 300 sessions),
# and a process keeps up to 3 MB more memory after a pass (n=2).
FRAME_BYTES = 1 << 18
_HEADER_BYTES = 20_000  # a path may have 4,096 bytes, each written as up to four characters
# Level 3: 6.0 times smaller at 536 MB/s on real transcripts (docs/agent-files.md, "Compression")
_LEVEL = 3
_PREFIX = b"karma-sync archive\0"


class DamagedPack(KarmaError):
    """A pack lacks an entry, or an entry is damaged."""


class PackEntry(Value, frozen=True, kw_only=True, omit_defaults=True):
    """The header of an entry: `size` bytes of a file's version from `at`, in `stored` bytes.

    `agent`, `session` and `home`, the agent's directory, are set in the first entry alone.
    """

    name: str = ""
    version: int = 0
    path: str = ""
    at: int = 0
    size: int = 0
    stored: int = 0
    hash: str = ""
    agent: str = ""
    session: str = ""
    home: str = ""


@dataclass(frozen=True)
class Placed:
    """An entry, and the offset in the pack at which its frame begins."""

    entry: PackEntry
    frame: int

    @property
    def end(self) -> int:
        """The offset at which the next entry begins."""
        return self.frame + self.entry.stored


def pack_path(root: Path, key: tuple[str, str], generation: int) -> Path:
    """The path of the pack of a session, by its agent and id; it shows nothing of the session."""
    name = hashlib.sha256(_PREFIX + "\0".join(key).encode()).hexdigest()[:32]
    return root / name[:2] / f"{name}.{generation}.pack"


def content_hash(content: bytes) -> str:
    """The hash by which the archive knows a piece of content."""
    digest = hashlib.sha256(_PREFIX)
    digest.update(content)
    return digest.hexdigest()


class PackWriter:
    """Appends entries to a pack; bytes behind `length` are of a failed writer, and are cut off.

    Raises DamagedPack if there are fewer bytes than `length`.

    Nothing is durable before the caller has fsynced the file and stored the new `length`.
    """

    def __init__(self, path: Path, length: int) -> None:
        self._file = os.fdopen(_open_to_append(path, is_new=not length), "r+b")
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
        self.path = path
        self.length = length
        if os.fstat(self._file.fileno()).st_size < length:
            self._file.close()
            raise DamagedPack(f"{path} is shorter than the {length} bytes that were archived")
        self._file.truncate(length)
        self._file.seek(length)

    def sealed(self, content: bytes) -> tuple[str, bytes]:
        """The hash of a piece of content, and its frame.

        In the same thread: a second one waits for Python's lock as long as it works (ADR 33).
        """
        return content_hash(content), self._compressor.compress(content)

    def append(self, entry: PackEntry, frame: bytes = b"") -> None:
        """Append an entry with its frame."""
        line = entry.to_json().encode() + b"\n"
        self._file.write(line)
        self._file.write(frame)
        self.length += len(line) + len(frame)

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_to_append(path: Path, is_new: bool) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if is_new else 0)
    try:
        return os.open(path, flags, PRIVATE_FILE)
    except FileNotFoundError:
        if is_new:
            raise
        raise DamagedPack(f"{path} is missing") from None


def open_pack(path: Path) -> BinaryIO:
    """Open a pack for reading, never through a link."""
    # unlike one of `os.fdopen`, this file has the path as its name, which errors tell
    return open(path, "rb", opener=_without_links)  # noqa: PTH123 Path.open has no opener


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def entries(source: BinaryIO, length: int) -> Iterator[Placed]:
    """The entries in the first `length` bytes of a pack; no frame is read.

    Raises:
        DamagedPack: what should be a header is none.
    """
    at = 0
    while at < length:
        source.seek(at)
        line = source.readline(_HEADER_BYTES)
        try:
            entry = PackEntry.from_json(line)
        except (DecodeError, ValueError):
            raise DamagedPack(f"{source.name} is damaged at byte {at}") from None
        placed = Placed(entry, at + len(line))
        if not (line.endswith(b"\n") and _is_possible(entry) and placed.end <= length):
            raise DamagedPack(f"{source.name} is damaged at byte {at}")
        yield placed
        at = placed.end


def _is_possible(entry: PackEntry) -> bool:
    return 0 <= entry.size <= FRAME_BYTES and entry.stored >= 0 and entry.at >= 0


def contents(source: BinaryIO, placed: Iterable[Placed]) -> Iterator[bytes]:
    """The content of these entries, each checked against its hash.

    Raises:
        DamagedPack: a frame is damaged.
    """
    for each in placed:
        entry = each.entry
        if entry.size:
            source.seek(each.frame)
            yield _opened(source.read(entry.stored), entry, source.name)


def _opened(frame: bytes, entry: PackEntry, pack: str) -> bytes:
    try:
        content = b""
        if zstandard.frame_content_size(frame) == entry.size:
            # one call into a buffer of exactly this size, so no frame can fill the memory
            content = zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError:
        content = b""
    if content_hash(content) != entry.hash:
        raise DamagedPack(
            f"{pack} is damaged: {entry.name} from byte {entry.at} cannot be read",
            hint="restore the folder archive from a backup",
        )
    return content


def sound_entries(source: BinaryIO, length: int) -> list[Placed]:
    """The entries from the beginning of a pack up to the first that is damaged or cut off."""
    found: list[Placed] = []
    try:
        for placed in entries(source, length):
            for _ in contents(source, [placed]):
                pass
            found.append(placed)
    except DamagedPack:
        return found
    return found
