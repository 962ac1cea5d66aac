"""The sessions that a person may read: the library's, and own ones that only the archive has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from karma_sync.agents.growing_file import skipped
from karma_sync.archive.reader import ArchivedCopy, ArchiveReader
from karma_sync.archive.store import ArchivedFile, ArchivedSession
from karma_sync.domain.access import AccessScope
from karma_sync.domain.ids import user_of
from karma_sync.domain.session.manifest import (
    FORMAT,
    ItemFile,
    Manifest,
    Piece,
    SessionFacts,
    Tokens,
)
from karma_sync.domain.session.profile import TRANSCRIPT, ItemKind
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import BadInput
from karma_sync.library.reader import Library, the_one

_NO_HASH = "0" * 64
_NO_ITEM = "0" * 32


@dataclass(frozen=True)
class ReadableCopy(Readable):
    """An own session from the archive, described as if it had been packaged with nothing cut.

    It came through no folder, belongs to no team, and has no revision that anybody else knows. In
    a list its manifest has one file that stands for all; `copy` has them when it was asked for.
    """

    row: ArchivedSession
    copy: ArchivedCopy | None = None

    @property
    def place(self) -> str:
        """The session's project, or else the directory in which it worked first."""
        return self.row.project or self.row.cwd

    @property
    def earlier(self) -> list[str]:
        """The names of the versions of files that were replaced."""
        return [file.label for file in self.copy.earlier] if self.copy else []


@dataclass(frozen=True)
class ReadableSessions:
    """Reads sessions wherever they are kept; what left this machine is read as it left.

    `other_names` maps other names of shared projects to their present ones.
    """

    library: Library
    archive: ArchiveReader
    other_names: Mapping[str, str]

    def sessions(self, scope: AccessScope) -> list[Readable]:
        """All sessions that the scope allows, the last active first; each own one once."""
        shared = self.library.sessions(scope)
        known = {r.manifest.session.session_id for r in shared if r.manifest.member == scope.user}
        rows = [self._renamed(row) for row in self.archived(scope) if row.session not in known]
        if not rows:
            return shared
        found = [*shared, *(_listed(scope.user, row) for row in rows)]
        return sorted(found, key=_active, reverse=True)

    def only_archived(self, scope: AccessScope) -> list[Readable]:
        """The own sessions that the archive has, shared or not, as a list shows them."""
        return [self.copy_of(scope, row) for row in self.archived(scope)]

    def archived(self, scope: AccessScope) -> list[ArchivedSession]:
        """The sessions of the archive that the scope allows, as they were archived."""
        return self.archive.sessions(self.by_all_names(scope))

    def copy_of(self, scope: AccessScope, row: ArchivedSession) -> Readable:
        """An archived session as a list shows it."""
        return _listed(scope.user, self._renamed(row))

    def session(
        self, scope: AccessScope, wanted: str, by: str = "", archived: bool = False
    ) -> Readable:
        """The one session that `wanted` and `by` name, as `Library.session` takes them.

        With `archived`, an own session is read from the archive even if it left this machine.

        Raises:
            NotFound: there is none, or the scope does not allow it.
            BadInput: several fit, or `wanted` cannot be a key.
        """
        is_mine = by in ("", scope.user, user_of(scope.user))
        if archived and not is_mine:
            raise BadInput(
                f"the archive has your own sessions only, none by {by}", hint="leave out --archived"
            )
        if archived:
            return self._opened(scope, self.archive.session(scope, wanted).row)
        found = self.library.fitting(scope, wanted, by)
        mine = {r.manifest.session.session_id for r in found if r.manifest.member == scope.user}
        if is_mine:
            rows = self.archive.fitting(self.by_all_names(scope), wanted)
            new = [self._renamed(row) for row in rows if row.session not in mine]
            found += [_listed(scope.user, row) for row in new]
        return self.opened(scope, the_one(scope, wanted, found))

    def opened(self, scope: AccessScope, listed: Readable) -> Readable:
        """A session of a list with all its files."""
        return self._opened(scope, listed.row) if isinstance(listed, ReadableCopy) else listed

    def _opened(self, scope: AccessScope, row: ArchivedSession) -> ReadableCopy:
        copy = self.archive.open(row)
        return _readable(scope.user, row, copy.newest, copy)

    def content(
        self, scope: AccessScope, readable: Readable, path: str, begin: int = 0
    ) -> Iterator[bytes]:
        """The exact bytes of one file of a session, piece by piece, after the first `begin` bytes.

        Raises:
            NotFound: the session has no such file, or is gone.
            KarmaError: the library or the archive is damaged.
        """
        if isinstance(readable, ReadableCopy):
            copy = readable.copy or self.archive.open(readable.row)
            return skipped(self.archive.content(copy, copy.file(path)), begin)
        return self.library.content(scope, readable, path, begin)

    def places(self, scope: AccessScope, readable: Readable, begin: str) -> list[tuple[str, int]]:
        """Places (path, at) of records whose ids may begin with `begin`, as an index has them."""
        if isinstance(readable, ReadableCopy):
            return []
        return self.library.places(scope, readable, begin)

    def projects(self, scope: AccessScope) -> set[str]:
        """Every project of which the reader may see a session."""
        archived = self.archive.projects(self.by_all_names(scope))
        return self.library.projects(scope) | {self._name(project) for project in archived}

    def _name(self, project: str) -> str:
        return self.other_names.get(project, project)

    def _renamed(self, row: ArchivedSession) -> ArchivedSession:
        """The session with the present name of its project."""
        return replace(row, project=self._name(row.project))

    def by_all_names(self, scope: AccessScope) -> AccessScope:
        """The scope, for sessions that have their projects' names from when they were archived."""
        if scope.only is None:
            return scope
        others = {other for other, name in self.other_names.items() if name in scope.only}
        return replace(scope, only=scope.only | others)


def _active(readable: Readable) -> datetime:
    return readable.manifest.session.last_activity or readable.arrived


def _listed(me: str, row: ArchivedSession) -> ReadableCopy:
    return _readable(me, row, [ArchivedFile(TRANSCRIPT, 1, "", row.size)], None)


def _readable(
    me: str, row: ArchivedSession, files: Sequence[ArchivedFile], copy: ArchivedCopy | None
) -> ReadableCopy:
    manifest = Manifest(
        format=FORMAT,
        team="",
        project=row.project,
        member=me,
        item=_NO_ITEM,
        kind=ItemKind.SESSION,
        revision=max(1, row.archived_ms),
        session=_session_facts(row),
        files=tuple(
            ItemFile(
                path=file.name,
                size=file.size,
                root=_NO_HASH,
                chunks=(),
                tail=Piece(sha256=_NO_HASH, size=file.size),
            )
            for file in files
        ),
        redactions={},
        redactor="",
    )
    return ReadableCopy("", manifest, _moment(row.archived_ms), row, copy)


def _session_facts(row: ArchivedSession) -> SessionFacts:
    about = row.about
    return SessionFacts(
        agent=row.agent,
        agent_name=about.agent_name,
        session_id=row.session,
        title=about.title,
        branches=about.branches,
        models=about.models,
        first_activity=about.first,
        last_activity=about.last or _moment(row.active_ms),
        records=about.records,
        prompts=about.prompts,
        tokens=Tokens(**about.tokens),
    )


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)
