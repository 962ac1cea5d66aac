"""Decides whether a newcomer who asks with an invitation code is put on the roster; pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from karma_sync.domain import limits
from karma_sync.domain.ids import TAG_PART
from karma_sync.domain.session.project import find_project
from karma_sync.domain.team.invite import NO, Door, Invite, InviteStatus, Refusal
from karma_sync.domain.team.member import How
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import Conflict

if TYPE_CHECKING:  # pydantic loads slowly, and commands need `with_newcomer` alone
    from karma_sync.team.documents.door_papers import DoorRequest

_ENDED: dict[InviteStatus, Refusal] = {
    InviteStatus.USED: Refusal.USED,
    InviteStatus.EXPIRED: Refusal.EXPIRED,
    InviteStatus.REVOKED: Refusal.REVOKED,
    InviteStatus.VOID: Refusal.VOID,
}


@dataclass(frozen=True)
class Asked:
    """A verified request at a door of a code, and the hash of its file.

    `me` is the member who gave out the code.
    """

    door: Door
    invite: Invite
    team: Team
    request: "DoorRequest"
    digest: str
    me: PairingCode

    @property
    def newcomer(self) -> PairingCode:
        """The member that asks to join."""
        said = self.request
        return PairingCode(said.tag, said.device, said.writer, said.addresses)

    @property
    def is_member(self) -> bool:
        """Whether the newcomer is on the roster already: it asks again after a crash."""
        member = self.team.anybody(self.request.writer)
        mine = (self.request.tag, self.request.device)
        return member is not None and (member.tag, member.device) == mine

    @property
    def waits(self) -> bool:
        """Whether a person must answer first; an earlier answer was to that request alone."""
        answered = self.door.consent and self.digest == self.door.request
        return self.invite.confirm and not answered

    def refusal(self, now: datetime) -> Refusal | None:
        """The reason why the newcomer cannot be put on the roster at `now`; None if it can.

        The newcomer is not on the roster yet.

        A request that was not made with the code is told nothing else.
        """
        why = over(self.invite, self.team, self.me, now)
        if why is not None:
            return why
        if not self.request.has_mac_of(bytes.fromhex(self.invite.admission_key)):
            return Refusal.FORGED
        if self.request.same_person != self.invite.for_me:
            return Refusal.MACHINE if self.invite.for_me else Refusal.NOT_MACHINE
        if self.invite.confirm and not self.waits and self.door.consent == NO:
            return Refusal.DECLINED
        return _no_room(self.team, self.newcomer)

    def team_with_newcomer(self, now_ms: int) -> Team:
        """The team with the newcomer, who may join, as a member or guest; as `with_newcomer`."""
        limited_to = invited_to(self.invite, self.team) if self.invite.limited_to else ()
        return with_newcomer(self.team, self.me, Newcomer(self.newcomer, False, limited_to), now_ms)


def invited_to(invite: Invite, team: Team) -> tuple[str, ...]:
    """The projects that who joins with a code can receive; of a guest, those still shared."""
    shared = tuple(p.identity for p in team.projects)
    return tuple(p for p in shared if p in invite.limited_to) if invite.limited_to else shared


def over(invite: Invite, team: Team, me: PairingCode, now: datetime) -> Refusal | None:
    """The reason why nobody can join with this code of mine any more; None if somebody can."""
    if team.leader != me.key:
        return Refusal.NOT_LEADER
    if invite.open_at(now):
        is_empty = bool(invite.limited_to) and not invited_to(invite, team)
        return Refusal.NOT_SHARED if is_empty else None
    return _ENDED.get(invite.status, Refusal.EXPIRED)


@dataclass(frozen=True)
class Newcomer:
    """A member to add: its pairing code, and how it is added.

    With `replaces` it is a known member whose machine was installed again. With `limited_to` it is
    a guest, who receives only these projects. With `same_person` both it and the member with its
    user name are asked whether they are machines of one person.
    """

    code: PairingCode
    replaces: bool = False
    limited_to: tuple[str, ...] = ()
    same_person: bool = False


def with_newcomer(team: Team, me: PairingCode, newcomer: Newcomer, now_ms: int) -> Team:
    """The team with a newcomer on its roster, by a pairing code or an invitation code.

    If I use discovery (`dynamic` is among my addresses), the newcomer gets that address too.

    Raises:
        NotLeader: I do not lead the team.
        Conflict: a member has this tag, key or device already.
        NotFound: the team does not share a project to which the newcomer is limited.
    """
    led, code = team.lead_by(me.key), newcomer.code
    reached = [*code.addresses, *(a for a in me.addresses if a == "dynamic")]
    code = replace(code, addresses=tuple(dict.fromkeys(reached)))
    if newcomer.replaces:
        return led.replace(code, now_ms)
    if newcomer.same_person:
        return led.add_machine(code, now_ms)
    projects = [p.identity for p in led.projects]
    limited = tuple(find_project(each, projects, led.aliases) for each in newcomer.limited_to)
    return led.add(code, now_ms, limited)


def free_tag(team: Team, tag: str) -> str | None:
    """A tag like this one that nobody in the team has; None if none fits."""
    user, machine = tag.split(".")
    taken = {m.tag for m in team.everybody}
    for number in range(2, limits.MEMBERS + 3):
        name = f"{machine[: 31 - len(str(number))]}-{number}"
        if TAG_PART.fullmatch(name) and f"{user}.{name}" not in taken:
            return f"{user}.{name}"
    return None


def _no_room(team: Team, newcomer: PairingCode) -> Refusal | None:
    if any(newcomer.key == m.key or newcomer.device == m.device for m in team.everybody):
        return Refusal.LISTED
    if any(newcomer.tag == m.tag for m in team.everybody):
        return Refusal.TAG_TAKEN
    former = team.former(newcomer.key)
    if former and former.removal and former.removal.how is not How.LEFT:
        return Refusal.REMOVED
    try:
        team.add(newcomer, 0)
    except Conflict:
        return Refusal.TEAM_FULL if len(team.everybody) >= limits.MEMBERS else Refusal.REMOVED
    return None
