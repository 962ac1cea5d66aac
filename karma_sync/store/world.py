"""Reads from the store all that decides about folders and devices."""

from datetime import datetime

from karma_sync.domain.mesh.channels import Device, World
from karma_sync.domain.team.invitation import Answer
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction


def read_world(tx: Transaction, me: PairingCode, now: datetime, discovery: bool) -> World:
    """The world as the store has it at `now`."""
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
        halted=any(halt.holds(now) for halt in state.halts.all(tx)),
        agreed=frozenset((a.team, a.project, a.name) for a in state.agreements.all(tx)),
    )


def paused_until(store: Database, now: datetime) -> state.GlobalPause | None:
    """The pause that holds at `now`; None if none does."""
    with store.reading() as tx:
        return next((halt for halt in state.halts.all(tx) if halt.holds(now)), None)


def pause_left(store: Database, now: datetime) -> float | None:
    """Seconds until the pause ends that holds at `now`; None if none does, or it has no end."""
    halt = paused_until(store, now)
    return (halt.until - now).total_seconds() if halt and halt.until else None
