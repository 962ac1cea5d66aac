"""How things stand, in one value: who I am, who is connected, what went and came, what waits."""

from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.pairing import PairingCode
from karma_sync.domain.plan import inboxes, outboxes
from karma_sync.domain.subscription import Subscription
from karma_sync.domain.team import Member, Team
from karma_sync.service import pairing, projects
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
class ProjectStatus:
    """One shared project: my answer, what I sent, what I have of each sender, what waits."""

    team: Team
    mine: Subscription
    sent: int
    received: dict[str, int]
    waiting: int
    refused: dict[str, str]
    withheld: dict[str, str]


@dataclass(frozen=True)
class Status:
    peers: list[Peer]
    projects: list[ProjectStatus]
    teams: list[Team]
    inbox: pairing.Waiting


def status(stores: Stores, me: PairingCode, now: datetime) -> Status:
    """How things stand at `now`, as far as the daemon wrote it down."""
    with stores.state.reading() as tx:
        world = read_world(tx, me, now, discovery=False)
        teams = state.teams.all(tx)
    with stores.work.reading() as tx:
        links = {link.device: link for link in work.links.all(tx)}
        withheld = {
            box.id: {w.session: w.why for w in work.withheld.all(tx, folder=box.id)}
            for box in outboxes(world)
        }
    members = {m.key: m for team in teams for m in team.members if m.key != me.key}
    peers = []
    for member in sorted(members.values(), key=lambda m: m.tag):
        link = links.get(member.device)
        peers.append(Peer(member, bool(link and link.connected), link.last_seen if link else None))
    found = []
    for standing in projects.standings(stores.state, me):
        place = standing.team.id, standing.project
        mine = [c for c in outboxes(world) if (c.team.id, c.project) == place]
        theirs = [c for c in inboxes(world) if (c.team.id, c.project) == place]
        arrivals = {}
        with stores.library.reading() as tx:
            counts = {
                member: n
                for (team, project, member), n in library.counts(
                    tx, library.AccessScope(me.tag)
                ).items()
                if (team, project) == place
            }
            for channel in theirs:
                arrivals.update(library.arrivals(tx, channel.id))
        found.append(
            ProjectStatus(
                team=standing.team,
                mine=standing.mine,
                sent=counts.pop(me.tag, 0),
                received=counts,
                waiting=sum(a.state == "waiting" for a in arrivals.values()),
                refused={i: a.why for i, a in arrivals.items() if a.state == "refused"},
                withheld={s: w for c in mine for s, w in withheld.get(c.id, {}).items()},
            )
        )
    return Status(peers, found, teams, pairing.inbox(stores.state))
