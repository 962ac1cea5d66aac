"""The use case of `machine add` with a pairing code: two machines of one person, and no secret.

Both machines get the other's code. So both know the ID of the team that they are to have, before
there is one, and neither takes another team for it.
"""

import hashlib
from datetime import datetime

from karma_sync.domain.ids import user_of
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.invitation import Pairing
from karma_sync.domain.team.machine import personal_policy
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team, found_team
from karma_sync.errors import Conflict
from karma_sync.service.teams import personal_ids
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction
from karma_sync.team.admission import Newcomer, with_newcomer


def team_of_two(me: PairingCode, other: PairingCode) -> Team:
    """The team that these two machines are to have; the one with the smaller key founds it."""
    first, second = sorted((me, other), key=lambda code: code.key)
    keys = f"karma-sync machines {first.key} {second.key}"
    founder = Member(tag=first.tag, device=first.device, key=first.key, addresses=first.addresses)
    nonce = hashlib.sha256(keys.encode()).hexdigest()[:32]
    return found_team(f"{user_of(first.tag)}-machines", founder, nonce)


def require_new(store: Database, me: PairingCode, other: PairingCode) -> None:
    """Return if `pair` may be called.

    Raises: as `pair` does.
    """
    with store.reading() as tx:
        _require_new(tx, team_of_two(me, other))


def pair(store: Database, me: PairingCode, other: PairingCode, now: datetime) -> Team:
    """Found the team of these two machines, or wait 24 hours for the other one to found it.

    It shares and accepts all projects of both by itself, in both directions.

    Raises:
        Conflict: I have a team of my own machines already, or had this one.
    """
    team = team_of_two(me, other)
    with store.transaction() as tx:
        _require_new(tx, team)
        state.policies.put(tx, personal_policy(team.id, Direction.BOTH))
        if team.founder == me.key:
            now_ms = int(now.timestamp() * 1000)
            state.teams.put(tx, with_newcomer(team, me, Newcomer(other), now_ms))
        else:
            state.pairings.put(tx, Pairing.by(other, now, team.id))
            state.contacts.drop(tx, device=other.device)
    return team


def _require_new(tx: Transaction, team: Team) -> None:
    hint = "karma-sync invite --me, on the machine that leads your machines"
    personal = personal_ids(tx)
    teams = {known.id: known for known in state.teams.all(tx)}
    if any(not known.is_dissolved for known in teams.values() if known.id in personal):
        raise Conflict("this machine has a team of your machines already", hint=hint)
    if team.id in teams or state.formers.get(tx, team.id):
        raise Conflict("the two machines had a team of their own before", hint=hint)
    if any(known.name == team.name for known in teams.values()):
        raise Conflict(f"a team of yours has the name {team.name} already", hint=hint)
