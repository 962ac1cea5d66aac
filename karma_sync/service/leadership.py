"""Use cases of who leads a team: pass leadership on, name successors, take over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from karma_sync.domain import limits
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput, Conflict, NotLeader
from karma_sync.service import teams
from karma_sync.signing import SigningKey
from karma_sync.store import state
from karma_sync.store.database import Database
from karma_sync.team.documents.term import begin_term


@dataclass(frozen=True)
class Person:
    """The member that acts: this member, and the key that it signs with."""

    me: PairingCode
    key: SigningKey


def heir(team: Team, me: PairingCode, tag: str) -> Member:
    """The member with this tag, if I can pass the leadership of a team on to it.

    Raises:
        NotLeader: I do not lead the team.
        NotFound: nobody in the team has the tag.
        Conflict: it is a guest or myself, it has not joined yet, or the leadership cannot be
            changed any more.
    """
    member = _require_can_change(team, me).tagged(tag)
    _require_member(team, member, "transfer", team.could_lead)
    if not member.active:
        raise Conflict(
            f"{member.tag} has not joined {team.name} yet",
            hint=f"karma-sync team show --team {team.name}, until it is active",
        )
    return member


def named_successors(team: Team, me: PairingCode, tags: Iterable[str]) -> tuple[Member, ...]:
    """The members with these tags, if I can name them as successors in a team, each once.

    Raises:
        NotLeader: I do not lead the team.
        NotFound: nobody in the team has one of the tags.
        BadInput: there are too many.
        Conflict: one is a guest or myself, or the leadership cannot be changed any more.
    """
    _require_can_change(team, me)
    found = {m.key: m for m in map(team.tagged, tags)}
    others = tuple(m for m in team.members if m.key != me.key)
    for member in found.values():
        _require_member(team, member, "successors", others)
    if len(found) > limits.SUCCESSORS:
        raise BadInput(
            f"a team can have at most {limits.SUCCESSORS} successors",
            hint="name fewer, the first one before the others",
        )
    return tuple(found.values())


def require_successor(team: Team, me: PairingCode) -> None:
    """Raises what `take_over` would raise."""
    if team.leader == me.key:
        raise Conflict(
            f"you lead {team.name} already", hint=f"karma-sync team show --team {team.name}"
        )
    if me.key not in team.successors:
        leader = team.member(team.leader)
        raise NotLeader(
            f"{team.name} does not name you as a successor",
            hint=f"{leader.tag if leader else 'its leader'} can: karma-sync team successors"
            f" {me.tag}",
        )
    _require_terms(team.change())


def transfer(store: Database, person: Person, tag: str, name: str | None) -> tuple[Team, Member]:
    """Make another member the leader of a team that I lead; the successors stay.

    Raises:
        NotLeader: I do not lead the team.
        Conflict: as `heir`.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name)
        member = heir(team, person.me, tag)
        kept = tuple(key for key in team.successors if key != member.key)
        after = begin(person, team, member.key, kept, handed_by=person.me.key)
        state.teams.put(tx, after)
    return after, member


def name_successors(store: Database, person: Person, tags: Iterable[str], name: str | None) -> Team:
    """Name the members who may take over a team that I lead, the first one before the others.

    Raises:
        NotLeader: I do not lead the team.
        BadInput, Conflict: as `named_successors`.
    """
    with store.transaction() as tx:
        team = teams.find(tx, name)
        keys = tuple(member.key for member in named_successors(team, person.me, tags))
        if keys == team.successors:
            return team
        after = begin(person, team, person.me.key, keys)
        state.teams.put(tx, after)
    return after


def take_over(store: Database, person: Person, name: str | None) -> Team:
    """Lead a team that names me as a successor; the other successors stay.

    Raises:
        Conflict: I lead the team already.
        NotLeader: the team does not name me as a successor.
    """
    key = person.me.key
    with store.transaction() as tx:
        team = teams.find(tx, name)
        require_successor(team, person.me)
        kept = tuple(each for each in team.successors if each != key)
        after = begin(person, team, key, kept)
        state.teams.put(tx, after)
    return after


def _require_can_change(team: Team, me: PairingCode) -> Team:
    """The team, if I lead it and its leadership can be changed."""
    _require_terms(team.lead_by(me.key).change())
    return team


def _require_member(team: Team, member: Member, verb: str, others: Sequence[Member]) -> None:
    """Raises Conflict for a guest and for the leader; `others` are those who would do."""
    tags = [m.tag for m in others]
    hint = f"karma-sync team {verb} {tags[0] if len(tags) == 1 else 'TAG'} --team {team.name}"
    if len(tags) > 1:
        hint += f"; TAG is one of {', '.join(tags)}"
    if not tags:
        hint = "karma-sync invite, for somebody who could"
    if member.limited_to:
        raise Conflict(f"{member.tag} is a guest of {team.name}: guests cannot lead", hint=hint)
    if member.key == team.leader:
        raise Conflict(f"you lead {team.name} already", hint=hint)


def _require_terms(team: Team) -> None:
    if len(team.chain) >= limits.TERMS:
        raise Conflict(
            f"the leadership of {team.name} was changed {limits.TERMS} times, the most",
            hint="karma-sync team create NAME, for another team",
        )


def begin(
    person: Person, team: Team, leader: str, successors: tuple[str, ...], handed_by: str = ""
) -> Team:
    """The team in a new term with this leader and these successors (keys), signed by a person.

    Raises:
        IllegalMove: the team is dissolved.
        Conflict: its leadership was changed too often.
    """
    _require_terms(team)
    return begin_term(person.key, team.change(), leader, successors, handed_by)
