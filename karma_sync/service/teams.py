"""Use cases of teams: found one, find one, and add members to one that I lead."""

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import count

from karma_sync.domain.ids import user_of
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.invitation import Answer
from karma_sync.domain.team.machine import personal_policy
from karma_sync.domain.team.member import How, Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team, found_team
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction
from karma_sync.team.admission import Newcomer, with_newcomer


def all_teams(store: Database) -> list[Team]:
    """All teams that I am in."""
    with store.reading() as tx:
        return state.teams.all(tx)


def former_teams(store: Database) -> list[state.Former]:
    """The teams that I left, or from which I was removed."""
    with store.reading() as tx:
        return state.formers.all(tx)


def led_by(store: Database, me: PairingCode) -> list[Team]:
    """The teams that I lead."""
    return [team for team in all_teams(store) if team.leader == me.key]


def proposals(led: Iterable[Team]) -> list[tuple[Team, Member, str]]:
    """The projects that members propose to these teams, and that are not shared yet."""
    return [
        (team, member, project)
        for team in led
        for member in team.members
        for project in member.proposals
        if not team.project(project) and project not in team.aliases
    ]


def create(store: Database, me: PairingCode, name: str) -> Team:
    """Found a team that I lead.

    Raises:
        Conflict: I am already in a team of that name.
    """
    founder = Member(tag=me.tag, device=me.device, key=me.key, addresses=me.addresses)
    team = found_team(name, founder, nonce=secrets.token_hex(16))
    with store.transaction() as tx:
        if any(known.name == name and not known.is_dissolved for known in state.teams.all(tx)):
            raise Conflict(f"you are in a team {name} already", hint="karma-sync team list")
        state.teams.put(tx, team)
    return team


def personal_team(store: Database) -> Team | None:
    """The team of my own machines; None if there is none yet."""
    with store.reading() as tx:
        personal = personal_ids(tx)
        found = [t for t in state.teams.all(tx) if t.id in personal and not t.is_dissolved]
    return found[0] if found else None


def new_personal(store: Database, me: PairingCode) -> Team:
    """A team for my own machines, which `keep_personal` stores."""
    named = f"{user_of(me.tag)}-machines"
    taken = {team.name for team in all_teams(store)}
    name = next(n for n in _numbered(named) if n not in taken)
    founder = Member(tag=me.tag, device=me.device, key=me.key, addresses=me.addresses)
    return found_team(name, founder, nonce=secrets.token_hex(16))


def keep_personal(store: Database, team: Team) -> None:
    """Lead a team of my own machines, which shares and accepts all my projects by itself."""
    with store.transaction() as tx:
        if state.teams.get(tx, team.id) is None:
            state.teams.put(tx, team)
            state.policies.put(tx, personal_policy(team.id, Direction.BOTH))


def personal_ids(tx: Transaction) -> set[str]:
    """The ids of the teams of my own machines."""
    return {policy.team for policy in state.policies.all(tx) if policy.personal}


def with_others(store: Database) -> list[Team]:
    """My teams, without those of my own machines."""
    with store.reading() as tx:
        personal = personal_ids(tx)
        return [team for team in state.teams.all(tx) if team.id not in personal]


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def add_member(
    store: Database, me: PairingCode, newcomer: Newcomer, name: str | None, now: datetime
) -> Team:
    """Put a member on the roster of a team that I lead.

    If I use discovery (`dynamic` is among my addresses), the new member gets that address too.

    Raises:
        BadInput: the code is my own.
        NotLeader: I do not lead the team.
        Conflict: a member has this tag already.
    """
    with store.transaction() as tx:
        before = find(tx, name)
        team = _with_member(tx, before, me, newcomer, now)
        state.put_changed(tx, before, team)
    return team


def with_member(
    store: Database, me: PairingCode, newcomer: Newcomer, name: str | None, now: datetime
) -> Team:
    """The team as it is after `add_member`, which raises the same; nothing is stored."""
    with store.reading() as tx:
        return _with_member(tx, find(tx, name), me, newcomer, now)


def refuse_personal(tx: Transaction, team: Team) -> None:
    """Raises Conflict for a team of my own machines: all members of it count as me."""
    policy = state.policies.get(tx, team.id)
    if policy and policy.personal:
        raise Conflict(
            f"{team.name} is for your own machines", hint="karma-sync invite --me, for another one"
        )


def _with_member(
    tx: Transaction, team: Team, me: PairingCode, newcomer: Newcomer, now: datetime
) -> Team:
    refuse_own(me, newcomer.code)
    if not newcomer.limited_to and not newcomer.replaces:
        refuse_personal(tx, team)
    if newcomer.replaces and newcomer.same_person:
        raise BadInput(
            "--replace is for a machine that was installed again, --same-person for another one",
            hint="leave one of them out",
        )
    return with_newcomer(team, me, newcomer, int(now.timestamp() * 1000))


def guest_code(store: Database, tag: str, name: str | None) -> PairingCode | None:
    """The pairing code of a guest of a team with this tag; None if there is none."""
    with store.reading() as tx:
        team = find(tx, name)
    found = next((g for g in team.guests if g.tag == tag), None)
    return PairingCode(found.tag, found.device, found.key, found.addresses) if found else None


def refuse_own(me: PairingCode, code: PairingCode) -> None:
    """Raises BadInput if a pairing code is my own, or has my tag."""
    if code.key == me.key or code.device == me.device:
        raise BadInput(
            "this is your own pairing code", hint="paste the code that the other machine printed"
        )
    if code.tag == me.tag:
        raise BadInput(
            f"the other machine has the tag {code.tag} too",
            hint="there: karma-sync down, then karma-sync rename --machine NAME",
        )


def find_team(store: Database, name: str | None) -> Team:
    """As `find`, in a transaction of its own."""
    with store.reading() as tx:
        return find(tx, name)


def find(tx: Transaction, name: str | None) -> Team:
    """The team with this name or ID; with None, my only team, beside that of my own machines.

    Raises:
        NotFound: there is no such team, or I am no longer in it.
        BadInput: there are several such teams.
    """
    teams = state.teams.all(tx)
    fitting = [t for t in teams if name is None or name in {t.name, t.id}]
    if name is None and len(fitting) > 1:
        fitting = [t for t in fitting if t.id not in personal_ids(tx)] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        options = " or ".join(f"--team {t.name if name is None else t.id}" for t in fitting)
        raise BadInput("you are in several teams: name one", hint=options)
    if name is None:
        invited = any(i.ready and i.answer is Answer.PENDING for i in state.invitations.all(tx))
        hint = "karma-sync inbox" if invited else "karma-sync team create NAME"
        raise NotFound("you are in no team", hint=hint)
    for former in state.formers.all(tx):
        if name in {former.name, former.team}:
            raise NotFound(_why_not_in(former), hint="karma-sync team list")
    raise NotFound(f"you are in no team {name!r}", hint="karma-sync team list")


def guest_sends_nothing(team: Team, hint: str) -> Conflict:
    """The error for a guest of a team that would send something to it."""
    return Conflict(f"you are a guest of {team.name}: nobody receives anything from you", hint=hint)


def _why_not_in(former: state.Former) -> str:
    """How I ceased to be in a team, for a person who names it."""
    ended = {
        How.REMOVED: "you were removed from it",
        How.LEFT: "you left it",
        How.REPLACED: "another machine replaced this one in it",
    }
    return f"you are no longer in team {former.name}: {ended[former.how]} on {former.at:%Y-%m-%d}"
