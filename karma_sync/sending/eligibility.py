"""Tells to which project a session belongs, and whether it leaves."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Belonging, Names, Place, belongs
from karma_sync.domain.session.selection import (
    Candidate,
    Choices,
    Decision,
    Unshared,
    decide,
    is_unshared,
)
from karma_sync.domain.session.source_files import ReadFile, SourceSession
from karma_sync.git.places import Places
from karma_sync.store import packaged, state
from karma_sync.store.database import Database


def stored_catalogue(store: Database) -> Catalogue:
    """What every session tells of itself, kept in work.db."""

    def load() -> list[ReadFile]:
        with store.reading() as tx:
            return packaged.read_files.all(tx)

    def save(file: ReadFile) -> None:
        with store.transaction() as tx:
            packaged.read_files.put(tx, file)

    return Catalogue(load, save)


class ProjectMatcher:
    """To which project a session belongs, from what its records and git say."""

    def __init__(self, source: ClaudeSource, catalogue: Catalogue, places: Places) -> None:
        self._source = source
        self._catalogue = catalogue
        self.places = places

    def read_ahead(self, sessions: Sequence[SourceSession]) -> None:
        """Have these read on another core, if that is much; their `facts` are asked for soon."""
        self._catalogue.read_ahead(sessions)

    def close(self) -> None:
        """Read nothing ahead any more."""
        self._catalogue.close()

    def facts(self, session: SourceSession) -> Facts:
        """What the session tells of itself.

        Raises:
            OSError: it vanished, or cannot be read.
        """
        return self._catalogue.facts(session)

    def complete(self, session: SourceSession, profile: Profile) -> SourceSession:
        """The session with all that a profile takes of it: plans, and what lies apart."""
        return self._source.complete(session, self._catalogue.plans(session), profile)

    def sessions(self) -> list[SourceSession]:
        """All sessions on this machine, the one written last first."""
        return self._source.sessions()

    def at(self, path: Path) -> list[SourceSession]:
        """The sessions that a changed path belongs to."""
        if not self._source.apart.is_plan(path):
            return self._source.sessions_at(path)
        naming = (self._source.session_at(file) for file in self._catalogue.naming(path))
        return self._source.of_ids({session.session_id for session in naming if session})

    def belonging(
        self, session: SourceSession, facts: Facts, names: Names | None = None
    ) -> Belonging:
        """The project of a session that tells this, asked for by the names of one."""
        return belongs(self.where(session, facts), names)

    def where(self, session: SourceSession, facts: Facts) -> dict[str, Place]:
        """The place of each directory of a session.

        One that names no directory was written beside others: it belongs where all of them do.
        """
        cwds = facts.cwds or self._cwds_beside(session)
        return {cwd: self.places.of(cwd) for cwd in cwds}

    def _cwds_beside(self, session: SourceSession) -> list[str]:
        others = self._source.sessions_in(session.directory)
        return [cwd for other in others for cwd in self._catalogue.facts(other).cwds]


class Decider:
    """Decides from what lies on disk, what the person said, and what time it is (UTC)."""

    def __init__(
        self,
        matcher: ProjectMatcher,
        choices: Callable[[], Choices],
        now: Callable[[], datetime],
        unshared: Callable[[], Collection[Unshared]] = tuple,
    ) -> None:
        self.matcher = matcher
        self.choices = choices
        self._now = now
        self._unshared = unshared

    @classmethod
    def of(cls, matcher: ProjectMatcher, store: Database, now: Callable[[], datetime]) -> "Decider":
        """With what the person said as state.db has it, at each decision."""

        def choices() -> Choices:
            with store.reading() as tx:
                return state.choices(tx)

        def unshared() -> list[Unshared]:
            with store.reading() as tx:
                return state.unshared.all(tx)

        return cls(matcher, choices, now, unshared)

    def candidate(self, session: SourceSession, facts: Facts, names: Names) -> Candidate:
        """The session as far as the decision goes, for a project of these names."""
        places = self.matcher.where(session, facts)
        return Candidate(
            session=session.session_id,
            belonging=belongs(places, names),
            directories=tuple(places),
            last=last_active(session, facts),
            quiet_s=self._now().timestamp() - session.changed_ns / 10**9,
        )

    def foreseen(self, session: SourceSession, facts: Facts, names: Names) -> Candidate:
        """The same for what is shown beforehand, where nothing else holds back what is unshared."""
        candidate = self.candidate(session, facts, names)
        held = is_unshared(self._unshared(), wrote(session, facts), session.session_id)
        return replace(candidate, unshared=held)

    def decide(self, session: SourceSession, facts: Facts, channel: Channel) -> Decision:
        """Whether a session that tells these facts leaves through a channel."""
        candidate = self.candidate(session, facts, channel.names)
        limits = channel.subscription.limits
        return decide(candidate, channel.project, limits, self.choices())


def last_active(session: SourceSession, facts: Facts) -> datetime:
    """When a session was last active (UTC): its newest record, else its newest file."""
    return facts.last or datetime.fromtimestamp(session.changed_ns / 10**9, tz=UTC)


def wrote(session: SourceSession, facts: Facts) -> str:
    """Who wrote it: the program, and the agent where it has a name of its own."""
    return f"{session.agent}/{facts.agent}" if facts.agent else session.agent


class KnownRoots:
    """The directories that belong to projects: what git said is kept in state.db, and used again
    after a directory vanished.
    """

    def __init__(self, places: Places, store: Database) -> None:
        self._places = places
        self._store = store

    def refresh(self) -> bool:
        """Use what state.db has now; whether that is news."""
        return self._places.know(*known_roots(self._store))

    def learn(self) -> bool:
        """Keep what git said since the last call; whether there was something to keep."""
        learned = self._places.take_news()
        if learned:
            learn_roots(self._store, learned)
        return bool(learned)


def known_roots(
    store: Database,
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, ...]]]:
    """The projects of directories: those that were mapped, those learned, and former ones."""
    with store.reading() as tx:
        roots = state.roots.all(tx)
    mapped = {r.path: r.project for r in roots if r.mapped}
    learned = {r.path: r.project for r in roots if not r.mapped}
    return mapped, learned, {r.path: r.former for r in roots}


def learn_roots(store: Database, learned: dict[str, str]) -> None:
    """Keep what git said about directories, so that they still count after they vanish."""
    with store.transaction() as tx:
        known = {root.path: root for root in state.roots.all(tx)}
        for path, identity in learned.items():
            before = known.get(path)
            if before is None:
                state.roots.put(tx, state.KnownDirectory(path=path, project=identity))
            elif not before.mapped and before.project != identity:
                state.roots.put(tx, before.now(identity))
