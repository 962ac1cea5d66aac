"""The parts that commands and the daemon use, each made when it is first used.

The imports are inside the methods, so that a short command loads only what it uses. The daemon's
other parts are made in `daemon/wiring.py`.
"""

import atexit
import os
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.files import refuse_root, require_writable
from karma_sync.paths import Paths

if TYPE_CHECKING:
    from karma_sync.agents.catalogue import Catalogue
    from karma_sync.agents.claude.source import ClaudeSource
    from karma_sync.archive.reader import ArchiveReader
    from karma_sync.domain.access import AccessScope
    from karma_sync.domain.session.frame import Frames
    from karma_sync.git.places import Places
    from karma_sync.library.observations import Observations
    from karma_sync.library.reader import Library, LibraryView
    from karma_sync.redact.custom.redactions_file import RedactionsFile
    from karma_sync.runtime.change_log import ChangeLog
    from karma_sync.runtime.event_log import EventLog
    from karma_sync.sending.eligibility import Decider, KnownRoots, ProjectMatcher
    from karma_sync.service.sessions.observations import ObservationParts, ObservationSurvey
    from karma_sync.service.sessions.reading import ReadableSessions
    from karma_sync.service.sessions.search import SessionSearch
    from karma_sync.settings import ObservationSettings, Settings
    from karma_sync.signing import SigningKey
    from karma_sync.store.database import Database
from karma_sync.runtime.timing import utc_now


