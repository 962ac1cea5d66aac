"""Reads the World from the store: everything that decides about Syncthing's folders and devices.

The World is defined in `domain/mesh/channels.py`. Also answers whether a global pause is active.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from karma_sync.domain.mesh.channels import Device, NoticeFolder, World
from karma_sync.domain.team.invitation import Answer, short_id
from karma_sync.domain.team.knock import knocking_name, proof
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.paths import removal_folder
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction

_TOLD_FOR = timedelta(days=90)  # a removed member who comes back later learns it from nobody


def read_world(
    tx: Transaction, me: PairingCode, now: datetime, discovery: bool, port: int = 0
) -> World:
    """The world by the store at `now` (UTC).

    `discovery` is true if devices may also be found by Syncthing's discovery; `port` is where
    our Syncthing listens, which decides the name of our device: 0 leaves that open.
    """
    teams = tuple(state.teams.all(tx))
    contacts, invitations = state.contacts.all(tx), state.invitations.all(tx)
    formers = state.formers.all(tx)
    joinings = [each for each in state.joinings.all(tx) if each.is_open]
    doors = [door for door in state.doors.all(tx) if door.is_shared]
    # later ones win: a member paired by code is known better than a device that knocked or asked
    found = [Device(c.device, c.name, ("dynamic",)) for c in contacts if c.is_accepted]
    found += [
        Device(d.device, d.name or short_id(d.device), _reached(d.addresses, discovery))
        for d in doors
    ]
    found += [
        # not its tag, once that is known: it would be one more write of Syncthing's configuration
        Device(j.device, short_id(j.device), _reached(j.addresses, discovery))
        for j in joinings
    ]
    found += [
        Device(p.device, p.tag, _reached(p.addresses, discovery))
        for p in state.pairings.all(tx)
        if p.used or p.open_at(now)
    ]
    refused = frozenset(c.device for c in contacts if c.answer is Answer.DECLINED)
    listens = any(invite.open_at(now) for invite in state.invites.all(tx))
    proofs = [proof(bytes.fromhex(j.knock_key), me.device, port) for j in joinings]
    return World(
        key=me.key,
        teams=teams,
        subscriptions=tuple(state.answers(tx)),
        paired=frozenset({device.id: device for device in found}.values()),
        fetching=frozenset(
            (i.folder, device)
            for i in invitations
            if i.answer is not Answer.DECLINED
            for device in i.devices
        ),
        refused=frozenset(
            (i.folder, device)
            for i in invitations
            if i.answer is Answer.DECLINED
            for device in i.devices
        ),
        # an ignored device cannot even knock: while a code is open, we leave it out ourselves
        ignored=frozenset() if listens else refused,
        heard=refused if listens else frozenset(),
        name=knocking_name(me.device_name, proofs, port) if port else "",
        doors=frozenset(
            {(d.folder, d.device) for d in doors}
            | {(j.door(me.device), j.device) for j in joinings}
        ),
        knocked=frozenset(Device(j.device, j.leader, j.addresses) for j in joinings),
        halted=any(halt.is_active(now) for halt in state.halts.all(tx)),
        notices=frozenset((*_told(tx, now), *_telling(teams, me.key, now))),
        former=frozenset(f.team for f in formers),
        purged=frozenset(f.team for f in formers if f.is_purged(now)),
        muted=frozenset(mute.key for mute in state.mutes.all(tx)),
        agreed=frozenset((a.team, a.project, a.name) for a in state.agreements.all(tx)),
    )


def _reached(addresses: Sequence[str], discovery: bool) -> tuple[str, ...]:
    dynamic = ("dynamic",) if discovery else ()
    return tuple(addresses) + dynamic or ("dynamic",)


def _telling(teams: Iterable[Team], key: str, now: datetime) -> Iterator[NoticeFolder]:
    """The folders in which I tell removed members of their removal."""
    for team in teams:
        for gone in team.removed if team.anybody(key) else ():
            removal = gone.removal
            if removal and removal.notice and now - _moment(removal.at) < _TOLD_FOR:
                folder = removal_folder(team.id, gone.key, gone.incarnation)
                # its own Syncthing may wait for us to dial, as we did before
                device = Device(gone.device, gone.tag, gone.addresses or ("dynamic",))
                yield NoticeFolder(folder, device)


def _told(tx: Transaction, now: datetime) -> Iterator[NoticeFolder]:
    """The folders in which others tell me of my own removal."""
    for offer in state.removals.all(tx):
        if offer.until is None or now < offer.until:
            yield from (NoticeFolder(offer.folder, device) for device in offer.devices)


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def active_pause(store: Database, now: datetime) -> state.GlobalPause | None:
    """The pause that is active at `now` (UTC); None if there is none."""
    with store.reading() as tx:
        return next((halt for halt in state.halts.all(tx) if halt.is_active(now)), None)


def pause_left(store: Database, now: datetime) -> float | None:
    """The seconds until the active pause ends; None if no pause is active, or it has no end."""
    halt = active_pause(store, now)
    return (halt.until - now).total_seconds() if halt and halt.until else None
