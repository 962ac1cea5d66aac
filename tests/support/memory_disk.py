"""A shared folder on disk, as Syncthing looks at it and writes to it."""

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tests.support.memory_ignores import Ignores
from tests.support.memory_index import File, Kind

INTERNAL = (".stfolder", ".stignore", ".stversions")
NOT_UTF8 = "item is not in UTF8 encoding"
_NO_MARKER = (
    "folder marker missing (this indicates potential data loss, search docs/forum to get"
    " information about how to proceed)"
)
_LONGEST_NAME = 160 - len(".syncthing..tmp")


class Disk:
    """The directory of one folder; names are relative to it, with slashes."""

    def __init__(self, root: Path, marker: str) -> None:
        self._root = root
        self._marker = marker

    def begin(self, folder: str) -> None:
        """Make directory and marker, where that is possible."""
        with suppress(OSError):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self._root / self._marker).exists():
                (self._root / self._marker).mkdir(mode=0o700)
                self._marker_file(folder).write_text(f"folderID: {folder}\n", encoding="utf-8")

    def end(self, folder: str) -> None:
        """Remove the marker; one with something in it is put aside."""
        marker = self._root / self._marker
        with suppress(OSError):
            self._marker_file(folder).unlink(missing_ok=True)
        try:
            marker.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            moment = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
            with suppress(OSError):
                marker.rename(self._root / f"{self._marker}.removed-{moment}")

    def trouble(self) -> str:
        """The reason why the folder cannot be used; "" if it can."""
        if not self._root.exists():
            return "folder path missing"
        if not self._root.is_dir():
            return "folder path not a directory"
        return "" if (self._root / self._marker).exists() else _NO_MARKER

    def ignores(self) -> Ignores:
        """The patterns of .stignore."""
        try:
            return Ignores((self._root / ".stignore").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Ignores()

    def walk(self, top: str, ignores: Ignores) -> Iterator[tuple[str, File | str]]:
        """The items at `top` and below, by name; in place of an item, why it cannot be taken.

        Parents go before what is in them; one that is ignored is there if something in it is not,
        and may come more than once.
        """
        if not self.is_behind_link(top):
            yield from self._walk(top, ignores, [])

    def _walk(
        self, name: str, ignores: Ignores, above: list[File]
    ) -> Iterator[tuple[str, File | str]]:
        shown = os.fsencode(name).decode(errors="replace")
        if shown != name:
            yield shown, NOT_UTF8
            return
        item = None if is_temporary(name) or is_internal(name) else self.look(name)
        if item is None:
            return
        way = [*above, item] if name else []
        is_out = bool(name) and ignores.match(name)
        if not is_out:
            yield from ((each.name, each) for each in way)
        if item.kind is Kind.DIRECTORY and (ignores.has_exceptions or not is_out):
            for child in self.children(name):
                yield from self._walk(child, ignores, way if is_out else [])

    def look(self, name: str) -> File | None:
        """The item at a name now, a file without its hash; None if nothing there can be synced."""
        try:
            found = self.path(name).lstat()
        except (OSError, ValueError):
            return None
        if stat.S_ISDIR(found.st_mode):
            return File(name, Kind.DIRECTORY, mtime_ns=found.st_mtime_ns)
        if stat.S_ISLNK(found.st_mode):
            target = str(self.path(name).readlink())
            return File(name, Kind.SYMLINK, mtime_ns=found.st_mtime_ns, content=target)
        if stat.S_ISREG(found.st_mode):
            return File(name, Kind.FILE, mtime_ns=found.st_mtime_ns, size=found.st_size)
        return None

    def is_behind_link(self, name: str) -> bool:
        """Whether one of the directories above it is a symbolic link."""
        parent = posixpath.dirname(name)
        return bool(parent) and (self.path(parent).is_symlink() or self.is_behind_link(parent))

    def children(self, name: str) -> list[str]:
        """The names in a directory, sorted."""
        try:
            names = sorted(os.listdir(self.path(name)))  # noqa: PTH208 - it gives names
        except OSError:
            return []
        return [posixpath.join(name, child) for child in names]

    def read(self, name: str) -> bytes | None:
        """A file's bytes, never through a link; None if there is no such file."""
        item = self.look(name)
        if item is None or item.kind is not Kind.FILE or self.is_behind_link(name):
            return None
        with suppress(OSError):
            return self.path(name).read_bytes()
        return None

    def hash(self, name: str) -> str | None:
        """The hash of a file's content."""
        content = self.read(name)
        return None if content is None else hashed(content)

    def write_temporary(self, name: str, content: bytes) -> Path:
        """Write a file's content beside where it belongs."""
        path = self.path(posixpath.join(posixpath.dirname(name), temporary_name(name)))
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
        return path

    def touch(self, name: str, mtime_ns: int) -> None:
        """Give a file its time."""
        os.utime(self.path(name), ns=(mtime_ns, mtime_ns))

    def path(self, name: str) -> Path:
        return self._root / name if name else self._root

    def _marker_file(self, folder: str) -> Path:
        digest = hashlib.sha256(folder.encode()).hexdigest()
        return self._root / self._marker / f"syncthing-folder-{digest[:6]}.txt"


def hashed(content: bytes) -> str:
    """The hash that stands for these bytes in an index."""
    return hashlib.sha256(content).hexdigest()


def temporary_name(name: str) -> str:
    """The name of a file while it is written."""
    base = posixpath.basename(name)
    if len(base.encode()) > _LONGEST_NAME:
        base = hashlib.sha256(base.encode()).hexdigest()[:32]
    return f".syncthing.{base}.tmp"


def is_temporary(name: str) -> bool:
    base = posixpath.basename(name)
    return base.startswith((".syncthing.", "~syncthing~")) and base.endswith(".tmp")


def is_internal(name: str) -> bool:
    """Whether it is Syncthing's own, and never synced."""
    return name.split("/", 1)[0] in INTERNAL
