"""Finds what a change would make leave that does not leave now, before the person decides on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from karma_sync.domain.session.project import Names, Where
from karma_sync.domain.session.selection import Choices, Exclusion, Unshared
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.errors import KarmaError
from karma_sync.sending.eligibility import Decider, ProjectMatcher, known_roots
from karma_sync.service.projects import ProjectAnswers
from karma_sync.service.sessions.preview import Outlet, outlets
from karma_sync.service.sessions.survey import (
    LeavingSessions,
    Progress,
    leaving_in,
    survey,
    what_would_leave,
)
from karma_sync.store import state
from karma_sync.store.database import Database
from karma_sync.store.intent_content import read_intent


@dataclass(frozen=True)
class SendingRules:
    """Everything that the person decided about what leaves.

    `outlets` are the projects that I send, the paused ones too: a pause only delays. `mapped` are
    the projects that the person assigned to directories.
    """

    outlets: Sequence[Outlet]
    choices: Choices
    unshared: frozenset[Unshared]
    mapped: Mapping[str, str]

    @classmethod
    def stored(cls, store: Database, me: PairingCode) -> "SendingRules":
        """The rules as state.db has them now."""
        with store.reading() as tx:
            choices, unshared = state.choices(tx), frozenset(state.unshared.all(tx))
        return cls(outlets(store, me), choices, unshared, known_roots(store)[0])

    def mapping(self, directories: Mapping[str, str]) -> "SendingRules":
        """The same with these directories assigned to projects, and no others."""
        return replace(self, mapped=directories)

    def named(self, project: ProjectAnswers, name: str, *, known: bool) -> "SendingRules":
        """The same with one more name of a project that I agreed to, or without it.

        The name stays on the roster.
        """

        def changed(names: Names) -> Names:
            if known:
                return Names(names.project, names.aliases | {name}, names.agreed | {name})
            return replace(names, agreed=names.agreed - {name})

        outlets = [(a, changed(n) if a.is_same(project) else n) for a, n in self.outlets]
        return replace(self, outlets=outlets)

    def without(self, patterns: Sequence[str]) -> "SendingRules":
        """The same without these exclusions."""
        gone = {Exclusion(pattern=pattern) for pattern in patterns}
        kept = tuple(e for e in self.choices.exclusions if e not in gone)
        return replace(self, choices=replace(self.choices, exclusions=kept))

    def lifting(self, lifted: Unshared) -> "SendingRules":
        """The same with one session or agent that may leave again."""
        return replace(self, unshared=(self.unshared - {lifted}) | {lifted.changed(lifted=True)})

    def nothing_yet(self) -> "SendingRules":
        """The same, with nothing that is sent."""
        return replace(self, outlets=[])

    def only(self, project: ProjectAnswers) -> "SendingRules":
        """The same, of only this project."""
        return replace(self, outlets=[o for o in self.outlets if o[0].is_same(project)])

    def running(self) -> "SendingRules":
        """The same, of only the projects that I did not pause one by one."""
        accepted = [o for o in self.outlets if o[0].mine.status is Status.ACCEPTED]
        return replace(self, outlets=accepted)

    def to_anybody(self, team: Team, limited_to: Sequence[str] = ()) -> "SendingRules":
        """The same, of only what a new member of a team can receive, whoever that is.

        With `limited_to` it is a guest, who receives only these projects.
        """
        nobody = Member(tag="whoever joins", device="", key="")
        return self._to(team, [nobody], limited_to)

    def to(self, team: Team, key: str) -> "SendingRules":
        """The same, of only what one member of a team can receive."""
        newcomers = [m for m in team.everybody if m.key == key]
        return self._to(team, newcomers, newcomers[0].limited_to if newcomers else ())

    def _to(
        self, team: Team, newcomers: Sequence[Member], limited_to: Sequence[str]
    ) -> "SendingRules":
        mine = [
            o
            for o in self.outlets
            if o[0].team.id == team.id and (not limited_to or o[0].project in limited_to)
        ]
        receivers = [(m, Subscription(team=team.id, project="", member=m.key)) for m in newcomers]
        told = [(replace(a, others=receivers), names) for a, names in mine]
        return replace(self, outlets=told)


@dataclass(frozen=True)
class Wider:
    """A project of which more would leave, to whom (`answers`), and the sessions.

    `takes_home` is true if the person's home would become a directory of the project. `known` are
    the IDs of all sessions here that concern the project.
    """

    answers: ProjectAnswers
    leaving: LeavingSessions
    takes_home: bool
    known: frozenset[str]


class Widening:
    """Compares what leaves before a change and after it; `home` is the person's home."""

    def __init__(self, matcher: ProjectMatcher, now: Callable[[], datetime], home: str) -> None:
        self._matcher = matcher
        self._now = now
        self._home = home

    def of(self, before: SendingRules, after: SendingRules, progress: Progress) -> list[Wider]:
        """The sessions that leave only after the change, for each project that I then send."""
        sessions = self._matcher.sessions()
        was, now = self._decider(before), self._decider(after)
        found = []
        for answers, names in after.outlets:
            mine = survey(now, sessions, names, progress)
            known = next((o for o in before.outlets if o[0].is_same(answers)), None)
            left = self._left(was, known, sessions) if known else set()
            more = replace(mine, found=[pair for pair in mine.found if pair[0] not in left])
            leaving = what_would_leave(now, more, answers.mine.limits)
            had_home = known is not None and has_home(was.matcher, known[1], self._home)
            takes_home = has_home(now.matcher, names, self._home) and not had_home
            ids = frozenset(session.session_id for session, _ in mine.found)
            found.append(Wider(answers, leaving, takes_home, ids))
        return found

    def _left(
        self, was: Decider, known: Outlet, sessions: Sequence[SourceSession]
    ) -> set[SourceSession]:
        answers, names = known
        before = survey(was, sessions, names, lambda _done, _all: None)
        return set(leaving_in(before, answers.mine.limits))

    def _decider(self, rules: SendingRules) -> Decider:
        matcher = self._matcher.with_mapped(rules.mapped)
        return Decider(matcher, lambda: rules.choices, self._now, lambda: rules.unshared)


def forgotten(store: Database, me: PairingCode, intent: Path) -> list[str]:
    """The projects that I send by the file `intent` although state.db does not know them; sorted.

    The database was lost, and the daemon has not rebuilt it yet.
    """
    with store.reading() as tx:
        known = {(s.team, s.project) for s in state.answers(tx, member=me.key)}
    try:
        limits = read_intent(intent).limits
    except KarmaError:
        return []  # it pauses everything until `resume`, which asks
    return sorted(
        limit.project
        for limit in limits
        if (limit.team, limit.project) not in known
        and limit.status in {Status.ACCEPTED, Status.PAUSED}
        and limit.direction is not Direction.RECEIVE
    )


def has_home(matcher: ProjectMatcher, names: Names, home: str) -> bool:
    """Whether the person's home is a directory of the project, such as one of dotfiles."""
    place = matcher.places.of(home)
    return place.where is Where.PROJECT and names.of(place) == names.project
