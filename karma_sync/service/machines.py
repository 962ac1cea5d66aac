"""Use cases of `machine`: which members are other machines of mine, by their word and by mine."""

from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.ids import user_of
from karma_sync.domain.team.invitation import Answer
from karma_sync.domain.team.machine import Machine, Mute, SameClaim, claims_on
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.service.teams import personal_ids
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction


@dataclass(frozen=True)
class KnownMachine:
    """Another member, the names of the teams that we share, and who calls it a machine of mine.

    It counts, for everybody, once both sides say so (`is_agreed`).
    """

    member: Member
    teams: tuple[str, ...]
    by_me: bool
    by_itself: bool

    @property
    def is_agreed(self) -> bool:
        """Whether we both say so."""
        return self.by_me and self.by_itself


def claims(tx: Transaction, me: PairingCode) -> list[SameClaim]:
    """The members who are said to be machines of mine, and about whom I said nothing yet."""
    answered = {machine.key for machine in state.machines.all(tx)}
    return claims_on(me.key, state.teams.all(tx), state.my_machines(tx, me.key), answered)


def known(store: Database, key: str) -> list[KnownMachine]:
    """The members whom I, by my `key`, or they themselves call other machines of mine, by tag."""
    with store.reading() as tx:
        teams, mine = state.teams.all(tx), state.my_machines(tx, key)
        refused = {m.key for m in state.machines.all(tx) if not m.is_mine}
    found: dict[str, tuple[Member, list[str], bool]] = {}
    for team in teams:
        for member in team.members if team.member(key) else ():
            by_itself = key in member.machines
            if member.key != key and (member.key in mine or by_itself):
                _, names, said = found.get(member.key, (member, [], False))
                found[member.key] = member, [*names, team.name], said or by_itself
    return [
        KnownMachine(member, tuple(names), member.key in mine, said)
        for member, names, said in sorted(found.values(), key=lambda f: f[0].tag)
        if member.key not in refused
    ]


def agreed_tags(store: Database, key: str) -> frozenset[str]:
    """The tags of my other machines: we both say so."""
    return frozenset(m.member.tag for m in known(store, key) if m.is_agreed)


def find(store: Database, me: PairingCode, tag: str, *, hint: str) -> Member:
    """The other member with this tag, in any of my teams; `hint` is for whom none has.

    Raises:
        NotFound: no team of mine has it.
        Conflict: it is a guest.
        BadInput: it is my own, or several teams know different members by it.
    """
    if tag == me.tag:
        raise BadInput("that is this machine", hint="karma-sync machine list")
    with store.reading() as tx:
        teams = state.teams.all(tx)
    members = [m for t in teams for m in t.members if m.tag == tag]
    for team in teams if not members else ():
        if any(guest.tag == tag for guest in team.guests):
            raise Conflict(f"{tag} is a guest of {team.name}, which sends nothing", hint=hint)
    if not members:
        whole = sorted(
            {m.tag for t in teams for m in t.members if user_of(m.tag) == tag} - {me.tag}
        )
        raise NotFound(
            f"no team of yours has a member {tag!r}",
            hint=f"the whole tag: {' or '.join(whole)}" if whole else hint,
        )
    if len({m.key for m in members}) > 1:
        raise BadInput(
            f"your teams know different members as {tag}",
            hint="karma-sync team show --team TEAM, for each; one of them needs another tag",
        )
    return members[0]


def require_both_members(store: Database, me: PairingCode, member: Member, *, hint: str) -> None:
    """Raises Conflict if I am only a guest wherever this member is: then my word does not count."""
    with store.reading() as tx:
        common = [team for team in state.teams.all(tx) if team.member(member.key)]
    if not any(team.member(me.key) for team in common):
        names = ", ".join(team.name for team in common)
        raise Conflict(
            f"you are a guest of {names}: only members can be machines of one person", hint=hint
        )


def mute(store: Database, member: Member, now: datetime) -> None:
    """Read nothing of a member any more, in any team; what is here of it is deleted."""
    with store.transaction() as tx:
        state.mutes.put(tx, Mute(key=member.key, tag=member.tag, at=now))


def unmute(store: Database, tag: str) -> str:
    """Read what a member sends again; returns its tag.

    Raises:
        NotFound: no muted member has this tag.
    """
    with store.transaction() as tx:
        found = [m for m in state.mutes.all(tx) if tag in (m.tag, user_of(m.tag))]
        if len(found) != 1:
            tags = " or ".join(m.tag for m in state.mutes.all(tx))
            raise NotFound(
                f"no muted member is {tag!r}",
                hint=f"karma-sync unmute {tags}"
                if tags
                else "nobody is muted: karma-sync mute TAG",
            )
        state.mutes.drop(tx, key=found[0].key)
    return found[0].tag


def muted_keys(store: Database) -> frozenset[str]:
    """The keys of the members whose sessions I do not read."""
    with store.reading() as tx:
        return frozenset(mute.key for mute in state.mutes.all(tx))


def say(tx: Transaction, member: Member, now: datetime, *, agreed: bool) -> None:
    """Say that a member is another machine of mine, or that it is not."""
    answer = Answer.ACCEPTED if agreed else Answer.DECLINED
    machine = Machine(key=member.key, tag=member.tag, device=member.device, at=now, answer=answer)
    state.machines.put(tx, machine)


def add(store: Database, member: Member, now: datetime) -> None:
    """Say that a member is another machine of mine."""
    with store.transaction() as tx:
        say(tx, member, now, agreed=True)


def remove(store: Database, member: Member, now: datetime) -> None:
    """Say that a member is no machine of mine.

    Raises:
        Conflict: it is in a team of my own machines, and would still receive all.
    """
    with store.transaction() as tx:
        personal = _personal_with(tx, member)
        if personal:
            raise Conflict(
                f"{member.tag} is in {personal.name}, and receives all that is sent there",
                hint=f"karma-sync team remove {member.tag} --team {personal.name}",
            )
        say(tx, member, now, agreed=False)


def _personal_with(tx: Transaction, member: Member) -> Team | None:
    personal = personal_ids(tx)
    with_it = (t for t in state.teams.all(tx) if t.id in personal and t.member(member.key))
    return next(with_it, None)
