"""Use cases of `join`: begins with a pasted invitation code, says yes to the team, gives up."""

from datetime import datetime

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.invite import MENDABLE, Joining, JoinStatus, Refusal
from karma_sync.domain.team.invite_code import InviteCode
from karma_sync.domain.team.knock import PROOFS
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import BadInput, Conflict
from karma_sync.signing import code_keys
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction

_WHY: dict[Refusal, tuple[str, str]] = {
    Refusal.USED: ("this invitation was used already", "ask for a new one: karma-sync invite"),
    Refusal.EXPIRED: ("this invitation has expired", "ask for a new one: karma-sync invite"),
    Refusal.REVOKED: ("this invitation was taken back", "ask for a new one: karma-sync invite"),
    Refusal.VOID: (
        "this invitation is void: since it was made, its leader lost a database, stepped down, or"
        " removed a machine that was stolen",
        "ask for a new one: karma-sync invite",
    ),
    Refusal.NOT_LEADER: (
        "who made this invitation does not lead the team any more",
        "ask its present leader for a new one: karma-sync invite",
    ),
    Refusal.LISTED: (
        "this machine is in the team already, under another name",
        "ask the leader to remove it first",
    ),
    Refusal.REMOVED: (
        "this machine was removed from the team",
        "talk to the leader",
    ),
    Refusal.TEAM_FULL: ("the team is full", "talk to the leader"),
    Refusal.MACHINE: (
        "this invitation is for another machine of the one who made it",
        "if this is one: karma-sync join --me, with the same code",
    ),
    Refusal.NOT_MACHINE: (
        "this invitation is not for another machine of the one who made it",
        "karma-sync join, without --me",
    ),
    Refusal.NOT_SHARED: (
        "the projects of this invitation are not shared any more",
        "ask for a new one: karma-sync invite",
    ),
    Refusal.DECLINED: ("the leader said no", "talk to the leader"),
    Refusal.FORGED: (
        "the leader's machine takes the request for a forged one",
        "ask for a new one: karma-sync invite",
    ),
}


def begin(store: Database, me: PairingCode, code: InviteCode, now: datetime) -> Joining:
    """Knock with a pasted code; the daemon does it. A code pasted again continues its attempt.

    Raises:
        BadInput: I made the code myself.
        Conflict: I am in the team already, the code has expired or was refused, or I knock with
            too many codes.
    """
    if code.device == me.device or code.key == me.key:
        raise BadInput(
            "this is your own invitation code", hint="send it to the person whom you invite"
        )
    fresh = Joining.by(code, code_keys(code.secret), now)
    with store.transaction() as tx:
        known = state.joinings.get(tx, fresh.id)
        is_member = state.teams.get(tx, code.team) is not None
        if known and (known.status is JoinStatus.JOINED or (known.is_open and is_member)):
            return (
                known  # to go on with the projects; the daemon notes a moment later that I joined
            )
        _require_new_team(tx, code)
        if known and known.is_open:
            return known
        if known and known.status is JoinStatus.REFUSED and Refusal(known.why) not in MENDABLE:
            raise refused(known)
        if now >= code.expires:
            raise Conflict(
                f"this invitation has expired, at {code.expires:%Y-%m-%d %H:%M} UTC",
                hint="ask for a new one: karma-sync invite",
            )
        if sum(each.is_open for each in state.joinings.all(tx)) >= PROOFS:
            raise Conflict(
                f"you wait for {PROOFS} teams already", hint="karma-sync inbox, then wait for one"
            )
        begun = known.knock_again(fresh) if known else fresh
        state.joinings.put(tx, begun)
    return begun


def _require_new_team(tx: Transaction, code: InviteCode) -> None:
    team = state.teams.get(tx, code.team)
    if team is not None:
        raise Conflict(f"you are in team {team.name} already", hint="karma-sync status")


def get(store: Database, joining: Joining) -> Joining:
    """The same as it stands now."""
    with store.reading() as tx:
        return state.joinings.get(tx, joining.id) or joining


def is_member(store: Database, joining: Joining) -> bool:
    """Whether I am in the team by now."""
    with store.reading() as tx:
        return state.teams.get(tx, joining.team) is not None


def team_name(store: Database, joining: Joining) -> str:
    """The name of the team that I joined."""
    with store.reading() as tx:
        team = state.teams.get(tx, joining.team)
    return team.name if team else joining.team_name


def agree(
    store: Database,
    joining: Joining,
    *,
    same_person: bool = False,
    direction: Direction = Direction.RECEIVE,
) -> Joining:
    """Say yes to exactly the team of this code; the daemon asks its leader.

    With `same_person`, say that this is another machine of its leader's person, and how its
    projects are to be accepted.
    """
    with store.transaction() as tx:
        fresh = state.joinings.get(tx, joining.id) or joining
        if fresh.is_open and not fresh.agreed:
            fresh = fresh.agree(same_person=same_person, direction=direction)
            state.joinings.put(tx, fresh)
    return fresh


def cancel(store: Database, joining: Joining) -> None:
    """Say no: nothing is asked, and the keys of the code are deleted."""
    with store.transaction() as tx:
        fresh = state.joinings.get(tx, joining.id) or joining
        if fresh.is_open:
            state.joinings.put(tx, fresh.cancel())
    store.checkpoint()


def refused(joining: Joining) -> Conflict:
    """The error with the reason why a leader refused, and what to do."""
    why = Refusal(joining.why)
    if why is Refusal.TAG_TAKEN:
        free = joining.free.partition(".")[2]
        name = f"--machine {free}" if free else "--machine NAME"
        return Conflict(
            f"another member of {joining.team_name or 'the team'} has your name",
            hint=f"karma-sync down; karma-sync rename {name}; then karma-sync join again",
        )
    message, hint = _WHY[why]
    return Conflict(message, hint=hint)
