"""A pull: a folder gets what others have newer, and deletes what they deleted."""

import posixpath
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.support.memory_disk import is_temporary
from tests.support.memory_ignores import Ignores
from tests.support.memory_index import LOCAL, File, Kind, State, merged

if TYPE_CHECKING:
    from tests.support.memory_folder import MemoryFolder

MODIFIED = "file modified but not rescanned; will try again later"
_TRIES = 3
_DIRECTORY_THERE = "encountered directory when trying to remove file/symlink"
_DIRECTORY = "directory has been deleted on a remote device but "
_UNKNOWN_IN_IT = _DIRECTORY + "contains changed files, scheduling scan"
_IGNORED_IN_IT = _DIRECTORY + "contains ignored files (see ignore documentation for (?d) prefix)"
_KNOWN_IN_IT = (
    _DIRECTORY
    + "is not empty; the contents are probably ignored on that remote device, but not locally"
)


class ItemFailed(Exception):
    """One item could not be had; the text is Syncthing's."""


class Pull:
    """One pull of one folder; `rescan` are names that are not as the index has them."""

    def __init__(self, folder: "MemoryFolder", ignores: Ignores) -> None:
        self._folder = folder
        self._disk = folder.disk
        self._ignores = ignores
        self._done: list[File] = []
        self.errors: dict[str, str] = {}
        self.rescan: set[str] = set()

    def run(self) -> None:
        """Get and delete, again and again until that changes nothing more."""
        for _ in range(_TRIES):
            self._folder.move("sync-preparing")
            self.errors = {}
            self._once()
            done, self._done = self._done, []
            self._folder.put(done)
            if not done:
                return

    def _once(self) -> None:
        needed = self._folder.index.needed()
        ignored = {file.name for file in needed if self._ignores.match(file.name)}
        wanted = [file for file in needed if file.name not in ignored]
        self._done += [f.without_content(State.IGNORED) for f in needed if f.name in ignored]
        deleted = [file for file in wanted if file.deleted]
        there = [file for file in wanted if not file.deleted]
        for file in there:
            if file.kind is not Kind.FILE:
                self._try(file, "update", self._make)
        for file in self._in_order([file for file in there if file.kind is Kind.FILE]):
            self._pull(file)
        # what is in a directory goes before the directory
        for file in sorted(deleted, key=lambda f: (f.kind is not Kind.DIRECTORY, f.name))[::-1]:
            self._try(file, "delete", self._delete)

    def _pull(self, file: File) -> None:
        if self._has_content(file):
            self._try(file, "metadata", self._touch)
        else:
            self._folder.move("syncing")
            self._try(file, "update", self._get)

    def _in_order(self, files: list[File]) -> list[File]:
        if self._folder.entry["order"] == "newestFirst":
            return sorted(files, key=lambda file: -file.mtime_ns)
        return files

    def _try(self, file: File, action: str, act: Callable[[File], File | None]) -> None:
        """Do it; what `act` returns goes into the index instead of what was needed."""
        data = {
            "folder": self._folder.id,
            "item": file.name,
            "type": "file" if action == "delete" and file.kind is Kind.SYMLINK else file.kind.value,
            "action": action,
        }
        self._folder.around.tell("ItemStarted", data)
        why: str | None = None
        try:
            done = act(file)
        except ItemFailed as failed:
            why = str(failed)
        except OSError as error:
            why = f"{'delete' if action == 'delete' else 'finishing'}: {error.strerror}"
        else:
            self._done.append(done or file)
        if why:
            self.errors[file.name] = why
        self._folder.around.tell("ItemFinished", data | {"error": why})

    # ---- getting

    def _has_content(self, file: File) -> bool:
        mine = self._folder.index.of(LOCAL, file.name)
        return bool(
            mine and not mine.deleted and mine.kind is file.kind and mine.content == file.content
        )

    def _touch(self, file: File) -> None:
        with suppress(OSError):
            self._disk.touch(file.name, file.mtime_ns)

    def _make(self, file: File) -> None:
        """Make a directory or a link; nothing that is there already is made again."""
        self._parent(file)
        found = self._disk.look(file.name)
        if found and found.kind is file.kind is Kind.DIRECTORY:
            return
        if found:
            self._replace(file)
        path = self._disk.path(file.name)
        if file.kind is Kind.DIRECTORY:
            path.mkdir(mode=0o700)
        else:
            path.symlink_to(file.content)

    def _get(self, file: File) -> None:
        self._parent(file)
        content = self._folder.around.fetch(self._folder.id, file)
        try:
            temporary = self._disk.write_temporary(file.name, content)
        except OSError as error:
            raise ItemFailed(f"opening temp file: {error.strerror}") from error
        if self._disk.look(file.name):
            self._replace(file)
        temporary.rename(self._disk.path(file.name))
        self._disk.touch(file.name, file.mtime_ns)

    def _parent(self, file: File) -> None:
        """Make the directory that it lies in, if it is not there."""
        parent = posixpath.dirname(file.name)
        if self._disk.is_behind_link(file.name):
            raise ItemFailed(f"checking parent dirs: {parent}: traverses symlink")
        if parent and not self._disk.look(parent):
            self._disk.path(parent).mkdir(mode=0o700, parents=True)
            self.rescan.add(parent)

    def _replace(self, file: File) -> None:
        """Remove what lies where a file is to go; a loser of a conflict may be kept beside."""
        mine = self._folder.index.of(LOCAL, file.name)
        self._unchanged(file.name, mine, "checking existing file: ")
        if mine and mine.kind is Kind.FILE and file.conflicts_with(mine):
            self._keep_loser(file)
        elif mine:
            self._remove(mine)

    def _unchanged(self, name: str, mine: File | None, prefix: str) -> None:
        """See that what lies there is what the index says."""
        found = self._disk.look(name)
        if found is None or mine is None or not found.is_like(replace(mine, state=State.VALID)):
            self.rescan.add(name)
            raise ItemFailed(prefix + MODIFIED)

    def _keep_loser(self, winner: File) -> None:
        path = self._disk.path(winner.name)
        if self._folder.entry["maxConflicts"] == 0 or ".sync-conflict-" in path.name:
            path.unlink(missing_ok=True)
            return
        stamp = f".sync-conflict-{datetime.now(UTC):%Y%m%d-%H%M%S}-{winner.modified_by}"
        name = path.with_name(path.stem + stamp + path.suffix)
        path.rename(name)
        self.rescan.add(posixpath.join(posixpath.dirname(winner.name), name.name))

    # ---- deleting

    def remove(self, file: File) -> bool:
        """Delete an item of our own from the disk; whether it is gone now."""
        if self._disk.look(file.name) is None:
            return True
        try:
            self._unchanged(file.name, file, "")
            self._remove(file)
        except (ItemFailed, OSError):
            return False
        return True

    def _delete(self, file: File) -> File | None:
        """Delete what others deleted; a file that changed here meanwhile wins, and stays."""
        mine = self._folder.index.of(LOCAL, file.name)
        prefix = "delete dir: " if file.kind is Kind.DIRECTORY else "delete file: "
        if self._disk.is_behind_link(file.name):
            return None
        if self._disk.look(file.name) is None:
            if mine and not mine.deleted:
                self.rescan.add(file.name)
                raise ItemFailed(prefix + MODIFIED)
            return None
        self._unchanged(file.name, mine, prefix)
        if mine and mine.kind is Kind.DIRECTORY and file.kind is not Kind.DIRECTORY:
            raise ItemFailed(prefix + _DIRECTORY_THERE)
        if mine and mine.kind is Kind.FILE and file.conflicts_with(mine):
            return replace(mine, version=merged(mine.version, file.version))
        if mine:
            self._remove(mine, prefix)
        return None

    def _remove(self, file: File, prefix: str = "") -> None:
        path = self._disk.path(file.name)
        if file.kind is not Kind.DIRECTORY:
            path.unlink(missing_ok=True)
            return
        why = self._in_the_way(file.name)
        if why:
            raise ItemFailed(prefix + why)
        if not self._disk.children(file.name):
            path.rmdir()

    def _in_the_way(self, directory: str) -> str:
        """The reason why a directory cannot be removed; deletes temporary files in it."""
        found = set()
        for child in self._everything_in(directory):
            mine = self._folder.index.of(LOCAL, child)
            item = self._disk.look(child)
            if is_temporary(child):
                self._disk.path(child).unlink(missing_ok=True)
            elif self._ignores.match(child):
                found.add(_IGNORED_IN_IT)
            elif mine is None or mine.deleted or item is None or not item.is_like(mine):
                self.rescan.add(child)
                found.add(_UNKNOWN_IN_IT)
            elif mine.state is State.CHANGED:
                self.rescan.add(directory)
            else:
                found.add(_KNOWN_IN_IT)
        order = (_UNKNOWN_IN_IT, _IGNORED_IN_IT, _KNOWN_IN_IT)
        return next((why for why in order if why in found), "")

    def _everything_in(self, directory: str) -> list[str]:
        found = []
        for child in self._disk.children(directory):
            item = self._disk.look(child)
            if item and item.kind is Kind.DIRECTORY:
                found += self._everything_in(child)
            found.append(child)
        return found
