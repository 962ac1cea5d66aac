"""Finds the project that a session belongs to, and decides whether the session leaves.

The rules are in domain/session/project.py and domain/session/selection.py, without any I/O. This
module reads for them: the agent's files, git, the clock, and the person's choices in state.db.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Belonging, Names, Place, belonging_of
from karma_sync.domain.session.selection import (
    Candidate,
    Choices,
    Decision,
    Exclusion,
    Unshared,
    decide,
    is_unshared,
)
from karma_sync.domain.session.source_files import ReadFile, SourceSession
from karma_sync.git.places import Places, real_path
from karma_sync.sending.exclusions import ExclusionLinks
from karma_sync.sending.forks import ForkFinder
from karma_sync.store import packaged, state
from karma_sync.store.database import Database


def stored_catalogue(store: Database) -> Catalogue:
    """A catalogue of the facts of all sessions that keeps them in work.db."""

    def load() -> list[ReadFile]:
        with store.reading() as tx:
            return packaged.read_files.all(tx)

    def save(file: ReadFile) -> None:
        with store.transaction() as tx:
            packaged.read_files.put(tx, file)

    return Catalogue(load, save)


class ProjectMatcher:
    """Finds the project of a session from the directories in its records and from git."""

    def __init__(self, source: ClaudeSource, catalogue: Catalogue, places: Places) -> None:
        self._source = source
        self._catalogue = catalogue
        self.places = places

    def with_mapped(self, mapped: Mapping[str, str]) -> "ProjectMatcher":
        """The same, if the person had assigned these directories to projects, and no others."""
        if mapped == self.places.mapped:
            return self
        return ProjectMatcher(self._source, self._catalogue, self.places.with_mapped(mapped))

    def read_ahead(self, sessions: Sequence[SourceSession]) -> None:
        """Read these sessions in another process if they are large: `facts` needs them soon."""
        self._catalogue.read_ahead(sessions)

    def close(self) -> None:
        """Stop reading ahead."""
        self._catalogue.close()

    def facts(self, session: SourceSession) -> Facts:
        """The facts in a session's own records.

        Raises:
            OSError: a file of the session vanished, or cannot be read.
        """
        return self._catalogue.facts(session)

    def complete(self, session: SourceSession, profile: Profile) -> SourceSession:
        """The session with every file that the profile takes: also plans, and files elsewhere."""
        return self._source.complete(session, self._catalogue.plans(session), profile)

    def sessions(self) -> list[SourceSession]:
        """All sessions on this machine, the last written first."""
        return self._source.sessions()

    def sessions_at(self, path: Path) -> list[SourceSession]:
        """The sessions that the file at a changed path belongs to."""
        if not self._source.is_plan(path):
            return self._source.sessions_at(path)
        naming = (
            self._source.session_at(file) for file in self._catalogue.transcripts_naming(path)
        )
        return self._source.of_ids({session.session_id for session in naming if session})

    def belonging(
        self, session: SourceSession, facts: Facts, names: Names | None = None
    ) -> Belonging:
        """The way a session with these facts belongs to the project with these names."""
        return belonging_of(self.places_of(session, facts), names)

    def places_of(self, session: SourceSession, facts: Facts) -> dict[str, Place]:
        """The place of each directory that a session worked in.

        A session that names no directory gets those of the other sessions in its directory of the
        agent's home.
        """
        return {cwd: self.places.of(cwd) for cwd in self.directories_of(session, facts)}

    def directories_of(self, session: SourceSession, facts: Facts) -> list[str]:
        """The directories that a session worked in; see `places_of`."""
        return facts.cwds or self._cwds_beside(session)

    def _cwds_beside(self, session: SourceSession) -> list[str]:
        return self.worked_in(session.directory)

    def worked_in(self, directory: Path) -> list[str]:
        """The directories in which sessions of one of the agent's project directories worked."""
        others = self._source.sessions_in(directory)
        return [cwd for other in others for cwd in self._catalogue.facts(other).cwds]