class App:
    """One member's parts, each made when it is first used.

    Before `init` there is no identity: then every property that needs one raises NotInitialised,
    and no file is made.
    """

    def __init__(
        self,
        paths: Paths,
        environ: Mapping[str, str] = os.environ,
        is_replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_replaced` tells whether the program on disk is another one; for what runs long."""
        self.paths = paths
        self._environ = environ
        self._is_replaced = is_replaced

    @classmethod
    def from_environment(cls, is_replaced: Callable[[], bool] = lambda: False) -> "App":
        """The member whose home the environment variables name.

        The databases are closed when the program ends: SQLite then deletes the write-ahead logs,
        which hold deleted text.
        """
        app = cls(Paths.from_environment(os.environ), is_replaced=is_replaced)
        refuse_root(app.paths.settings)
        atexit.register(_close, weakref.ref(app))
        return app

    @cached_property
    def settings(self) -> "Settings":
        """The settings from config.toml and the environment variables."""
        from karma_sync.settings import load

        return load(self.paths, self._environ)

    @cached_property
    def key(self) -> "SigningKey":
        """My signing key."""
        from karma_sync.signing import SigningKey

        return SigningKey.load(self.paths.key)

    @cached_property
    def me(self) -> PairingCode:
        """My pairing code: tag, device ID, public key, and the addresses that others dial."""
        from karma_sync.syncthing.certificate import device_id

        tag = self.settings.tag
        device = device_id(self.paths.syncthing)
        return PairingCode(tag, device, self.key.public, self.settings.dial_addresses)

    @cached_property
    def state(self) -> "Database":
        """state.db; each commit also updates intent.json and records changes as events."""
        from karma_sync.store.intent import IntentFile
        from karma_sync.store.state import open_state

        store = open_state(self._database(self.paths.state_db))
        intent = IntentFile(self.paths.intent, utc_now, self._limited, self._is_replaced)

        def committed() -> None:
            intent.keep(store, self.key.public)
            self.change_log.run()

        store.after_commit(committed)
        intent.take_over(store, self.key.public)
        return store

    def _limited(self, why: str) -> None:
        self.event_log.record_fault("limited", self.settings.tag, why)

    @cached_property
    def change_log(self) -> "ChangeLog":
        """Records changes of state.db as events."""
        from karma_sync.runtime.change_log import ChangeLog

        return ChangeLog(self.state, self.work, self.settings.tag, utc_now)

    @cached_property
    def work(self) -> "Database":
        """work.db."""
        from karma_sync.store.work import open_work

        return open_work(self._database(self.paths.work_db))

    @cached_property
    def library(self) -> "Database":
        """library.db."""
        from karma_sync.store.library import open_library

        return open_library(self._database(self.paths.library_db))

    @cached_property
    def reader(self) -> "Library":
        """Reads sessions from the library."""
        from karma_sync.library.reader import Library

        return Library(self.paths.library, self.library)

    @property
    def search(self) -> "SessionSearch":
        """Searches the sessions that I may read now."""
        from karma_sync.service.sessions.search import session_search

        return session_search(
            self.state,
            self.sessions,
            utc_now(),
            # of an unreadable directory nobody knows which sessions were deleted
            lambda: self.source.ids() if self.source.is_complete else None,
            lambda: self.source.open_sessions(),
        )

    @property
    def scope(self) -> "AccessScope":
        """My access, by the teams and answers that state.db has now."""
        from karma_sync.store.readable import scope_of

        return scope_of(self.state, self.settings.tag)

    @property
    def view(self) -> "LibraryView":
        """The library as I may read it now."""
        from karma_sync.library.reader import LibraryView

        return LibraryView(self.reader, self.scope)

    @cached_property
    def archive_store(self) -> "Database":
        """archive.db, for those who write to it; `archive` reads it."""
        from karma_sync.archive.store import open_archive

        return open_archive(self._database(self.paths.archive_db))

    @cached_property
    def archive(self) -> "ArchiveReader":
        """Reads the archive of this person's own sessions."""
        from karma_sync.archive.reader import ArchiveReader

        return ArchiveReader(self.paths.archive, self._database(self.paths.archive_db))

    @property
    def sessions(self) -> "ReadableSessions":
        """Reads sessions, from the library or else from the archive."""
        from karma_sync.service.projects import other_names
        from karma_sync.service.sessions.reading import ReadableSessions

        return ReadableSessions(self.reader, self.archive, other_names(self.state))

    def open_databases(self) -> None:
        """Open all databases, so that the daemon fails before it starts if one cannot be used.

        Raises:
            NotWritable: we may not write to one of them.
            DatabaseUnusable: one of them is damaged or locked.
            BadInput: config.toml has another tag than the one that my teams know.
        """
        from karma_sync.service.sessions.choices import withhold_again
        from karma_sync.service.sessions.withdrawal import unshare_again
        from karma_sync.service.setup import require_known_name
        from karma_sync.settings import Keep

        paths = self.paths
        for store in (paths.state_db, paths.work_db, paths.library_db, paths.archive_db):
            require_writable(store)
        _ = self.state, self.work, self.library
        if self.settings.archive.keep is not Keep.OFF:
            _ = self.archive_store
        require_known_name(self.state, self.me, self.paths.settings)
        for session in withhold_again(self.state, self.work):
            self._limited(f"{session}, the database was older: it is withheld again")
        for name in unshare_again(self.state, self.work):
            self._limited(f"{name}, the database was older: it is unshared again")

    @cached_property
    def catalogue(self) -> "Catalogue":
        """The facts about every session of the agent; work.db keeps those that were read."""
        from karma_sync.sending.eligibility import stored_catalogue

        return stored_catalogue(self.work)

    @cached_property
    def source(self) -> "ClaudeSource":
        """Finds the agent's sessions and their files."""
        from karma_sync.agents.claude.source import ClaudeSource

        return ClaudeSource(
            self.settings.claude_dirs,
            lambda path: self.catalogue.session_named(path),
            lambda file: self.catalogue.of_file(file),
        )

    @cached_property
    def event_log(self) -> "EventLog":
        """Records refusals and faults as events."""
        from karma_sync.runtime.event_log import EventLog

        return EventLog(self.work, utc_now)

    @cached_property
    def places(self) -> "Places":
        """Asks git to which project a directory belongs."""
        from karma_sync.git.places import Places

        return Places()

    @cached_property
    def roots(self) -> "KnownRoots":
        """Exchanges known directories between `places` and state.db."""
        from karma_sync.sending.eligibility import KnownRoots

        return KnownRoots(self.places, self.state)

    @cached_property
    def matcher(self) -> "ProjectMatcher":
        """Decides to which project a session belongs."""
        from karma_sync.sending.eligibility import ProjectMatcher

        self.roots.refresh()
        return ProjectMatcher(self.source, self.catalogue, self.places)

    def observation_settings(self) -> "ObservationSettings":
        """The settings of observations in config.toml and the environment at this moment.

        A switch that a person turns off stops everything at once.
        """
        from karma_sync.settings import load

        return load(self.paths, self._environ).observations

    @cached_property
    def observations(self) -> "ObservationParts":
        """The sources of observations on this machine, and what selects those that leave."""
        from karma_sync.service.sessions.observations import observation_parts

        return observation_parts(
            self.settings,
            self.paths.observations,
            lambda: self.observation_settings().authors,
            self.matcher,
        )

    @cached_property
    def observation_survey(self) -> "ObservationSurvey":
        """Shows which observations would leave."""
        from karma_sync.service.sessions.observations import ObservationSurvey

        return ObservationSurvey(
            self.observations,
            self.state,
            self.library,
            lambda: self.redactions.redactor(),
            self.settings.tag,
        )

    @property
    def read_observations(self) -> "Observations":
        """Reads observations from the library."""
        from karma_sync.library.observations import Observations

        return Observations(self.library)

    @cached_property
    def decider(self) -> "Decider":
        """Decides whether a session leaves."""
        from karma_sync.sending.eligibility import Decider
        from karma_sync.sending.forks import ForkFinder

        tag = self.settings.tag
        forks = ForkFinder(self.state, lambda: self.work, lambda: self.library, tag)
        return Decider.from_store(self.matcher, self.state, utc_now, forks)

    @cached_property
    def redactions(self) -> "RedactionsFile":
        """The person's own texts and rules, and the redactor made with them."""
        from karma_sync.redact.custom.redactions_file import RedactionsFile

        return RedactionsFile(self.paths.redactions, self.settings.redaction, self.frames)

    @cached_property
    def frames(self) -> "Frames":
        """Marks what an agent is given, and cuts it from what leaves."""
        from karma_sync.domain.session.frame import Frames

        return Frames(self.key.derived("karma-sync frames"))

    def _database(self, path: Path) -> Path:
        """The path of a database; raises NotInitialised before `init`, so that none is made."""
        self.settings  # noqa: B018 raises NotInitialised
        return path

    def close(self) -> None:
        """Close the databases that were opened."""
        for name in ("state", "work", "library", "archive_store"):
            if name in self.__dict__:
                self.__dict__[name].close()


def _close(app: "weakref.ref[App]") -> None:
    if (found := app()) is not None:
        found.close()
