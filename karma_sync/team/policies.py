"""Follows the person's own policy for a team: accepts and shares projects without asking."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from karma_sync.domain import limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.machine import TeamPolicy
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.subscription import USUAL, Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.errors import Conflict
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.context import TeamContext


class Policies:
    """Accepts newly shared projects, and shares mine with my other machines.

    The person was asked when they set the policy, and no policy but that of a person's own machines
    makes anything of theirs known.
    """

    def __init__(self, context: TeamContext, home: Path) -> None:
        """`home` is the person's home: a repository there is never sent by itself."""
        self._context = context
        self._homes = (home, Path(os.path.realpath(home)))

    def run(self) -> None:
        """Do what is due; writes nothing if nothing is."""
        with self._context.store.reading() as tx:
            if not self._changes(tx):
                return
        with self._context.store.transaction() as tx:
            for team, answers in self._changes(tx):
                state.teams.put(tx, team)
                state.subscriptions.put(tx, *answers)

    def _changes(self, tx: Transaction) -> list[tuple[Team, list[Subscription]]]:
        """The teams that change, as they should be, with my new answers."""
        found = []
        for policy in state.policies.all(tx):
            team = state.teams.get(tx, policy.team)
            me = team.anybody(self._context.me.key) if team else None
            if team is None or me is None or team.is_dissolved:
                continue
            after = self._shared(tx, team, me, policy)
            answers = self._accepted(tx, after, me, policy)
            if after != team or answers:
                found.append((after, answers))
        return found

    def _shared(self, tx: Transaction, team: Team, me: Member, policy: TeamPolicy) -> Team:
        """The team with all of my own projects, if it is that of my machines.

        Its leader shares them, and those that the other machines propose; others propose theirs.
        """
        if not policy.personal:
            return team
        mine = self._own_projects(tx) if policy.sends else ()
        if team.leader != me.key:
            proposed = {*me.proposals, *_not_shared(team, mine)}
            kept = sorted(p for p in proposed if not team.project(p))[: limits.PROPOSALS]
            return team if kept == list(me.proposals) else team.proposing(me.key, tuple(kept))
        asked = (p for m in team.members if m.key != me.key for p in m.proposals)
        for project in _not_shared(team, [*mine, *asked]):
            try:
                team = team.share(project, self._context.now_ms)
            except Conflict:
                break  # as many as a team can have
        return team

    def _own_projects(self, tx: Transaction) -> list[str]:
        return sorted({root.project for root in state.roots.all(tx)} - self._at_home(tx))

    def _at_home(self, tx: Transaction) -> set[str]:
        """The projects that would take all of the person's home."""
        return {
            root.project
            for root in state.roots.all(tx)
            if any(home.is_relative_to(root.path) for home in self._homes)
        }

    def _accepted(
        self, tx: Transaction, team: Team, me: Member, policy: TeamPolicy
    ) -> list[Subscription]:
        at_home = self._at_home(tx)
        found = []
        for project in team.projects:
            blank = Subscription(team=team.id, project=project.identity, member=me.key)
            known = state.subscriptions.get(tx, team.id, project.identity, me.key) or blank
            answer = known.towards(project.incarnation)
            if answer.status is not Status.OFFERED or not policy.accepts(project.identity):
                continue
            receives = me.limited_to or project.identity in at_home
            direction = Direction.RECEIVE if receives else policy.automatic
            allowed = policy.limits(self._context.now())
            found.append(answer.accept(self._context.now_ms, direction, USUAL, allowed))
        return found


def _not_shared(team: Team, projects: Iterable[str]) -> Sequence[str]:
    """The projects that the team neither shares nor has taken off its roster, under any name."""
    known = {p.identity for p in (*team.projects, *team.unshared)} | team.aliases.keys()
    return [each for each in dict.fromkeys(projects) if each not in known]