class Decider:
    """Decides whether a session leaves: from its files, the person's choices and the time (UTC)."""

    def __init__(
        self,
        matcher: ProjectMatcher,
        choices: Callable[[], Choices],
        now: Callable[[], datetime],
        unshared: Callable[[], Collection[Unshared]] = tuple,
        forks: ForkFinder | None = None,
    ) -> None:
        self.matcher = matcher
        self._choices = choices
        self._links = ExclusionLinks()
        self._now = now
        self._unshared = unshared
        self._forks = forks

    @classmethod
    def from_store(
        cls,
        matcher: ProjectMatcher,
        store: Database,
        now: Callable[[], datetime],
        forks: ForkFinder | None = None,
    ) -> "Decider":
        """A decider that reads the person's choices from state.db at each decision.

        With `forks`, it first records whether the session is a fork.
        """

        def choices() -> Choices:
            with store.reading() as tx:
                return state.choices(tx)

        def unshared() -> list[Unshared]:
            with store.reading() as tx:
                return state.unshared.all(tx)

        return cls(matcher, choices, now, unshared, forks)

    def choices(self) -> Choices:
        """The person's choices at this moment, with what lies behind links that they name."""
        stored = self._choices()
        return replace(stored, behind=self._links.behind(stored.exclusions))

    def excluded(self, session: SourceSession, facts: Facts) -> tuple[str, Exclusion] | None:
        """The directory for which a session must stay, and its exclusion; None if there is none."""
        return self.choices().excluded(real_paths(self.matcher.directories_of(session, facts)))

    def candidate(self, session: SourceSession, facts: Facts, names: Names) -> Candidate:
        """The facts of a session that the decision needs, for a project that has these names."""
        if self._forks:
            self._forks.learn(session, facts)
        places = self.matcher.places_of(session, facts)
        return Candidate(
            session=session.session_id,
            belonging=belonging_of(places, names),
            directories=real_paths(places),
            last=last_active(session, facts),
            quiet_s=self._now().timestamp() - session.changed_ns / 10**9,
        )

    def preview_candidate(self, session: SourceSession, facts: Facts, names: Names) -> Candidate:
        """The same for a preview; it includes whether the session is unshared.

        When a session is sent, `Recaller.is_held_back` checks that; in a preview nothing else does.
        """
        candidate = self.candidate(session, facts, names)
        held = is_unshared(self._unshared(), full_agent_name(session, facts), session.session_id)
        return replace(candidate, unshared=held)

    def decide(self, session: SourceSession, facts: Facts, channel: Channel) -> Decision:
        """Whether a session with these facts leaves through a channel."""
        candidate = self.candidate(session, facts, channel.names)
        limits = channel.subscription.limits
        return decide(candidate, channel.project, limits, self.choices())


def real_paths(directories: Iterable[str]) -> dict[str, str]:
    """The real paths of directories, by the paths that records name."""
    return {directory: real_path(directory) for directory in directories}


def last_active(session: SourceSession, facts: Facts) -> datetime:
    """The time of a session's last activity (UTC): its newest record's, else its newest file's."""
    return facts.last or datetime.fromtimestamp(session.changed_ns / 10**9, tz=UTC)


def full_agent_name(session: SourceSession, facts: Facts) -> str:
    """The program that wrote a session, and the agent's own name if it has one: `program/name`."""
    return f"{session.agent}/{facts.agent}" if facts.agent else session.agent


class KnownRoots:
    """The directories of projects, kept in state.db, so that a vanished directory still counts."""

    def __init__(self, places: Places, store: Database) -> None:
        self._places = places
        self._store = store

    def refresh(self) -> bool:
        """Use the directories that state.db has now; whether any is new or changed."""
        return self._places.know(*known_roots(self._store))

    def learn(self) -> bool:
        """Store what git reported since the last call; whether it reported something new."""
        learned = self._places.take_news()
        if learned:
            learn_roots(self._store, learned)
        return bool(learned)


def known_roots(
    store: Database,
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, ...]]]:
    """Projects by directory: mapped by the person, learned from git, and the former ones."""
    with store.reading() as tx:
        roots = state.roots.all(tx)
    mapped = {r.path: r.project for r in roots if r.mapped}
    learned = {r.path: r.project for r in roots if not r.mapped}
    return mapped, learned, {r.path: r.former for r in roots}


def learn_roots(store: Database, learned: dict[str, str]) -> None:
    """Store the project that git reported for each directory; a mapping by the person stays."""
    with store.transaction() as tx:
        known = {root.path: root for root in state.roots.all(tx)}
        for path, identity in learned.items():
            before = known.get(path)
            if before is None:
                state.roots.put(tx, state.KnownDirectory(path=path, project=identity))
            elif not before.mapped and before.project != identity:
                state.roots.put(tx, before.renamed_to(identity))
