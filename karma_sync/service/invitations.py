"""Use cases of `pair`, `inbox`, `accept` and `decline`: pairing, contacts and invitations."""

from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.team.invitation import Answer, Contact, Invitation, Pairing
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import BadInput, NotFound
from karma_sync.service.teams import refuse_own
from karma_sync.store import state
from karma_sync.store.database import Database


@dataclass(frozen=True)
class Waiting:
    """The contacts and invitations that wait for my answer, the oldest first.

    Only invitations with a verified roster can be answered; `fetching` counts the others.
    `declined` are contacts and invitations that I declined; I can still accept them. `awaited` are
    contacts that I accepted and that have not sent an invitation yet.
    """

    contacts: list[Contact]
    invitations: list[Invitation]
    fetching: int
    declined: tuple[Contact | Invitation, ...] = ()
    awaited: tuple[Contact, ...] = ()


def pair(store: Database, me: PairingCode, code: PairingCode, now: datetime) -> Pairing:
    """Accept in advance the first invitation from this code's key within 24 hours.

    Raises:
        BadInput: the code is my own.
    """
    refuse_own(me, code)
    pairing = Pairing(
        key=code.key, tag=code.tag, device=code.device, addresses=code.addresses, made=now
    )
    with store.transaction() as tx:
        state.pairings.put(tx, pairing)
        state.contacts.drop(tx, device=code.device)  # the device is known now
    return pairing


def inbox(store: Database) -> Waiting:
    """The contacts and invitations that wait for my answer."""
    with store.reading() as tx:
        known = {p.device for p in state.pairings.all(tx)}
        known |= {m.device for team in state.teams.all(tx) for m in team.members}
        contacts = [c for c in state.contacts.all(tx) if c.device not in known]
        invitations = state.invitations.all(tx)
    asked: list[Contact | Invitation] = [*contacts, *invitations]
    declined = [each for each in asked if each.answer is Answer.DECLINED]
    inviting = {device for i in invitations for device in i.devices}
    accepted = [c for c in contacts if c.answer is Answer.ACCEPTED]
    contacts = [c for c in contacts if c.answer is Answer.PENDING]
    pending = [i for i in invitations if i.answer is Answer.PENDING]
    ready = [i for i in pending if i.ready]
    return Waiting(
        contacts=sorted(contacts, key=lambda c: c.seen),
        invitations=sorted(ready, key=lambda i: i.seen),
        fetching=len(pending) - len(ready),
        declined=tuple(declined),
        awaited=tuple(c for c in accepted if c.device not in inviting),
    )


def answer(store: Database, wanted: str, verb: str) -> Contact | Invitation:
    """Accept or decline the contact or invitation whose ID begins with `wanted`.

    `verb` is "accept" or "decline".

    Raises:
        NotFound: no ID begins with `wanted`.
        BadInput: several IDs begin with it.
        IllegalMove: it was answered already.
    """
    with store.transaction() as tx:
        known: list[Contact | Invitation] = [*state.contacts.all(tx)]
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
        answered = fitting[0].answered(verb)
        if isinstance(answered, Contact):
            state.contacts.put(tx, answered)
        else:
            state.invitations.put(tx, answered)
    return answered
