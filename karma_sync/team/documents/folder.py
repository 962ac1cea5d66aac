"""Reads and writes the files of one team's metadata folder.

Each kind of document has a directory, with one file per writer; the writer's key is its name.
"""

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain import limits
from karma_sync.domain.ids import KEY
from karma_sync.files import private_dir, write_private
from karma_sync.team.documents.stored import MEMBER, RECEIPT, ROSTER

_KINDS = (ROSTER, MEMBER, RECEIPT)
_FileVersion = tuple[int, int, int]  # modification time (ns), size (bytes), inode

# The allow-list for Syncthing: only these names are pulled and passed on.
IGNORES = "".join(f"!/{kind}/*.json\n/{kind}/**\n!/{kind}\n" for kind in _KINDS) + "*\n"


@dataclass(frozen=True)
class DocumentFile:
    """A file that was found; its path names its kind, and the writer who must have signed it."""

    kind: str
    writer: str
    raw: bytes


class MetadataFolder:
    """Reads the changed files of some kinds of documents, and writes files; used by one thread."""

    def __init__(self, path: Path, kinds: Sequence[str] = (ROSTER, MEMBER)) -> None:
        self._path = path
        self._kinds = kinds
        self._seen: dict[str, _FileVersion] = {}
        self._as_known: dict[str, tuple[_FileVersion | None, bytes]] = {}

    def changed(self) -> list[DocumentFile]:
        """Files that are new or changed since the last call; files with foreign names are skipped.

        Nothing is verified here: the bytes may be anything.
        """
        return [
            found
            for kind in self._kinds
            for writer in self.writers(kind)
            if (found := self._read(kind, writer)) is not None
        ]

    def forget(self) -> None:
        """Make `changed` return every file again."""
        self._seen.clear()

    def write(self, kind: str, writer: str, envelope: bytes) -> str | None:
        """Write my own file unless it holds `envelope`; returns its name if it was written."""
        if self.holds(kind, writer, envelope):
            return None
        self.put(kind, writer, envelope)
        return self.name(kind, writer)

    def name(self, kind: str, writer: str) -> str:
        """The name of a writer's file inside the folder."""
        return f"{kind}/{writer}.json"

    def holds(self, kind: str, writer: str, envelope: bytes) -> bool:
        """Whether a file has exactly these bytes; an unchanged file is not read again."""
        path = self._path / self.name(kind, writer)
        known = _file_version(path), envelope
        if known[0] is None:
            return False
        if self._as_known.get(path.name + kind) == known:
            return True
        if content(path) != envelope:
            return False
        self._as_known[path.name + kind] = known
        return True

    def put(self, kind: str, writer: str, envelope: bytes) -> None:
        """Write a file that holds exactly `envelope`."""
        path = self._path / self.name(kind, writer)
        clear(path.parent, keep_directory=True)
        private_dir(path.parent)
        clear(path, keep_directory=False)
        write_private(path, envelope)
        self._as_known[path.name + kind] = _file_version(path), envelope

    def remove_read(self, kind: str, writer: str) -> str | None:
        """Delete a writer's file that `changed` returned; returns its name if it was deleted.

        A file that arrived or changed since then stays: nobody has judged it yet. A link is deleted
        at once: it is never read.
        """
        name = self.name(kind, writer)
        path = self._path / name
        version = _file_version(path)
        if version is None or (self._seen.get(name) != version and not path.is_symlink()):
            return None
        path.unlink()
        return name

    def writers(self, kind: str) -> list[str]:
        """The sorted keys that have a file of this kind, whoever wrote it."""
        directory = self._path / kind
        if not directory.is_dir() or directory.is_symlink():
            return []
        names = [path.name for path in directory.iterdir()]
        writers = {n.removesuffix(".json") for n in names if n.endswith(".json")}
        return sorted(w for w in writers if KEY.fullmatch(w))

    def _read(self, kind: str, writer: str) -> DocumentFile | None:
        name = self.name(kind, writer)
        path = self._path / name
        version = _file_version(path)
        if version is None or self._seen.get(name) == version:
            return None
        raw = content(path)
        if raw is None:
            return None  # it was replaced meanwhile; an event of Syncthing wakes us for the new one
        self._seen[name] = version
        return DocumentFile(kind, writer, raw)


def is_document(name: str) -> bool:
    """Whether a roster or a member document may have this name inside the folder."""
    kind, _, file = name.partition("/")
    writer = file.removesuffix(".json")
    return kind in (ROSTER, MEMBER) and file != writer and KEY.fullmatch(writer) is not None


def prepare(path: Path, ignores: str = IGNORES) -> None:
    """Make the directory with its allow-list, before Syncthing knows the folder."""
    private_dir(path)
    listed = path / ".stignore"
    if not listed.exists() or listed.read_text(encoding="utf-8") != ignores:
        write_private(listed, ignores.encode())


def _file_version(path: Path) -> _FileVersion | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def content(path: Path, most: int = limits.DOCUMENT_BYTES) -> bytes | None:
    """The bytes of a regular file, never through a link; at most one byte above `most`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            return source.read(most + 1)
    finally:
        os.close(descriptor)


def clear(path: Path, *, keep_directory: bool) -> None:
    """Remove what a member put in the place of one of our files or directories."""
    if path.is_symlink() or (keep_directory and path.is_file()):
        path.unlink()
    elif not keep_directory and path.is_dir():
        shutil.rmtree(path)
