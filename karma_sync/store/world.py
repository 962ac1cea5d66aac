"""Reads the World from the store: everything that decides about Syncthing's folders and devices.

The World is defined in `domain/mesh/channels.py`. Also answers whether a global pause is active.
"""

from datetime import datetime

from karma_sync.domain.mesh.channels import Device, World
from karma_sync.domain.team.invitation import Answer
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction


def read_world(tx: Transaction, me: PairingCode, now: datetime, discovery: bool) -> World:
    """The world by the store at `now` (UTC).

    `discovery` tells whether devices may also be found by Syncthing's discovery.
    """
    teams = tuple(state.teams.all(tx))
    contacts, invitations = state.contacts.all(tx), state.invitations.all(tx)
    dynamic = ("dynamic",) if discovery else ()
    paired = {
        Device(p.device, p.tag, p.addresses + dynamic or ("dynamic",))
        for p in state.pairings.all(tx)
        if p.used or p.open_at(now)
    }
    paired |= {
        Device(c.device, c.name, ("dynamic",))
        for c in contacts
        if c.answer is Answer.ACCEPTED and c.device not in {d.id for d in paired}
    }
    return World(
        key=me.key,
        teams=teams,
        subscriptions=tuple(state.subscriptions.all(tx)),
        paired=frozenset(paired),
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
        ignored=frozenset(c.device for c in contacts if c.answer is Answer.DECLINED),
        halted=any(halt.is_active(now) for halt in state.halts.all(tx)),
        agreed=frozenset((a.team, a.project, a.name) for a in state.agreements.all(tx)),
    )


def active_pause(store: Database, now: datetime) -> state.GlobalPause | None:
    """The pause that is active at `now` (UTC); None if there is none."""
    with store.reading() as tx:
        return next((halt for halt in state.halts.all(tx) if halt.is_active(now)), None)


def pause_left(store: Database, now: datetime) -> float | None:
    """The seconds until the active pause ends; None if no pause is active, or it has no end."""
    halt = active_pause(store, now)
    return (halt.until - now).total_seconds() if halt and halt.until else None
