"""Use case of `status`: reads the state of everything from the databases into one report."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.domain import limits
from karma_sync.domain.access import AccessScope
from karma_sync.domain.events import EventFilter, EventType
from karma_sync.domain.mesh.channels import (
    Channel,
    World,
    folder_title,
    inboxes,
    outboxes,
    receivers,
)
from karma_sync.domain.team.member import How
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.rights import rights_of
from karma_sync.domain.team.subscription import Status as Answer
from karma_sync.runtime.event_log import SYNCTHING
from karma_sync.sending.ledger.closed_channels import Ended, closed_channels
from karma_sync.sending.ledger.recalls import CalledBack, called_back, withdrawal_of
from karma_sync.service import invitations, projects
from karma_sync.service.status_model import (
    NewLeader,
    Peer,
    ProjectStatus,
    ReceiverStatus,
    Renames,
    StatusReport,
    Stores,
    TransferStatus,
    peers,
    renames,
)
from karma_sync.service.teams import personal_ids, proposals
from karma_sync.store import events, ledger, library, readable, state, work
from karma_sync.store.database import Transaction
from karma_sync.store.world import active_pause, read_world
from karma_sync.team.documents.stored import digest_of, receipts_for

_LATELY = timedelta(days=30)


def silent_days(now: datetime, answered: Iterable[datetime]) -> int:
    """Whole days since the newest of the moments `answered` (UTC); a future one counts as now.

    Raises:
        ValueError: `answered` is empty.
    """
    return max(0, (now - max(answered)).days)


def status(stores: Stores, me: PairingCode, now: datetime, running: bool) -> StatusReport:
    """The state of everything at `now`, as far as the daemon recorded it.

    No peer counts as connected unless the daemon is `running`, because a killed daemon could not
    record the end of a connection, and unless Syncthing answers the daemon.
    """
    with stores.state.reading() as tx:
        world = read_world(tx, me, now, discovery=False)
        personal = personal_ids(tx)
        formers = state.formers.all(tx)
    answers = projects.all_answers(stores.state, me)
    with stores.work.reading() as tx:
        faults = [(fault.folder, fault.why) for fault in work.faults.all(tx)]
        faults += [(large.folder, large.why) for large in work.too_large.all(tx)]
        transfers = {(t.folder, t.device): t for t in work.transfers.all(tx)}
        last_error = events.last_bad(tx)
        taken_over = _taken_over(tx, world, now)
        is_over = last_error is not None and events.is_over(tx, last_error)
    closed = closed_channels(stores.state, stores.work, world)
    is_up = running and SYNCTHING not in dict(faults)
    scope = rights_of(me.tag, world.teams, world.subscriptions)
    look = _Look(stores, world, scope, _peers(stores, world, is_up), transfers, closed)
    return StatusReport(
        faults={folder_title(world, folder): why for folder, why in faults},
        peers=sorted(look.peers.values(), key=lambda peer: peer.member.tag),
        projects=[_project(look, each) for each in answers],
        teams=list(world.teams),
        personal=personal,
        inbox=invitations.inbox(stores.state, me, now),
        paused=active_pause(stores.state, now),
        packaging=look.transfer(work.PACKAGING) if running else None,
        silent=_silent(look, now),
        last_error=last_error,
        last_error_over=is_over,
        removed=[(f.name, f.at) for f in formers if f.how is How.REMOVED and now - f.at < _LATELY],
        taken_over=taken_over,
        proposed=proposals(team for team in world.teams if team.leader == me.key),
    )


def _taken_over(tx: Transaction, world: World, now: datetime) -> list[NewLeader]:
    """The teams that a successor took over lately, and leads still, by the events in work.db."""
    lately = EventFilter(types=(EventType.LEADER_TAKEN_OVER,), since=now - _LATELY)
    known = {event.subject: event.at for event in events.after(tx, 0, lately)}
    found = []
    for team in world.teams if known else ():
        leads = team.member(team.leader)
        if team.rank and leads and leads.key != world.key and leads.tag in known:
            found.append(NewLeader(team.name, leads.tag, known[leads.tag]))
    return found


@dataclass(frozen=True)
class _Look:
    """The facts from which all parts of the report are made.

    `scope` is my access. `peers` are by key, `transfers` by folder and device. `ended` lists the
    content that left through channels that are closed now.
    """

    stores: Stores
    world: World
    scope: AccessScope
    peers: dict[str, Peer]
    transfers: dict[tuple[str, str], work.Transfer]
    ended: list[Ended]

    def transfer(self, folder: str, device: str = "") -> TransferStatus | None:
        row = self.transfers.get((folder, device))
        return TransferStatus.of(row) if row else None


def _peers(stores: Stores, world: World, is_up: bool) -> dict[str, Peer]:
    others = {m.key: m for team in world.teams for m in team.everybody if m.key != world.key}
    return peers(stores.work, others.values(), is_up=is_up)


def _silent(look: _Look, now: datetime) -> dict[str, int | None]:
    """By team of which no member was connected or signed a receipt for a day or more: the days."""
    found: dict[str, int | None] = {}
    for team in look.world.teams:
        peers = [look.peers[m.key] for m in team.members if m.key in look.peers]
        keys = {peer.member.key for peer in peers}
        if not peers or any(peer.connected for peer in peers):
            continue
        with look.stores.work.reading() as tx:
            # a receipt's version is the moment at which it was signed, or just above
            versions = [r.version for r in work.receipts_of(tx, team.id) if r.writer in keys]
        moments = [peer.last_seen for peer in peers if peer.last_seen]
        latest = now.timestamp() * 1000
        moments += [datetime.fromtimestamp(min(v, latest) / 1000, UTC) for v in versions]
        days = silent_days(now, moments) if moments else None
        if days != 0:
            found[team.name] = days
    return found


def _project(look: _Look, answers: projects.ProjectAnswers) -> ProjectStatus:
    world, team, project = look.world, answers.team, answers.project
    box = next((c for c in outboxes(world) if (c.team.id, c.project) == (team.id, project)), None)
    sources = [c for c in inboxes(world) if (c.team.id, c.project) == (team.id, project)]
    with look.stores.library.reading() as tx:
        scope = look.scope.within(team=team.id, project=project)
        counts = {member: n for (_, _, member), n in readable.counts(tx, scope).items()}
        sent = library.revisions(tx, box.id) if box else {}
        found = [(c.owner.tag, a) for c in sources for a in library.arrivals(tx, c.id).values()]
    with look.stores.work.reading() as tx:
        withheld = work.withheld.all(tx, folder=box.id) if box else []
        unknown = WithheldRecords()
        for each in work.unknown_records.all(tx, folder=box.id) if box else []:
            unknown.add(WithheldRecords(each.types))
        recovering = work.recovering.get(tx, box.id) if box else None
    missing = {c.owner.tag: look.transfer(c.id) for c in sources}
    mine = team.anybody(world.key)
    return ProjectStatus(
        team=team,
        mine=answers.mine,
        sent=len(sent),
        recovering=recovering.why if recovering else "",
        receivers=_receivers(look, answers, box, sent),
        received={tag: n for tag, n in counts.items() if mine is None or tag != mine.tag},
        arriving={tag: transfer for tag, transfer in missing.items() if transfer},
        waiting=sum(arrival.state == "waiting" for _, arrival in found),
        refused={arrival.item: arrival.why for _, arrival in found if arrival.refused},
        senders={arrival.item: tag for tag, arrival in found if arrival.refused},
        withheld=_why(withheld, work.Stays.WITHHELD),
        resting=_why(withheld, work.Stays.WAITING),
        failed=_why(withheld, work.Stays.FAILED),
        unknown=unknown.types,
        renames=renames(look.stores.state, box) if box else Renames(),
        called_back=_called_back(look, answers, box),
    )


def _called_back(
    look: _Look, answers: projects.ProjectAnswers, box: Channel | None
) -> list[CalledBack]:
    """The recalls in the open channel, and those in closed channels.

    A closed channel is listed until all members confirmed it, or for as long as no other is open.
    """
    here = called_back(look.stores.work, look.world, box) if box else []
    over = [
        withdrawal_of(each)
        for each in look.ended
        if (each.team.id, each.project) == (answers.team.id, answers.project) and not each.stays
    ]
    return [*here, *(each for each in over if each.waiting or box is None)]


def _why(stays: Iterable[work.Withheld], kind: work.Stays) -> dict[str, str]:
    return {row.session: row.why for row in stays if row.kind is kind}


def _receivers(
    look: _Look, answers: projects.ProjectAnswers, box: Channel | None, sent: dict[str, int]
) -> list[ReceiverStatus]:
    """Every member and guest that receives what I send, with or without a receipt."""
    if box is None:
        return []
    receipts = receipts_for(look.stores.work, box.team, box.id)
    with look.stores.work.reading() as tx:
        known = ledger.confirmed(tx, box.id)
    paused = {member.tag for member, theirs in answers.others if theirs.status is Answer.PAUSED}
    found = []
    taking = receivers(look.world, box)
    members = [m for m in box.team.everybody if m.device in taking]
    for member in sorted(members, key=lambda m: m.tag):
        receipt = receipts.get(member.tag)
        items = receipt.confirms(sent, known.get(member.key, 0)) if receipt else 0
        whole = receipt is not None and receipt.digest == digest_of(sent)
        transfer = look.transfer(box.id, member.device)
        peer = look.peers[member.key]
        found.append(ReceiverStatus(peer, items, whole, transfer, member.tag in paused))
    return found


def without_space(places: Iterable[Path]) -> dict[str, str]:
    """The full disks: by one of these places on each, why nothing can be stored there.

    `status` measures this itself: on a full disk, no process could record it.
    """
    found = {}
    for place in {path.stat().st_dev: path for path in places if path.exists()}.values():
        usage = shutil.disk_usage(place)
        if usage.free < limits.LEAST_FREE * usage.total:
            found[str(place)] = (
                f"less than {limits.LEAST_FREE:.0%} of this disk is free: make space"
            )
    return found
