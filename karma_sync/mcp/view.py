"""The data that the asking agent may see now: opened for one question, and closed after it.

Nothing is kept from one question to the next but what git said about the directory. So a session
that was taken back, and a team that was left, are gone in the next answer.
"""

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import psutil

from karma_sync.app import App
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.activity import WantedFile
from karma_sync.domain.session.frame import Frames
from karma_sync.domain.session.project import Place
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import KarmaError
from karma_sync.git.places import Places
from karma_sync.git.repository import repository_at
from karma_sync.library.observations import Observations
from karma_sync.paths import Paths
from karma_sync.runtime.timing import utc_now
from karma_sync.sending.eligibility import KnownRoots
from karma_sync.service.sessions.agent_scope import AgentReach, agent_scope
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.service.sessions.search import SessionSearch


@dataclass(frozen=True)
class AgentView:
    """The sessions that an agent may read.

    `project` is the one to which it is bound, "" if to none. `asking` are the sessions in which it
    asks, which are left out. `frames` mark what it is given. `here` is where it works.
    """

    scope: AccessScope
    project: str
    sessions: ReadableSessions
    search: SessionSearch
    observations: Observations
    asking: frozenset[str]
    frames: Frames
    here: Path
    now: datetime

    @property
    def me(self) -> str:
        """The tag of the person for whom the agent works."""
        return self.scope.user

    @property
    def place(self) -> str:
        """The agent's project, for the first line of an answer."""
        return self.project or "all projects"

    def file(self, path: str, since: datetime | None = None) -> WantedFile:
        """The file that the agent means: seen from the root of its repository, or as it said."""
        below = path.replace("\\", "/")
        whole = Path(os.path.abspath(self.here / path))  # noqa: PTH100 does not follow links
        root = root_of_repository(self.here)
        if root is not None and whole.is_relative_to(root):
            below = str(whole.relative_to(root))
        names = self.sessions.by_all_names(self.scope).only
        below = posixpath.normpath(below)
        return WantedFile("" if below == "." else below, names, since=since)

    def is_asking(self, readable: Readable) -> bool:
        """Whether this is the session in which the agent asks."""
        manifest = readable.manifest
        return manifest.member == self.me and manifest.session.session_id in self.asking

    def is_live(self, readable: Readable) -> bool:
        """Whether somebody is probably working in a session now."""
        return self.search.searcher.is_live(self.scope, readable)


class Views:
    """Opens views for an agent that works in the directory `here`."""

    def __init__(
        self,
        paths: Paths,
        environ: Mapping[str, str],
        here: Path,
        reach: AgentReach,
        is_replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_replaced` tells whether the program on disk is another one than this."""
        self._paths = paths
        self._environ = dict(environ)
        self._here = here
        self._reach = reach
        self._places = Places()
        self._is_replaced = is_replaced

    @contextmanager
    def opened(self) -> Iterator[AgentView]:
        """A view of the present data.

        Raises:
            NotInitialised: there is no identity yet.
            NoProject: the agent works in no project.
            DatabaseUnusable: a database cannot be read.
        """
        app = App(self._paths, self._environ, self._is_replaced)
        try:
            yield self._view(app)
        finally:
            app.close()

    def _view(self, app: App) -> AgentView:
        def here() -> Place:
            KnownRoots(self._places, app.state).refresh()
            return self._places.of(str(self._here))

        found = agent_scope(app.state, app.scope, app.key.public, self._reach, here)
        asking = app.source.sessions_of(_processes_above(), self._environ)
        return AgentView(
            *(found.scope, found.project, app.sessions, app.search, app.read_observations, asking),
            frames=app.frames,
            here=self._here,
            now=utc_now(),
        )


@cache
def root_of_repository(here: Path) -> Path | None:
    """The root of the repository in which a directory lies; asked once."""
    try:
        repository = repository_at(here)
    except KarmaError:
        return None
    return _nearest(here, repository.tree) if repository else None


def _nearest(here: Path, tree: Path) -> Path:
    """The root as the agent sees it: its directory may be a path through links."""
    return next((each for each in (here, *here.parents) if each.resolve() == tree), tree)


def _processes_above() -> frozenset[int]:
    """The processes that started this one."""
    try:
        return frozenset(process.pid for process in psutil.Process().parents())
    except psutil.Error:
        return frozenset()
