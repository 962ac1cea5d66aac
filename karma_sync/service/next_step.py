"""Decides which command usually comes next, for `status` and for commands that end a step."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.service import invitations, projects
from karma_sync.service.teams import all_teams, personal_ids
from karma_sync.store.database import Database
from karma_sync.store.world import active_pause


@dataclass(frozen=True)
class Situation:
    """The facts that decide about the next step: my key (`key`), and the content of the databases.

    `answers` are my own, with the projects that I did not answer yet; `personal` are the ids of
    teams of my own machines.
    """

    key: str
    waiting: invitations.Waiting
    teams: Sequence[Team]
    answers: Sequence[Subscription]
    is_paused: bool
    personal: Collection[str] = ()


def situation(store: Database, me: PairingCode, now: datetime) -> Situation:
    """The situation by state.db at `now` (UTC)."""
    return Situation(
        key=me.key,
        waiting=invitations.inbox(store, me, now),
        teams=all_teams(store),
        answers=[each.mine for each in projects.all_answers(store, me)],
        is_paused=active_pause(store, now) is not None,
        personal=_personal(store),
    )


def _personal(store: Database) -> set[str]:
    with store.reading() as tx:
        return personal_ids(tx)


def next_step(found: Situation) -> str:
    """The command that comes next while the daemon runs; "" if there is nothing to do."""
    if found.is_paused:
        return "karma-sync resume"
    waiting = found.waiting
    if waiting.unanswered:
        return "karma-sync inbox"
    ended = {team.id for team in found.teams if team.is_dissolved}
    open_to_me = [each for each in found.answers if each.team not in ended]
    offered = [each.project for each in open_to_me if each.status is Status.OFFERED]
    if len(offered) == 1:
        return f"karma-sync accept {offered[0]}"
    if offered:
        return "karma-sync subscription list"
    if not found.teams:
        return _without_team(found.waiting)
    steps = (
        _for_team(team, found.key, is_personal=team.id in found.personal) for team in found.teams
    )
    return next((step for step in steps if step), "")


def _without_team(waiting: invitations.Waiting) -> str:
    if waiting.fetching:
        return "karma-sync inbox, in a moment"
    for one in waiting.paired:
        return f"karma-sync code, for {one.tag}, who types: karma-sync team add CODE"
    for other in waiting.awaited:
        return f"karma-sync inbox, which shows how to continue with {other.name}"
    return "karma-sync join, with an invitation code, or karma-sync team create NAME"


def _for_team(team: Team, key: str, *, is_personal: bool) -> str:
    if team.leader != key or team.is_dissolved:
        return ""
    if len(team.members) == 1 and is_personal:
        return "karma-sync invite --me, for your other machine"
    if len(team.members) == 1:
        return "karma-sync invite, or karma-sync team add CODE with a new member's pairing code"
    return "" if team.projects else "karma-sync project share . in the directory of a project"
