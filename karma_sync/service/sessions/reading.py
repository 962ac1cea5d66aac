"""The sessions that a person may read: the library's, and own ones that only the archive has."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from karma_sync.archive.reader import ArchivedCopy, ArchiveReader
from karma_sync.domain import limits
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import (
    FORMAT,
    ItemFile,
    ItemKind,
    Manifest,
    Piece,
    SessionFacts,
    Tokens,
)
from karma_sync.errors import BadInput, NotFound
from karma_sync.library.reader import Library, Readable, key_of

_NO_HASH = "0" * 64
_NO_ITEM = "0" * 32


@dataclass(frozen=True)
class ReadableCopy(Readable):
    """An own session from the archive, described as if it had been packaged with nothing cut.

    It came through no folder, belongs to no team, and has no revision that anybody else knows.
    """

    copy: ArchivedCopy

    @property
    def place(self) -> str:
        """Its project, or else the directory in which it worked first."""
        return self.copy.row.project or self.copy.row.cwd


@dataclass(frozen=True)
class ReadableSessions:
    """Reads sessions wherever they are kept; what left this machine is read as it left."""

    library: Library
    archive: ArchiveReader

    def sessions(self, scope: AccessScope, most: int = 1_000_000) -> list[Readable]:
        """At most `most` sessions, the last active first; each own one once."""
        shared = self.library.sessions(scope)
        known = {r.manifest.session.session_id for r in shared if r.manifest.member == scope.user}
        copies = self.archive.sessions(scope, known, most)
        found = [*shared, *(_readable(scope.user, copy) for copy in copies)]
        return sorted(found, key=_active, reverse=True)[:most]

    def session(self, scope: AccessScope, wanted: str, archived: bool = False) -> Readable:
        """The one session that `wanted` names: a composite key, or the beginning of an id.

        With `archived`, an own session is read from the archive even if it left this machine.

        Raises:
            NotFound: there is none, or the scope does not allow it.
            BadInput: several fit, or `wanted` cannot be a key.
        """
        if archived:
            return _readable(scope.user, self.archive.session(scope, wanted))
        copies = self.archive.fitting(scope, wanted)
        try:
            found = self.library.session(scope, wanted)
        except NotFound:
            if not copies:
                raise
            return _readable(scope.user, self.archive.session(scope, wanted))
        session = found.manifest.session.session_id
        others = [copy for copy in copies if copy.row.session != session]
        if others and not wanted.endswith(session):
            keys = [str(key_of(r)) for r in (found, *(_readable(scope.user, c) for c in others))]
            raise BadInput(f"{wanted!r} fits several sessions", hint=" or ".join(keys[:5]))
        return found

    def content(self, scope: AccessScope, readable: Readable, path: str) -> Iterator[bytes]:
        """The exact bytes of one file of a session, piece by piece.

        Raises:
            NotFound: the session has no such file, or is gone.
            KarmaError: the library or the archive is damaged.
        """
        if isinstance(readable, ReadableCopy):
            return self.archive.content(readable.copy, readable.copy.file(path))
        return self.library.content(scope, readable, path)

    def projects(self, scope: AccessScope) -> set[str]:
        """Every project of which the reader may see a session."""
        return self.library.projects(scope) | self.archive.projects(scope)


def _active(readable: Readable) -> datetime:
    return readable.manifest.session.last_activity or readable.arrived


def _readable(me: str, copy: ArchivedCopy) -> ReadableCopy:
    row = copy.row
    manifest = Manifest(
        format=FORMAT,
        team="",
        project=row.project,
        member=me,
        item=_NO_ITEM,
        kind=ItemKind.SESSION,
        revision=max(1, row.archived_ms),
        session=_session_facts(copy),
        files=tuple(
            ItemFile(
                path=file.name,
                size=file.size,
                root=_NO_HASH,
                chunks=(),
                tail=Piece(sha256=_NO_HASH, size=file.size),
            )
            for file in copy.newest
        ),
        redactions={},
        redactor="",
    )
    archived = datetime.fromtimestamp(row.archived_ms / 1000, UTC)
    return ReadableCopy("", manifest, archived, copy)


def _session_facts(copy: ArchivedCopy) -> SessionFacts:
    facts: Facts = copy.facts
    active = datetime.fromtimestamp(copy.row.active_ms / 1000, UTC)
    return SessionFacts(
        agent=copy.row.agent,
        agent_name=_text(facts.agent),
        session_id=copy.row.session,
        title=_text(facts.title),
        branches=tuple(_text(b) for b in facts.branches),
        models=tuple(_text(m) for m in facts.models),
        first_activity=facts.first,
        last_activity=facts.last or active,
        records=facts.records,
        prompts=facts.prompts,
        tokens=Tokens(**facts.tokens),
    )


def _text(value: str) -> str:
    return value[: limits.TITLE_CHARS]
