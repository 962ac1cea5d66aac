"""Use cases of a person's own policy for a team: what is accepted by itself, and defaults."""

from datetime import datetime

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.machine import ALL, ASK, TeamPolicy
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput
from karma_sync.service.teams import guest_sends_nothing
from karma_sync.store import state
from karma_sync.store.database import Database

_PATTERN_CHARS = 200


def of_team(store: Database, team: str) -> TeamPolicy:
    """My policy for the team with this id; that of a person who set none if there is none."""
    with store.reading() as tx:
        return state.policies.get(tx, team) or TeamPolicy(team=team)


def keep(store: Database, policy: TeamPolicy) -> None:
    """Set my policy for a team."""
    with store.transaction() as tx:
        state.policies.put(tx, policy)


def require_possible(team: Team, key: str, policy: TeamPolicy) -> None:
    """Raises Conflict if a policy would have the guest with this key send."""
    me = team.anybody(key)
    direction = policy.direction or Direction.RECEIVE
    if me and me.limited_to and direction is not Direction.RECEIVE:
        raise guest_sends_nothing(team, f"--direction {Direction.RECEIVE}")


def require_usable(policy: TeamPolicy, now: datetime) -> None:
    """Raises BadInput for a pattern, a moment or a combination that cannot be meant."""
    pattern = policy.accept
    if not pattern.strip() or not pattern.isprintable() or len(pattern) > _PATTERN_CHARS:
        raise BadInput(f"{pattern!r} is no pattern", hint="--accept ask, all, or 'github.com/me/*'")
    if pattern not in (ASK, ALL) and not any(mark in pattern for mark in "*?["):
        raise BadInput(
            f"{pattern!r} is neither ask nor all, and has no *",
            hint="--accept 'web*', or karma-sync accept web for one project",
        )
    policy.limits(now)
    if policy.sends and policy.last is not None:
        raise BadInput(
            "--last counts the sessions that are here when a person accepts a project",
            hint="--since, for projects that are accepted automatically",
        )
