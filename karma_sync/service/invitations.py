"""Use cases of `pair`, `inbox`, `accept` and `decline`: pairing, contacts and invitations."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from karma_sync.domain.team.invitation import Answer, Contact, Invitation, Pairing
from karma_sync.domain.team.invite import Door, Joining, JoinStatus
from karma_sync.domain.team.machine import SameClaim
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.paths import metadata_folder
from karma_sync.service import machines
from karma_sync.service.teams import refuse_own
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction

_REFUSED_LATELY = timedelta(days=1)

Asked = Contact | Invitation | Door | SameClaim


@dataclass(frozen=True)
class Waiting:
    """The contacts and invitations that wait for my answer, the oldest first.

    Only invitations with a verified roster can be answered; `fetching` counts the others, but those
    to teams in which I was before.
    `declined` are contacts and invitations that I declined; I can still accept them. `awaited` are
    contacts that I accepted and that have not sent an invitation yet, `paired` the members that I
    paired with and that have not either. `asking` are requests with an invitation code of mine that
    need my yes, `joining` the codes with which I ask, `refused` those that were refused in the last
    day. `machines` are members who are said to be
    other machines of mine.
    """

    contacts: list[Contact]
    invitations: list[Invitation]
    fetching: int
    declined: tuple[Contact | Invitation, ...] = ()
    awaited: tuple[Contact, ...] = ()
    paired: tuple[Pairing, ...] = ()
    asking: tuple[Door, ...] = ()
    joining: tuple[Joining, ...] = ()
    machines: tuple[SameClaim, ...] = ()
    refused: tuple[Joining, ...] = ()

    @property
    def unanswered(self) -> list[Asked]:
        """All that waits for my answer."""
        return [*self.contacts, *self.invitations, *self.asking, *self.machines]

    @property
    def to_answer(self) -> list[Asked]:
        """All that a person can answer by its ID."""
        return [*self.unanswered, *self.awaited, *self.declined]


def pair(store: Database, me: PairingCode, code: PairingCode, now: datetime) -> Pairing:
    """Accept in advance the first invitation from this code's key within 24 hours.

    Raises:
        BadInput: the code is my own.
    """
    refuse_own(me, code)
    pairing = Pairing.by(code, now)
    with store.transaction() as tx:
        state.pairings.put(tx, pairing)
        state.contacts.drop(tx, device=code.device)  # the device is known now
    return pairing


def inbox(store: Database, me: PairingCode, now: datetime) -> Waiting:
    """The contacts and invitations that wait for my answer, and what I wait for at `now` (UTC)."""
    with store.reading() as tx:
        pairings, teams = state.pairings.all(tx), state.teams.all(tx)
        members = {m.device for team in teams for m in team.everybody}
        known = members | {p.device for p in pairings}
        contacts = [c for c in state.contacts.all(tx) if c.device not in known]
        invitations = state.invitations.all(tx)
        doors = state.doors.all(tx)
        pasted = state.joinings.all(tx)
        joining = [each for each in pasted if each.is_open]
        mine = {metadata_folder(each.team) for each in joining if each.agreed}
        invitations = [i for i in invitations if i.folder not in mine]  # answered by the code
        left = {metadata_folder(former.team) for former in state.formers.all(tx)}
        contacts = [c for c in contacts if c.device not in {j.device for j in joining}]
        claims = machines.claims(tx, me)
    asked: list[Contact | Invitation] = [*contacts, *invitations]
    declined = [each for each in asked if each.answer is Answer.DECLINED]
    inviting = {device for i in invitations for device in i.devices}
    accepted = [c for c in contacts if c.answer is Answer.ACCEPTED]
    contacts = [c for c in contacts if c.answer is Answer.PENDING]
    pending = [i for i in invitations if i.answer is Answer.PENDING]
    ready = [i for i in pending if i.ready]
    # the others share the folder of a team that I left for a while: that is no invitation
    arriving = [i for i in pending if not i.ready and i.folder not in left]
    joined = {team.id for team in teams} | {each.team for each in joining}
    return Waiting(
        contacts=sorted(contacts, key=lambda c: c.seen),
        invitations=sorted(ready, key=lambda i: i.seen),
        fetching=len(arriving),
        declined=tuple(declined),
        awaited=tuple(c for c in accepted if c.device not in inviting),
        asking=tuple(d for d in doors if d.waits),
        joining=tuple(joining),
        machines=tuple(claims),
        refused=tuple(
            each
            for each in pasted
            if each.status is JoinStatus.REFUSED
            and now - each.made < _REFUSED_LATELY
            and each.team not in joined
        ),
        paired=tuple(p for p in pairings if p.open_at(now) and p.device not in members),
    )


def newcomer(store: Database, wanted: str) -> PairingCode:
    """The code of a member whose device asked to connect, or with whom I paired, by its ID.

    Of a contact, tag and key are its own claim.

    Raises:
        NotFound: no contact and no pairing has the ID.
        BadInput: the contact does not say who it is.
        Conflict: it says something else by now than the person was shown.
    """
    with store.reading() as tx:
        pairings, contacts = state.pairings.all(tx), state.contacts.all(tx)
    for pairing in pairings:
        if pairing.id == wanted.lower():
            return PairingCode(pairing.tag, pairing.device, pairing.key, pairing.addresses)
    for contact in contacts:
        if contact.id == wanted.lower():
            with store.reading() as tx:
                _require_as_shown(tx, contact)
            if contact.key:
                return PairingCode(contact.name, contact.device, contact.key)
            raise BadInput(
                f"{contact.name} does not say its key",
                hint="karma-sync team add CODE, with its pairing code",
            )
    raise NotFound(f"no contact has the ID {wanted!r}", hint="karma-sync inbox")


def answer(store: Database, me: PairingCode, wanted: str, verb: str, now: datetime) -> Asked:
    """Accept or decline the contact, invitation, request or claim whose ID begins with `wanted`.

    `verb` is "accept" or "decline".

    Raises:
        NotFound: no ID begins with `wanted`.
        BadInput: several IDs begin with it.
        Conflict: it is the device of a member of one of my teams, or, to be accepted, something
            else by now than the person was shown.
        IllegalMove: it was answered already.
    """
    with store.transaction() as tx:
        claims = machines.claims(tx, me)
        claimed = {claim.member.device for claim in claims}
        known: list[Asked] = [*claims]
        known += [c for c in state.contacts.all(tx) if c.device not in claimed]
        known += [door for door in state.doors.all(tx) if door.waits]
        known += [i for i in state.invitations.all(tx) if i.ready]
        fitting = [each for each in known if each.id.startswith(wanted.lower())]
        if not wanted or not fitting:
            raise NotFound(
                f"no contact or invitation has the ID {wanted!r}", hint="karma-sync inbox"
            )
        if len(fitting) > 1:
            raise BadInput(
                f"{wanted!r} fits several", hint=" or ".join(each.id for each in fitting)
            )
        if verb == "accept":
            _require_as_shown(tx, fitting[0])
        if isinstance(fitting[0], SameClaim):
            machines.say(tx, fitting[0].member, now, agreed=verb == "accept")
            return fitting[0]
        if isinstance(fitting[0], Door):
            asked = fitting[0].consented(agreed=verb == "accept")
            state.doors.put(tx, asked)
            return asked
        _refuse_member(tx, fitting[0])
        answered = fitting[0].answered(verb)
        if isinstance(answered, Contact):
            state.contacts.put(tx, answered)
        else:
            state.invitations.put(tx, answered)
    return answered


def remember_shown(store: Database, asked: Iterable[Asked]) -> None:
    """Record what a person was shown of these, in place of what was shown under their IDs before.

    An ID alone does not say what is accepted: who asks may change what it says, and another device
    may have an ID that begins alike.
    """
    now = [each.shown for each in asked]
    with store.reading() as tx:
        before = state.shown.all(tx)
    if all(each in before for each in now):
        return
    with store.transaction() as tx:
        for each in now:
            state.shown.drop(tx, id=each.id)
        state.shown.put(tx, *now)


def _require_as_shown(tx: Transaction, asked: Asked) -> None:
    """Raises Conflict if the person was shown something else under the same ID."""
    before = state.shown.all(tx, id=asked.id)
    if before and asked.shown not in before:
        raise Conflict(
            f"{asked.id} is not what you were shown: it changed since", hint="karma-sync inbox"
        )


def _refuse_member(tx: Transaction, asked: Contact | Invitation) -> None:
    """Raises Conflict for a contact that is a member by now: no invitation will come from it."""
    if not isinstance(asked, Contact):
        return
    for team in state.teams.all(tx):
        for member in team.everybody:
            if member.device == asked.device:
                raise Conflict(f"{member.tag} is in team {team.name}", hint="karma-sync status")
