"""Reads archived sessions; opens archive.db read-only, and never writes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from karma_sync.archive import store
from karma_sync.archive.pack import contents, entries, open_pack, pack_path
from karma_sync.archive.store import ArchivedFile, ArchivedSession, facts_of
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.facts import Facts
from karma_sync.errors import BadInput, NotFound
from karma_sync.store.read_only import reading_only

_TRIES = 5  # for a pack that is written anew while it is looked for


@dataclass(frozen=True)
class ArchivedCopy:
    """An archived session with all versions of its files, by name and version."""

    row: ArchivedSession
    files: tuple[ArchivedFile, ...]

    @property
    def facts(self) -> Facts:
        """The facts from its transcript."""
        return facts_of(store.newest(self.files))

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
        raise NotFound(f"the session has no file {name!r}", hint=f"it has {', '.join(names)}")


@dataclass(frozen=True)
class ArchiveReader:
    """The archive at `root`, as `database` describes it; empty if there is none."""

    root: Path
    database: Path

    def sessions(self, scope: AccessScope, most: int = 1_000_000) -> list[ArchivedCopy]:
        """At most `most` sessions that the scope allows, the last active first."""
        return self._found(scope, "", most)

    def session(self, scope: AccessScope, wanted: str) -> ArchivedCopy:
        """The one session whose id begins with `wanted`.

        Raises:
            NotFound: no session does, or the scope does not allow it.
            BadInput: several sessions do.
        """
        found = self._found(scope, wanted) if wanted else []
        exact = [copy for copy in found if copy.row.session == wanted]
        if not found:
            raise NotFound(f"the archive has no session {wanted!r}", hint="karma-sync session list")
        if len(exact or found) > 1:
            names = sorted(f"{copy.row.session} (of {copy.row.agent})" for copy in found)
            raise BadInput(f"{wanted!r} fits several sessions", hint=" or ".join(names[:5]))
        return (exact or found)[0]

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

    def _again(self, copy: ArchivedCopy) -> ArchivedCopy:
        scope = AccessScope("")
        found = self._found(scope, copy.row.session)
        return next((each for each in found if each.row.key == copy.row.key), copy)

    def _found(self, scope: AccessScope, session: str, most: int = 1_000_000) -> list[ArchivedCopy]:
        if not self.database.exists():
            return []
        with reading_only(self.database) as tx:
            rows = store.readable(tx, scope, session, most)
            return [ArchivedCopy(row, tuple(store.files_of(tx, row.key))) for row in rows]

    def _rows(self, scope: AccessScope) -> Iterable[ArchivedSession]:
        if not self.database.exists():
            return []
        with reading_only(self.database) as tx:
            return store.readable(tx, scope)
