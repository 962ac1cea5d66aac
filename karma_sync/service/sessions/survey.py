"""Finds the sessions that would leave if a project were accepted, before the person decides."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from karma_sync.domain.session.profile import takes
from karma_sync.domain.session.project import Names
from karma_sync.domain.session.selection import Candidate, Choices, Limits, Outcome, decide
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.sending.eligibility import Decider

_LEAVES = frozenset({Outcome.LEAVES, Outcome.WAITING})

Progress = Callable[[int, int], None]
"""Called with how many sessions are done, and how many there are."""


@dataclass(frozen=True)
class Survey:
    """All sessions on this machine that concern a project, and the person's choices about them."""

    names: Names
    found: Sequence[tuple[SourceSession, Candidate]]
    choices: Choices

    def outcomes(self, limits: Limits) -> list[tuple[SourceSession, Candidate, Outcome]]:
        """Each session, and whether it would leave under these limits."""
        project = self.names.project
        return [
            (session, candidate, decide(candidate, project, limits, self.choices).outcome)
            for session, candidate in self.found
        ]

    def since_of_newest(self, most: int, limits: Limits, now: datetime) -> datetime | None:
        """The moment since which at most `most` sessions were active; None if all were."""
        whole = limits.changed(since=None)
        moments = sorted((c.last for _, c, o in self.outcomes(whole) if o in _LEAVES), reverse=True)
        if len(moments) <= most:
            return None
        if most == 0:
            return now
        return max(moments[most - 1], moments[most] + timedelta.resolution)


@dataclass(frozen=True)
class LeavingSessions:
    """The sessions that would leave, the newest first, and those that would stay.

    `directories` are their working directories, `size` is in bytes, `oldest` is in UTC. `stays`
    counts the project's sessions that would not leave, by reason. `places` are the other projects
    and directories in which mixed sessions worked.
    """

    sessions: Sequence[SourceSession]
    directories: tuple[str, ...]
    size: int
    oldest: datetime | None
    stays: Mapping[Outcome, int]
    places: tuple[str, ...] = ()


def survey(
    decider: Decider, sessions: Sequence[SourceSession], names: Names, progress: Progress
) -> Survey:
    """Search all sessions on this machine for those that concern a project."""
    found = []
    for done, session in enumerate(sessions):
        progress(done, len(sessions))
        try:
            candidate = decider.preview_candidate(session, decider.matcher.facts(session), names)
        except OSError:
            continue  # it disappeared meanwhile, so it would not leave either
        if names.project in {candidate.belonging.project, *candidate.belonging.mixed}:
            found.append((session, candidate))
    return Survey(names, found, decider.choices())


def leaving_in(found: Survey, limits: Limits) -> list[SourceSession]:
    """The sessions of a survey that would leave under these limits, as they were found."""
    return [session for session, _, outcome in found.outcomes(limits) if outcome in _LEAVES]


def what_would_leave(decider: Decider, found: Survey, limits: Limits) -> LeavingSessions:
    """The sessions of a survey that would leave under these limits."""
    outcomes = found.outcomes(limits)
    leaving = [(session, candidate) for session, candidate, o in outcomes if o in _LEAVES]
    complete = [decider.matcher.complete(session, limits.profile) for session, _ in leaving]
    place = decider.matcher.places.of
    return LeavingSessions(
        sessions=complete,
        directories=_sorted(
            directory
            for _, candidate in leaving
            for directory in candidate.directories
            if found.names.of(place(directory)) == found.names.project
        ),
        size=sum(f.stat.size for s in complete for f in s.files if takes(limits.profile, f.kind)),
        oldest=min((candidate.last for _, candidate in leaving), default=None),
        stays=Counter(o for _, _, o in outcomes if o not in _LEAVES),
        places=_sorted(
            place
            for _, candidate, outcome in outcomes
            if outcome is Outcome.MIXED
            for place in candidate.belonging.others(found.names.project)
        ),
    )


def _sorted(directories: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(directories)))
