"""A scan: a folder's index takes over what is different on disk."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.memory_ignores import Ignores
from tests.support.memory_index import LOCAL, File, Kind, State, bumped, only

if TYPE_CHECKING:
    from tests.support.memory_folder import MemoryFolder


class Scan:
    """One scan of one folder."""

    def __init__(self, folder: "MemoryFolder", ignores: Ignores) -> None:
        self._folder = folder
        self._disk = folder.disk
        self._ignores = ignores

    def run(self, subs: Sequence[str]) -> bool:
        """Look at these names, or at all if none are given; whether anything was different."""
        count = 0
        for top in self._tops(subs):
            errors = self._folder.scan_errors
            for name in [name for name in errors if _is_below(name, top)]:
                del errors[name]
            count += self._take_in(self._changed(top)) + self._take_in(self._gone(top))
        return bool(count)

    def _tops(self, subs: Sequence[str]) -> list[str]:
        """The names at which to look: an unknown directory in place of names in it; "" for all."""
        tops = set()
        for sub in subs:
            top = posixpath.normpath(sub) if sub else "."
            if top == ".":
                return [""]
            if top.startswith(("/", "..")):
                continue
            while (parent := posixpath.dirname(top)) and parent not in self._folder.index.local:
                top = parent
            tops.add(top)
        if not tops:
            return [""]
        return sorted(t for t in tops if not any(t != u and _is_below(t, u) for u in tops))

    def _changed(self, top: str) -> list[File]:
        """The entries for items on disk that differ from the index."""
        found: dict[str, File] = {}
        for name, item in self._disk.walk(top, self._ignores):
            if isinstance(item, str):
                self._folder.scan_errors[name] = item
            elif name not in found:
                found[name] = item
        entries = (self._entry(item) for item in found.values())
        return [entry for entry in entries if entry]

    def _entry(self, item: File) -> File | None:
        """The new entry of an item; None if the index has it already."""
        before = self._folder.index.of(LOCAL, item.name)
        if before and self._counts_as_valid(before) and item.is_like(before):
            return None
        content = self._disk.hash(item.name) if item.kind is Kind.FILE else item.content
        if content is None:
            return None  # gone, or closed, meanwhile
        version = bumped(
            before.version if before else (), self._folder.around.short, self._folder.around.now()
        )
        if before and _is_apart(before) and not self._folder.receives_only:
            version = only(version, self._folder.around.short)
        return replace(
            item,
            version=version,
            modified_by=self._folder.around.short,
            content=content,
            state=self._folder.mine,
        )

    def _counts_as_valid(self, entry: File) -> bool:
        return entry.state in {State.VALID, self._folder.mine}

    def _gone(self, top: str) -> list[File]:
        """The entries for items in the index that are no longer on disk, or are ignored now."""
        entries = [
            self._gone_entry(file)
            for name, file in sorted(self._folder.index.local.items())
            if _is_below(name, top)
        ]
        return [entry for entry in entries if entry]

    def _gone_entry(self, file: File) -> File | None:
        if self._ignores.match(file.name):
            if file.state is State.IGNORED or self._leads_to_something(file):
                return None
            return file.without_content(State.IGNORED)
        if file.deleted and file.state is not State.IGNORED:
            return self._deleted_entry(file)
        if self._disk.look(file.name) and not self._disk.is_behind_link(file.name):
            return None
        deleted = self._folder.deleted(file)
        return replace(deleted, version=()) if _is_apart(file) else deleted

    def _leads_to_something(self, file: File) -> bool:
        return file.kind is Kind.DIRECTORY and any(
            _is_below(name, file.name) and not self._ignores.match(name) and self._disk.look(name)
            for name in self._folder.index.local
        )

    def _deleted_entry(self, file: File) -> File | None:
        """A deletion that was for this device alone may be so no more."""
        if file.state is not State.CHANGED:
            return None
        best = self._folder.index.best(file.name)
        if not self._folder.receives_only or (best and best.deleted and best.is_valid):
            return replace(file, state=State.VALID)
        return file if best and best.state is State.CHANGED else None

    def _take_in(self, files: Iterable[File]) -> int:
        """Put what a scan found into the index; how many entries that changed."""
        kept = []
        count = 0
        for file in files:
            count += 1
            best = self._folder.index.best(file.name)
            if best and best.state is State.CHANGED and file.deleted:
                self._folder.index.remove(file.name)  # nobody else ever had it
            elif best and self._is_as(best, file):
                kept.append(best)
            else:
                kept.append(file)
        self._folder.put(kept)
        return count

    def _is_as(self, best: File, file: File) -> bool:
        """Whether what changed here, for this device alone, is what all should have."""
        changed = self._folder.receives_only and file.state is not State.IGNORED
        return changed and best.is_valid and file.is_like(best)


def _is_apart(file: File) -> bool:
    """Whether an entry never took part in what the others have."""
    return file.state in {State.IGNORED, State.CHANGED}


def _is_below(name: str, top: str) -> bool:
    return not top or name == top or name.startswith(f"{top}/")
