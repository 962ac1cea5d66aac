"""Use cases of `session restore` and `session purge`, and what `status` shows of the archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.archive.forgetting import Forgetter
from karma_sync.archive.indexing import ArchiveIndexer
from karma_sync.archive.reader import ArchiveReader
from karma_sync.archive.restoring import RestoredFiles, require_gone, restore
from karma_sync.archive.store import ArchivedSession
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.selection import Share, Withhold
from karma_sync.errors import NotFound
from karma_sync.store import state
from karma_sync.store.database import Database


@dataclass(frozen=True)
class RestoredSession:
    """A session that the agent has again; `cwd` is the first directory in which it worked."""

    session: str
    cwd: str
    files: RestoredFiles


def restore_session(
    reader: ArchiveReader, store: Database, scope: AccessScope, wanted: str, homes: Sequence[Path]
) -> RestoredSession:
    """Put an archived session back below the agent's directory; it stays on this machine.

    `homes` are the agent's directories now. Of several it is the one from which it came.

    It is withheld before the agent has it, so that it cannot leave. A part that left before stays
    with the receivers, unchanged, until the person shares the session.

    Raises:
        NotFound: the archive has no such session.
        Conflict: the agent has it.
        KarmaError: the archive is damaged, or a file cannot be written; nothing was changed.
    """
    copy = reader.session(scope, wanted)
    home = next((each for each in homes if str(each) == copy.row.home), homes[0])
    require_gone(copy, home)
    session = copy.row.session
    with store.transaction() as tx:
        was_withheld = bool(state.withholds.all(tx, session=session))
        shares = state.shares.all(tx, session=session)
        state.withholds.put(tx, Withhold(session=session))
        state.shares.drop(tx, session=session)
    try:
        files = restore(reader, copy, home)
    except BaseException:
        _undo(store, session, was_withheld, shares)
        raise
    return RestoredSession(session, copy.row.cwd, files)


def _undo(store: Database, session: str, was_withheld: bool, shares: Sequence[Share]) -> None:
    with store.transaction() as tx:
        state.shares.put(tx, *shares)
        if not was_withheld:
            state.withholds.drop(tx, session=session)


@dataclass(frozen=True)
class Forgettable:
    """A session that can be purged; `wrote` is the agent with its name, `size` in bytes."""

    key: tuple[str, str]
    session: str
    wrote: str
    size: int
    title: str


def to_purge(
    reader: ArchiveReader, scope: AccessScope, wanted: str | None, directory: str | None
) -> list[Forgettable]:
    """The archived sessions that a person names: one, or all that worked first in a directory.

    Raises:
        NotFound: the archive has none.
        BadInput: several sessions fit.
    """
    if wanted is not None:
        return [_forgettable(reader.session(scope, wanted).row)]
    found = [row for row in reader.sessions(scope) if row.cwd == directory]
    if not found:
        raise NotFound(f"the archive has no session of {directory}", hint="karma-sync status")
    return [_forgettable(row) for row in found]


def _forgettable(row: ArchivedSession) -> Forgettable:
    return Forgettable(row.key, row.session, row.wrote, row.size, row.about.title)


def purge(root: Path, database: Database, found: Sequence[Forgettable], now: datetime) -> None:
    """Forget sessions for good: they are deleted from the archive, and never archived again."""
    forgetter = Forgetter(root, database, ArchiveIndexer(root, database, EXTRACTORS))
    forgetter.purge([each.key for each in found], int(now.timestamp() * 1000))


def is_archived(reader: ArchiveReader, scope: AccessScope, session: str) -> bool:
    """Whether the archive has the session with this id, as it was before any redaction."""
    return any(row.session == session for row in reader.fitting(scope, session))
