"""Use case of `who`: whose agent read or changed a file, when, in which session."""

import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.archive.index import FOLDER, key_of
from karma_sync.archive.store import get_session
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.activity import WantedFile
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import KarmaError
from karma_sync.git.repository import repository_at
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.service.sessions.search import SessionSearch
from karma_sync.store import readable as queries
from karma_sync.store.touched import Touched, touched

_WIDE = 4  # so many times as many rows are asked for as sessions: one may have several


@dataclass
class Work:
    """The work of one session on a file, or on the files below a directory.

    `reads` and `changes` are numbers of calls; `files` the paths below the repository, at most as
    many as were asked for. `when` (UTC) is the last of the calls, `message` the id of its record.
    """

    readable: Readable
    is_live: bool = False
    reads: int = 0
    changes: int = 0
    when: datetime | None = None
    changed: datetime | None = None
    message: str = ""
    files: list[str] = field(default_factory=list)

    def add(self, found: Touched) -> None:
        """Count one more file that was read or changed; the latest comes first."""
        when = _moment(found.last)
        if self.when is None:
            self.when, self.message = when, found.message
        if found.changes:
            self.changes += found.times
            self.changed = self.changed or when
        else:
            self.reads += found.times
        if found.path not in self.files:
            self.files.append(found.path)


def who(
    search: SessionSearch, scope: AccessScope, wanted: WantedFile, most: int = 50
) -> list[Work]:
    """At most `most` sessions that read or changed the file, the latest first.

    Raises:
        DatabaseUnusable: the archive's database cannot be read.
    """
    library = search.sessions.library
    with library.store.reading() as tx:
        found = touched(tx, scope, wanted, scope.user, most * _WIDE)
        known = queries.items(tx, scope, {(f.folder, f.item) for f in found})
    found += _archived(search.sessions, scope, wanted, most * _WIDE)
    works: dict[tuple[str, str], Work] = {}
    of: dict[tuple[str, str], tuple[str, str]] = {}
    for each in sorted(found, key=lambda f: -f.last):
        # a session that came through two teams counts once
        place = of.setdefault((each.member, each.session), (each.folder, each.item))
        if place != (each.folder, each.item) or (place not in works and len(works) == most):
            continue
        if place not in works:
            readable = known.get(place) or _archived_one(search.sessions, scope, each)
            if readable is None:
                continue
            works[place] = Work(readable, search.searcher.is_live(scope, readable))
        works[place].add(each)
    return list(works.values())


def _archived(
    sessions: ReadableSessions, scope: AccessScope, wanted: WantedFile, most: int
) -> list[Touched]:
    """The same of own sessions that only the archive has."""
    archive = sessions.archive
    if not scope.sees_own or not archive.database.exists():
        return []
    only = sessions.by_all_names(scope).only
    own = AccessScope("", frozenset({""}), agents=scope.agents, only=only)
    with archive.reading() as tx:
        found = touched(tx, own, wanted, "", most)
    with sessions.library.store.reading() as tx:
        shared = queries.own_among(tx, scope, {each.session for each in found})
    mine = (replace(each, member=scope.user) for each in found)
    return [each for each in mine if (each.agent, each.session) not in shared]


def _archived_one(
    sessions: ReadableSessions, scope: AccessScope, found: Touched
) -> Readable | None:
    if found.folder != FOLDER:
        return None
    with sessions.archive.reading() as tx:
        row = get_session(tx, key_of(found.item))
    return sessions.copy_of(scope, row) if row else None


def wanted_file(
    typed: str,
    here: Path,
    identity: Callable[[str], str],
    other_names: Mapping[str, str],
    project: str = "",
) -> WantedFile:
    """The file that a person typed: seen from the root of the repository in which it lies.

    `identity` returns the project of a directory, "" if it has none. In the directory of no
    project, and with a `project`, the path is taken as it was typed; "." in no project is the
    directory on this machine. The file need not exist here.
    """
    whole = os.path.abspath(here / typed)  # noqa: PTH100 does not follow links
    if project:
        return WantedFile(_cleaned(typed), _all_names(project, other_names))
    at = Path(whole)
    existing = next((each for each in (at, *at.parents) if os.path.isdir(each)), here)  # noqa: PTH112 also where the name is too long
    try:
        repository = repository_at(existing)
    except KarmaError:
        repository = None
    named = identity(str(existing)) if repository else ""
    if repository is None or not named:
        return WantedFile(_cleaned(typed) or whole, None, whole)
    real = Path(os.path.realpath(existing)) / at.relative_to(existing)
    below = (
        str(real.relative_to(repository.tree)) if real.is_relative_to(repository.tree) else typed
    )
    return WantedFile(_cleaned(below), _all_names(named, other_names), whole)


def _all_names(project: str, other_names: Mapping[str, str]) -> frozenset[str]:
    named = other_names.get(project, project)
    return frozenset({named, *(other for other, of in other_names.items() if of == named)})


def _cleaned(path: str) -> str:
    found = posixpath.normpath(path.replace("\\", "/"))
    return "" if found == "." else found


def _moment(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
