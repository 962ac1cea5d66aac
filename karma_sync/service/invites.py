"""Use cases of `invite`: makes invitation codes, lists them, takes them back, answers requests."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from karma_sync.domain.ids import fingerprint
from karma_sync.domain.session.project import find_project
from karma_sync.domain.team.invite import (
    DEFAULT_LIFE,
    USES,
    Door,
    DoorStatus,
    Invite,
    InviteStatus,
    invite_id,
)
from karma_sync.domain.team.invite_code import SECRET_BYTES, InviteCode, Role
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.service import teams
from karma_sync.signing import code_keys
from karma_sync.store import state
from karma_sync.store.database import Database

_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=30)


@dataclass(frozen=True)
class InviteTerms:
    """The terms of a code: its life, its uses, and whether a person answers each request.

    With `for_me`, it takes in another machine of mine.
    With `projects`, who joins is a guest, who receives only these.
    """

    life: timedelta = DEFAULT_LIFE
    uses: int = 1
    confirm: bool = False
    for_me: bool = False
    projects: tuple[str, ...] = ()

    @property
    def role(self) -> Role:
        """The role of a member that joins with the code."""
        if self.for_me:
            return Role.MACHINE
        return Role.GUEST if self.projects else Role.MEMBER


# A code for my own machines opens everything: good for a moment, for one, never without a yes.
FOR_ME = InviteTerms(life=timedelta(minutes=15), uses=1, confirm=True, for_me=True)


@dataclass(frozen=True)
class KnownInvite:
    """A code that I gave out, the name of its team, and who used it or asks with it."""

    invite: Invite
    team: str
    doors: tuple[Door, ...]

    @property
    def joined(self) -> list[str]:
        """The tags of those who joined with it."""
        done = {DoorStatus.ADMITTED, DoorStatus.CLOSED}
        return [door.tag for door in self.doors if door.status in done]

    @property
    def asking(self) -> list[Door]:
        """The requests that wait for a yes."""
        return [door for door in self.doors if door.waits]


def require_terms(terms: InviteTerms) -> None:
    """Raises BadInput for a code that would be good for too short or too long, or for too many."""
    if not _SHORTEST <= terms.life <= _LONGEST:
        raise BadInput(
            "an invitation code is good for a minute at least and 30 days at most",
            hint="karma-sync invite --expires 24h",
        )
    if not 1 <= terms.uses <= USES:
        raise BadInput(f"a code can be used 1 to {USES} times", hint="karma-sync invite --uses 1")


def for_guests(terms: InviteTerms, team: Team, wanted: Sequence[str]) -> InviteTerms:
    """The terms of a code for guests, who receive these projects of a team.

    Raises:
        NotFound: the team does not share one of them.
        BadInput: a name fits several.
    """
    shared = [p.identity for p in team.projects]
    found = dict.fromkeys(find_project(each, shared, team.aliases) for each in wanted)
    return replace(terms, projects=tuple(found))


def create(
    store: Database, me: PairingCode, team: Team, terms: InviteTerms, now: datetime
) -> tuple[Invite, InviteCode]:
    """Make a code that invites to a team that I lead; only the two keys made of it are stored.

    Raises:
        BadInput: the terms are out of range.
        NotLeader: I do not lead the team.
        IllegalMove: it is dissolved.
        Conflict: a team of my own machines takes in nobody else.
    """
    require_terms(terms)
    expires = (now + terms.life).replace(microsecond=0)
    secret = secrets.token_bytes(SECRET_BYTES)
    code = InviteCode(team.id, me.device, me.key, secret, expires, me.addresses, terms.role)
    knock, admission = code_keys(secret)
    invite = Invite(
        id=invite_id(knock),
        team=team.id,
        made=now,
        expires=expires,
        knock_key=knock.hex(),
        admission_key=admission.hex(),
        uses=terms.uses,
        for_me=terms.for_me,
        limited_to=terms.projects,
    )
    with store.transaction() as tx:
        teams.find(tx, team.id).lead_by(me.key).change()
        if not terms.for_me:
            teams.refuse_personal(tx, team)
        policy = state.policies.get(tx, team.id)
        # the policy would accept all that a new member shares: a person looks at the member first
        asks = terms.confirm or (policy is not None and policy.accepts_some)
        invite = invite.changed(confirm=asks)
        state.invites.put(tx, invite)
    return invite, code


def all_invites(store: Database) -> list[KnownInvite]:
    """Every code that I gave out in the last days, the newest first."""
    with store.reading() as tx:
        names = {team.id: team.name for team in state.teams.all(tx)}
        doors = state.doors.all(tx)
        found = sorted(state.invites.all(tx), key=lambda i: i.made, reverse=True)
    return [
        KnownInvite(i, names.get(i.team, "?"), tuple(d for d in doors if d.invite == i.id))
        for i in found
    ]


def find(store: Database, wanted: str) -> KnownInvite:
    """The code with this ID.

    Raises:
        NotFound: I gave out none with this ID.
    """
    for known in all_invites(store):
        if known.invite.id == wanted.lower():
            return known
    raise NotFound(f"no invitation code has the ID {wanted!r}", hint="karma-sync invite list")


def revoke(store: Database, wanted: str, now: datetime) -> KnownInvite:
    """Take a code back: nobody can join with it any more.

    Raises:
        NotFound: I gave out none with this ID.
        Conflict: it ended before.
    """
    known = find(store, wanted)
    with store.transaction() as tx:
        fresh = state.invites.get(tx, known.invite.id) or known.invite
        if fresh.status is not InviteStatus.OPEN:
            raise Conflict(
                f"the invitation code {fresh.id} is {fresh.status} already",
                hint="karma-sync invite list",
            )
        state.invites.put(tx, fresh.revoke(now))
    store.checkpoint()  # its key is not in the database's log either
    return known


def answer_request(store: Database, shown: Door, *, agreed: bool) -> None:
    """Say yes or no to the request that a person was shown, and to no other.

    Another device may have the same ID, and a device may ask again under another name or key.

    Raises:
        Conflict: this request waits no longer.
    """
    with store.transaction() as tx:
        door = state.doors.get(tx, shown.folder)
        if door is None or not door.waits or door.request != shown.request:
            raise Conflict(
                f"the request of {shown.tag} is another one by now, or was answered",
                hint="karma-sync inbox",
            )
        state.doors.put(tx, door.consented(agreed=agreed))


def describe(door: Door) -> str:
    """The tag and the fingerprint of the member that asks to join or has joined."""
    return f"{door.tag}, key {fingerprint(door.key)}"
