"""Reads archived sessions; opens archive.db read-only, and never writes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from karma_sync.archive import store
from karma_sync.archive.pack import contents, entries, open_pack, pack_path
from karma_sync.archive.store import ArchivedFile, ArchivedSession
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.key import SessionKey
from karma_sync.errors import BadInput, NotFound
from karma_sync.store.database import Transaction
from karma_sync.store.read_only import reading_own

_TRIES = 5  # for a pack that is written anew while it is looked for


@dataclass(frozen=True)
class ArchivedCopy:
    """An archived session with all versions of its files, by name and version."""

    row: ArchivedSession
    files: tuple[ArchivedFile, ...]

    @property
    def newest(self) -> list[ArchivedFile]:
        """The newest version of each file, by name; the transcript first."""
        found = store.newest(self.files).values()
        return sorted(found, key=lambda file: (not file.is_main, file.name))

    @property
    def earlier(self) -> list[ArchivedFile]:
        """The versions that were replaced."""
        newest = store.newest(self.files)
        return [f for f in self.files if newest[f.name].version != f.version]

    def file(self, name: str) -> ArchivedFile:
        """The newest version of a file; with `@` and a number behind its name, that version.

        Raises:
            NotFound: the session has no such file, or no such version.
        """
        newest = store.newest(self.files)
        if name in newest:
            return newest[name]
        begin, _, version = name.rpartition("@")
        for file in self.files:
            if (file.name, str(file.version)) == (begin, version):
                return file
        names = [f.name for f in self.newest] + [f.label for f in self.earlier]
        raise NotFound(
            f"the session has no file {name!r}", hint=f"--file with one of {', '.join(names)}"
        )


@dataclass(frozen=True)
class ArchiveReader:
    """The archive at `root`, as `database` describes it; empty if there is none."""

    root: Path
    database: Path

    def reading(self) -> AbstractContextManager[Transaction]:
        """One consistent view of archive.db as it is; see `reading_own`."""
        return reading_own(self.database)

    def sessions(self, scope: AccessScope) -> list[ArchivedSession]:
        """All sessions that the scope allows, the last active first."""
        return self._rows(scope)

    def open(self, row: ArchivedSession) -> ArchivedCopy:
        """A session with its files."""
        with self.reading() as tx:
            return ArchivedCopy(row, tuple(store.files_of(tx, row.key)))

    def fitting(self, scope: AccessScope, wanted: str) -> list[ArchivedSession]:
        """The sessions that `wanted` may name: a composite key, or the beginning of an id.

        Raises:
            BadInput: `wanted` cannot be a key.
        """
        if not wanted:
            return []
        key = SessionKey.parse(wanted)
        rows = self._rows(scope, key.session)
        keys = [(SessionKey(scope.user, r.wrote, r.project, r.session), r) for r in rows]
        found = [row for each, row in keys if key.fits(each)]
        return [row for row in found if row.session == key.session] or found

    def session(self, scope: AccessScope, wanted: str) -> ArchivedCopy:
        """The one session that `wanted` names; see `fitting`.

        Raises:
            NotFound: there is none, or the scope does not allow it.
            BadInput: several fit, or `wanted` cannot be a key.
        """
        found = self.fitting(scope, wanted)
        if not found:
            raise NotFound(f"the archive has no session {wanted!r}", hint="karma-sync session list")
        if len(found) > 1:
            names = sorted(f"{row.session} (of {row.wrote})" for row in found)
            raise BadInput(f"{wanted!r} fits several sessions", hint=" or ".join(names[:5]))
        return self.open(found[0])

    def holds_any(self, scope: AccessScope) -> bool:
        """Whether the archive has a session that the scope allows."""
        return bool(self._rows(scope))

    def projects(self, scope: AccessScope) -> set[str]:
        """Every project of which the archive has a session that the scope allows."""
        return {row.project for row in self._rows(scope)} - {""}

    def content(self, copy: ArchivedCopy, file: ArchivedFile) -> Iterator[bytes]:
        """The exact bytes of one version of a file, piece by piece, each checked.

        Raises:
            NotFound: the session was forgotten meanwhile.
            DamagedPack: the archive is damaged.
        """
        for _ in range(_TRIES):
            row = copy.row
            try:
                source = open_pack(pack_path(self.root, row.key, row.generation))
            except FileNotFoundError:
                copy = self._again(copy)
                continue
            with source:
                placed = entries(source, row.length)
                own = [p for p in placed if (p.entry.name, p.entry.version) == file.key]
                yield from contents(source, own)
            return
        raise NotFound(f"the archive has no pack of session {copy.row.session}")

    def span(self, row: ArchivedSession, label: str, at: int, size: int) -> bytes:
        """The `size` bytes that begin `at` bytes after the beginning of one version of a file.

        Raises:
            OSError, DamagedPack: the pack was written anew meanwhile, or is damaged.
        """
        name, _, version = label.rpartition("@")
        found, start = [], 0
        with open_pack(pack_path(self.root, row.key, row.generation)) as source:
            for each in entries(source, row.length):
                if (each.entry.name, str(each.entry.version)) != (name, version):
                    continue
                end = start + each.entry.size
                if end > at and start < at + size:
                    piece = b"".join(contents(source, [each]))
                    found.append(piece[max(0, at - start) : at + size - start])
                start = end
        return b"".join(found)

    def _again(self, copy: ArchivedCopy) -> ArchivedCopy:
        """The copy as it is now; the same if it is gone."""
        with self.reading() as tx:
            row = store.get_session(tx, copy.row.key)
        return replace(copy, row=row) if row else copy

    def _rows(self, scope: AccessScope, session: str = "") -> list[ArchivedSession]:
        if not self.database.exists():
            return []
        with self.reading() as tx:
            return store.readable(tx, scope, session)
