"""How things stand, in one value: who I am, who is connected, what went and came, what waits."""

from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.pairing import PairingCode
from karma_sync.domain.plan import Channel, World, inboxes, outboxes
from karma_sync.domain.subscription import Subscription
from karma_sync.domain.team import Member, Team
from karma_sync.service import pairing, projects
from karma_sync.service.control import paused_until
from karma_sync.service.receipts import confirmations
from karma_sync.service.world import read_world
from karma_sync.store import library, state, work
from karma_sync.store.database import Database


@dataclass(frozen=True)
class Stores:
    """The three databases of one member."""

    state: Database
    work: Database
    library: Database


@dataclass(frozen=True)
class Peer:
    """Another member, and whether its device is connected; `last_seen` in UTC."""

    member: Member
    connected: bool
    last_seen: datetime | None


@dataclass(frozen=True)
class Receiver:
    """What a member's receipt says of my channel: how many items, and whether exactly mine."""

    tag: str
    items: int
    whole: bool


@dataclass(frozen=True)
class ProjectStatus:
    """One shared project: my answer, what I sent and who has it, what I have, what waits.

    `refused` is the reason by item; `withheld` (on purpose) and `failed` by session id.
    """

    team: Team
    mine: Subscription
    sent: int
    receivers: list[Receiver]
    received: dict[str, int]
    waiting: int
    refused: dict[str, str]
    withheld: dict[str, str]
    failed: dict[str, str]


@dataclass(frozen=True)
class Status:
    """Everything `karma-sync status` shows; `paused` if everything is, as a whole."""

    peers: list[Peer]
    projects: list[ProjectStatus]
    teams: list[Team]
    inbox: pairing.Waiting
    paused: state.Halt | None
    faults: dict[str, str]

    def stuck(self, running: bool) -> list[str]:
        """What will not move by itself, in words; empty if nothing is."""
        reasons = [] if running else ["the daemon is not running"]
        reasons += [f"{folder}: {why}" for folder, why in sorted(self.faults.items())]
        for project in self.projects:
            reasons += [f"{item} was refused: {why}" for item, why in project.refused.items()]
            reasons += [f"session {s} did not leave: {why}" for s, why in project.failed.items()]
        return reasons


def status(stores: Stores, me: PairingCode, now: datetime) -> Status:
    """How things stand at `now`, as far as the daemon wrote it down."""
    with stores.state.reading() as tx:
        world = read_world(tx, me, now, discovery=False)
    standings = projects.standings(stores.state, me)
    with stores.work.reading() as tx:
        faults = {fault.folder: fault.why for fault in work.faults.all(tx)}
    return Status(
        faults=faults,
        peers=_peers(stores, world),
        projects=[_project(stores, world, me, standing) for standing in standings],
        teams=list(world.teams),
        inbox=pairing.inbox(stores.state),
        paused=paused_until(stores.state, now),
    )


def _peers(stores: Stores, world: World) -> list[Peer]:
    with stores.work.reading() as tx:
        links = {link.device: link for link in work.links.all(tx)}
    members = {m.key: m for team in world.teams for m in team.members if m.key != world.key}
    peers = []
    for member in sorted(members.values(), key=lambda m: m.tag):
        link = links.get(member.device)
        peers.append(Peer(member, bool(link and link.connected), link.last_seen if link else None))
    return peers


def _project(
    stores: Stores, world: World, me: PairingCode, standing: projects.Standing
) -> ProjectStatus:
    place = standing.team.id, standing.project
    box = next((c for c in outboxes(world) if (c.team.id, c.project) == place), None)
    with stores.library.reading() as tx:
        scope = library.AccessScope(
            me.tag, frozenset({standing.team.id}), frozenset({standing.project})
        )
        counts = {member: n for (_, _, member), n in library.counts(tx, scope).items()}
        sent = library.revisions(tx, box.id) if box else {}
        arrivals = [
            arrival
            for channel in inboxes(world)
            if (channel.team.id, channel.project) == place
            for arrival in library.arrivals(tx, channel.id).values()
        ]
    with stores.work.reading() as tx:
        withheld = work.withheld.all(tx, folder=box.id) if box else []
    counts.pop(me.tag, None)
    return ProjectStatus(
        team=standing.team,
        mine=standing.mine,
        sent=len(sent),
        receivers=_receivers(stores, standing.team, box, sent),
        received=counts,
        waiting=sum(a.state == "waiting" for a in arrivals),
        refused={a.item: a.why for a in arrivals if a.refused},
        withheld={w.session: w.why for w in withheld if not w.failed},
        failed={w.session: w.why for w in withheld if w.failed},
    )


def _receivers(
    stores: Stores, team: Team, box: Channel | None, sent: dict[str, int]
) -> list[Receiver]:
    if box is None:
        return []
    said = confirmations(stores.work, team, box.id, sent)
    return [Receiver(tag, items, whole) for tag, (items, whole) in sorted(said.items())]
