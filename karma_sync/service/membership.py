"""Use cases of a team after its first day: leave, remove, dissolve, rename, propose a project."""

from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain import limits
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.domain.team.invite import InviteStatus
from karma_sync.domain.team.member import How, Member, Removal
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import Conflict
from karma_sync.service import teams
from karma_sync.service.leadership import Person, begin
from karma_sync.store import state
from karma_sync.store.database import Database
from karma_sync.team import departures


@dataclass(frozen=True)
class RemovalTerms:
    """The terms of a removal: whether the machine was stolen, and the items are retracted."""

    stolen: bool = False
    retracted: bool = False


def require_leave(team: Team, me: PairingCode) -> None:
    """Raises what `leave` would raise."""
    if team.is_leaving(me.key):
        raise Conflict(f"you are leaving {team.name} already", hint="karma-sync team list")
    team.leave(me.key, 0, retracted=False)


def leave(store: Database, me: PairingCode, name: str | None, terms: departures.LeaveTerms) -> Team:
    """Leave a team; returns it as it was.

    Raises:
        IllegalMove: I lead the team.
        Conflict: I am leaving it already.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name)
        require_leave(team, me)
        departures.leave(tx, team, me.key, terms)
        if len(team.everybody) == 1:
            state.forget_team(tx, team)  # there is nobody who has to learn of it
    return team


def require_removal(team: Team, me: PairingCode, member: Member) -> None:
    """Raises what `remove` would raise."""
    team.lead_by(me.key).remove(member, Removal(how=How.REMOVED, at=0))


def remove(
    store: Database, person: Person, found: tuple[Team, Member], terms: RemovalTerms, now: datetime
) -> Team:
    """Remove a member or guest from a team that I lead; a successor also ceases to be one.

    If its machine was stolen, all my open invitation codes end.

    Raises:
        NotLeader: I do not lead the team.
        IllegalMove: the member is the leader, or the team is dissolved.
    """
    team, member = found
    at = int(now.timestamp() * 1000)
    with store.transaction() as tx:
        led = teams.find(tx, team.id).lead_by(person.me.key)
        removal = Removal(how=How.REMOVED, at=at, stolen=terms.stolen, retracted=terms.retracted)
        after = led.remove(member, removal)
        if member.key in after.successors:
            kept = tuple(key for key in after.successors if key != member.key)
            after = begin(person, after, person.me.key, kept)
        state.put_changed(tx, led, after)
        if terms.stolen:  # whoever has the machine may have seen a code
            for invite in state.invites.all(tx):
                if invite.status is InviteStatus.OPEN:
                    state.invites.put(tx, invite.void(now))
    store.checkpoint()  # the keys of the codes are not in the database's log either
    return after


def require_retract(team: Team, me: PairingCode, gone: Member) -> Team:
    """The team after I took back what a removed member sent; raises what `retract` would raise."""
    if team.is_retracted(gone):
        raise Conflict(
            f"what {gone.tag} sent was taken back before",
            hint=f"karma-sync team show --team {team.name}",
        )
    return team.retract(gone) if team.leader == me.key else team.retracting(me.key, gone)


def retract(store: Database, me: PairingCode, tag: str, name: str | None) -> tuple[Team, Member]:
    """Take back what a removed member sent: all others delete it.

    The leader can, and another machine of the same person.

    Raises:
        NotFound: no removed member has the tag.
        NotLeader: I am neither.
        Conflict: it was taken back before.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name)
        gone = team.removed_tagged(tag)
        after = require_retract(team, me, gone)
        state.teams.put(tx, after)
    return after, gone


def find_member(store: Database, tag: str, name: str | None) -> tuple[Team, Member]:
    """The team, and its member or guest with this tag.

    Raises:
        NotFound: there is none.
    """
    team = teams.find_team(store, name)
    return team, team.tagged(tag)


def dissolve(store: Database, me: PairingCode, name: str | None, now: datetime) -> Team:
    """Dissolve a team that I lead: nothing more is exchanged, and its invitation codes end.

    Raises:
        NotLeader: I do not lead the team.
        IllegalMove: it is dissolved already.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name).lead_by(me.key).dissolve()
        state.teams.put(tx, team)
        for invite in state.invites.all(tx):
            if invite.team == team.id and invite.status is InviteStatus.OPEN:
                state.invites.put(tx, invite.revoke(now))
    store.checkpoint()  # the keys of the codes are not in the database's log either
    return team


def rename(store: Database, me: PairingCode, name: str, team: str | None) -> Team:
    """Give a team that I lead another name.

    Raises:
        NotLeader: I do not lead the team.
        Conflict: I am in a team of that name.
        BadInput: the name has characters that are not allowed.
    """
    with store.transaction() as tx:
        found = teams.find(tx, team).lead_by(me.key)
        if any(known.name == name and known.id != found.id for known in state.teams.all(tx)):
            raise Conflict(f"you are in a team {name} already", hint="karma-sync team list")
        after = found.rename(name)
        state.teams.put(tx, after)
    return after


def set_policy(store: Database, me: PairingCode, policy: AfterRemoval, name: str | None) -> Team:
    """Set what a removed member's karma-sync does with what it received from a team that I lead.

    Raises:
        NotLeader: I do not lead the team.
        IllegalMove: the team is dissolved.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name).lead_by(me.key).on_removal_do(policy)
        state.teams.put(tx, team)
    return team


def unshare(store: Database, me: PairingCode, team_id: str, project: str) -> None:
    """Take a project off the roster of a team that I lead; what was exchanged stays.

    Raises:
        NotLeader: I do not lead the team.
        NotFound: the team does not share the project.
    """
    with store.transaction() as tx:
        team = teams.find(tx, team_id).lead_by(me.key).unshare(project)
        state.teams.put(tx, team)


def propose(store: Database, me: PairingCode, project: str, name: str | None) -> Team:
    """Ask the leader of a team to share a project.

    Raises:
        Conflict: I lead the team, am a guest of it or leaving it, or it shares the project already,
            or I proposed too many.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name)
        if team.leader == me.key:
            raise Conflict(
                f"you lead {team.name}: nobody has to be asked", hint="karma-sync project share ."
            )
        if team.project(project) or project in team.aliases:
            raise Conflict(
                f"{team.name} shares {project} already", hint=f"karma-sync accept {project}"
            )
        before = _as_member(team, me).proposals
        if len({*before, project}) > limits.PROPOSALS:
            raise Conflict(
                f"you proposed {limits.PROPOSALS} projects to {team.name}, the most at a time"
            )
        after = team.proposing(me.key, tuple(sorted({*before, project})))
        state.teams.put(tx, after)
    return team


def _as_member(team: Team, me: PairingCode) -> Member:
    """Me as a member of a team.

    Raises:
        Conflict: I am a guest of it, or leaving it.
    """
    mine = team.member(me.key)
    if mine:
        return mine
    if team.is_leaving(me.key):
        raise Conflict(f"you are leaving {team.name}", hint="karma-sync team list")
    hint = f"ask the leader: karma-sync team show --team {team.name}"
    raise teams.guest_sends_nothing(team, hint)
