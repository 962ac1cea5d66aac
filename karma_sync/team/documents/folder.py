"""The files of one team's metadata folder: one per writer, named by the writer's key."""

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
_SIGNATURE = tuple[int, int, int]

# Foreign names are neither pulled nor passed on: what is named here, then nothing else.
IGNORES = "".join(f"!/{kind}/*.json\n/{kind}/**\n!/{kind}\n" for kind in _KINDS) + "*\n"


@dataclass(frozen=True)
class DocumentFile:
    """A file as it lies there: its place says which kind of document it must be, and whose."""

    kind: str
    writer: str
    raw: bytes


class MetadataFolder:
    """Reads what changed of some kinds since the last look, and writes my own documents."""

    def __init__(self, path: Path, kinds: Sequence[str] = (ROSTER, MEMBER)) -> None:
        self._path = path
        self._kinds = kinds
        self._seen: dict[str, _SIGNATURE] = {}
        self._as_known: dict[str, tuple[_SIGNATURE | None, bytes]] = {}

    def changed(self) -> list[DocumentFile]:
        """Files that are new or different since the last call; strange names are passed over.

        What it gives may be anything: it is for `adopt` to believe or not.
        """
        return [
            found
            for kind in self._kinds
            for writer in self._writers(kind)
            if (found := self._read(kind, writer)) is not None
        ]

    def forget(self) -> None:
        """Look at every file again the next time."""
        self._seen.clear()

    def write(self, kind: str, writer: str, envelope: bytes) -> str | None:
        """Make my own file hold exactly `envelope`; its name if it was written, else None."""
        if self.holds(kind, writer, envelope):
            return None
        self.put(kind, writer, envelope)
        return self.name(kind, writer)

    def name(self, kind: str, writer: str) -> str:
        """The name of a writer's file inside the folder."""
        return f"{kind}/{writer}.json"

    def holds(self, kind: str, writer: str, envelope: bytes) -> bool:
        """Whether a file is there with exactly these bytes; not read again while untouched."""
        path = self._path / self.name(kind, writer)
        known = _signature(path), envelope
        if known[0] is None:
            return False
        if self._as_known.get(path.name + kind) == known:
            return True
        if _content(path) != envelope:
            return False
        self._as_known[path.name + kind] = known
        return True

    def put(self, kind: str, writer: str, envelope: bytes) -> None:
        """Make a file hold exactly `envelope`."""
        path = self._path / self.name(kind, writer)
        _clear(path.parent, keep_directory=True)
        private_dir(path.parent)
        _clear(path, keep_directory=False)
        write_private(path, envelope)
        self._as_known[path.name + kind] = _signature(path), envelope

    def _writers(self, kind: str) -> list[str]:
        directory = self._path / kind
        if not directory.is_dir() or directory.is_symlink():
            return []
        names = [path.name for path in directory.iterdir()]
        writers = {n.removesuffix(".json") for n in names if n.endswith(".json")}
        return sorted(w for w in writers if KEY.fullmatch(w))

    def _read(self, kind: str, writer: str) -> DocumentFile | None:
        name = self.name(kind, writer)
        path = self._path / name
        signature = _signature(path)
        if signature is None or self._seen.get(name) == signature:
            return None
        raw = _content(path)
        if raw is None:
            return None  # replaced while we looked; Syncthing tells when the new one is there
        self._seen[name] = signature
        return DocumentFile(kind, writer, raw)


def is_document(name: str) -> bool:
    """Whether a roster or a member's document may have this name inside the folder."""
    kind, _, file = name.partition("/")
    writer = file.removesuffix(".json")
    return kind in (ROSTER, MEMBER) and file != writer and KEY.fullmatch(writer) is not None


def prepare(path: Path) -> None:
    """Make the directory with its allow-list, before Syncthing is told of it."""
    private_dir(path)
    ignores = path / ".stignore"
    if not ignores.exists() or ignores.read_text(encoding="utf-8") != IGNORES:
        write_private(ignores, IGNORES.encode())


def _signature(path: Path) -> _SIGNATURE | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _content(path: Path) -> bytes | None:
    """The bytes of a regular file, never through a link; at most one more than is allowed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return _read_bounded(descriptor)
    finally:
        os.close(descriptor)


def _read_bounded(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as source:
        return source.read(limits.DOCUMENT_BYTES + 1)


def _clear(path: Path, *, keep_directory: bool) -> None:
    """Take away what a member put into the way of a file, or of a directory, of ours."""
    if path.is_symlink() or (keep_directory and path.is_file()):
        path.unlink()
    elif not keep_directory and path.is_dir():
        shutil.rmtree(path)
