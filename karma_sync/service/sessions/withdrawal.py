"""Use cases of `session unshare` and `redact`: calling back what has left this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.mesh.channels import outboxes
from karma_sync.domain.session.key import SessionKey
from karma_sync.domain.session.selection import Unshared, Whose, is_named
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Status
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.sending.ledger.closed_channels import closed_channels
from karma_sync.sending.packaging.observations import SOURCE_ID
from karma_sync.service.projects import all_answers
from karma_sync.store import ledger, state
from karma_sync.store.database import Database
from karma_sync.store.ledger import Departed
from karma_sync.store.world import read_world


@dataclass(frozen=True)
class Withdrawals:
    """The unshared sessions and agents, and the time when the redactions last changed.

    The sending thread needs both.
    """

    unshared: frozenset[Unshared]
    redactions: datetime | None


def withdrawals(store: Database) -> Withdrawals:
    """The withdrawals that state.db has now."""
    with store.reading() as tx:
        changed = state.changed_redactions.get(tx, "all")
        return Withdrawals(frozenset(state.unshared.all(tx)), changed.at if changed else None)


def find(work: Database, wanted: str, whose: Whose, me: str) -> tuple[Unshared, list[Departed]]:
    """The session that `wanted` names, or the agent `wanted`, and what left of it.

    A session is named by its composite key, or by the beginning of its ID. `me` is my tag.

    Raises:
        NotFound: nothing of it left this machine.
        BadInput: the IDs of several sessions begin with `wanted`.
    """
    with work.reading() as tx:
        rows = ledger.departed.all(tx)
    if whose is Whose.AGENT:
        unshared = Unshared(whose=whose, name=wanted)
        found = [row for row in rows if row.session and unshared.covers(row.agent, row.session)]
        if not found:
            known = sorted({row.agent for row in rows if row.agent})
            hint = f"--agent {' or '.join(known)}" if known else "karma-sync sent"
            raise NotFound(f"nothing of the agent {wanted!r} left this machine", hint=hint)
        return unshared, found
    key = SessionKey.parse(wanted) if wanted else SessionKey()
    found = [row for row in rows if row.session and wanted and key.fits(_key_of(row, me, key))]
    found = [row for row in found if row.session == key.session] or found
    names = sorted({row.session for row in found})
    if not names:
        raise NotFound(
            f"no session {wanted!r} left this machine",
            hint=f"karma-sync sent; or to keep one here: karma-sync session withhold {wanted}",
        )
    if len(names) > 1:
        raise BadInput(f"{wanted!r} fits several sessions", hint=" or ".join(names[:5]))
    return Unshared(whose=whose, name=names[0]), found


def _key_of(row: Departed, me: str, wanted: SessionKey) -> SessionKey:
    """The key of what left; the ledger may have lost agent and project of what is withdrawn."""
    agent, project = row.agent or wanted.agent, row.project or wanted.project
    return SessionKey(me, agent, project, row.session)


def count_sessions(rows: Iterable[Departed]) -> int:
    """The number of different sessions that these rows name."""
    return len({row.session for row in rows})


@dataclass(frozen=True)
class Reach:
    """The reach of a call-back; projects are named as in a command.

    `goes` is true if an open channel has some of it. `paused` are projects whose channels are
    paused, so that the call-back waits. `closed` are projects that I no longer send although what
    left stays with the other members: there it is not called back.
    """

    goes: bool
    paused: frozenset[str]
    closed: frozenset[str]


def reach(
    states: Database, store: Database, me: PairingCode, now: datetime, rows: Iterable[Departed]
) -> Reach:
    """The reach of a call-back of these rows."""
    with states.reading() as tx:
        world = read_world(tx, me, now, discovery=False)
    folders = {row.folder for row in rows}
    named = {(s.team.id, s.project): s.named for s in all_answers(states, me)}
    mine = [channel for channel in outboxes(world) if channel.id in folders]
    over = [
        each for each in closed_channels(states, store, world) if each.rows[0].folder in folders
    ]
    return Reach(
        goes=bool(mine),
        paused=frozenset(
            named[c.team.id, c.project]
            for c in mine
            if world.halted or c.subscription.status is Status.PAUSED
        ),
        closed=frozenset(named[e.team.id, e.project] for e in over if e.stays),
    )


def unshare(store: Database, unshared: Unshared) -> None:
    """Call back what left of a session or an agent, and send no more of it.

    The daemon does the work.
    """
    with store.transaction() as tx:
        state.unshared.put(tx, unshared)


def unshare_again(store: Database, work: Database) -> list[str]:
    """Unshare again what the ledger records as withdrawn, and state.db does not know.

    Then both state.db and intent.json are old backups. What was withdrawn through one channel must
    not leave through another either. Returns the names of these sessions and agents, sorted.
    """
    newest: dict[tuple[str, str], Departed] = {}
    with work.reading() as tx:
        rows = [row for row in ledger.departed.all(tx) if row.session]
    for row in sorted(rows, key=lambda row: max(row.revision, row.withdrawn)):
        newest[row.agent, row.session] = row
    with store.reading() as tx:
        known = state.unshared.all(tx)
    lost = [
        Unshared(whose=Whose.AGENT, name=row.agent)
        if row.session == SOURCE_ID
        else Unshared(whose=Whose.SESSION, name=row.session)
        for row in newest.values()
        if row.withdrawn and not is_named(known, row.agent, row.session)
    ]
    if lost:
        with store.transaction() as tx:
            state.unshared.put(tx, *lost)
    return sorted(each.name for each in lost)


def left(store: Database) -> list[Departed]:
    """Everything that left and was not withdrawn."""
    with store.reading() as tx:
        return [row for row in ledger.departed.all(tx) if not row.withdrawn]


def find_unshared(store: Database, wanted: str, whose: Whose) -> Unshared:
    """Find the unshared session whose ID begins with `wanted`, or the unshared agent `wanted`.

    Raises:
        Conflict: it is not unshared.
        BadInput: the IDs of several unshared sessions begin with `wanted`.
    """
    with store.reading() as tx:
        held = [u for u in state.unshared.all(tx) if u.whose is whose and not u.lifted]
    name = SessionKey.parse(wanted).session if whose is Whose.SESSION and wanted else wanted
    fits = [u for u in held if u.name == name]
    if whose is Whose.SESSION:
        fits = fits or [u for u in held if name and u.name.startswith(name)]
    if not fits:
        raise Conflict(f"{wanted!r} is not unshared", hint="karma-sync sent")
    if len(fits) > 1:
        names = " or ".join(u.name for u in fits[:5])
        raise BadInput(f"{wanted!r} fits several sessions", hint=names)
    return fits[0]


def lift(store: Database, unshared: Unshared) -> None:
    """Let a session or an agent leave again that was unshared."""
    with store.transaction() as tx:
        # the row stays: a missing row must mean that the database was lost
        state.unshared.put(tx, unshared.changed(lifted=True))


def redactions_changed(store: Database, now: datetime) -> None:
    """Make the daemon package everything again with the changed redactions."""
    with store.transaction() as tx:
        state.changed_redactions.put(tx, state.ChangedRedactions(at=now))
