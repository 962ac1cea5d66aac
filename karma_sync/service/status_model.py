"""Directories whose repository goes under another name than the one a project was shared under."""

from dataclasses import dataclass, field
from datetime import datetime

from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.project import Place, Where
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Member, Team
from karma_sync.mesh.transfers import seconds_left
from karma_sync.sending.ledger.recalls import CalledBack
from karma_sync.service import invitations
from karma_sync.store import events, state, work
from karma_sync.store.database import Database


@dataclass(frozen=True)
class Renames:
    """Directories from which a project's sessions do not leave, by the name that git gives now.

    `moved` had one of the project's names before. `told` have one that the team knows, and I did
    not agree to.
    """

    moved: dict[str, list[str]] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)


def renames(store: Database, box: Channel) -> Renames:
    """What keeps sessions from going into this outbox of mine, as far as it was noticed."""
    with store.reading() as tx:
        roots = [root for root in state.roots.all(tx) if not root.mapped]
        shared = {name for t in state.teams.all(tx) for p in t.projects for name in p.names}
    names, found = box.names, Renames()
    for root in roots:
        place = Place(Where.PROJECT, root.project, former=root.former)
        if names.of(place) == names.project:
            continue
        if root.project in names.aliases:
            found.told.setdefault(root.project, []).append(root.path)
        elif root.project not in shared and {names.project, *names.aliases} & set(root.former):
            found.moved.setdefault(root.project, []).append(root.path)
    return found


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
class TransferStatus:
    """About what lacks, here or at a member: Syncthing's figures, which peers can poison.

    Or what is still to be packaged: our own figures.
    """

    bytes_left: int
    items_left: int
    seconds_left: int | None

    @classmethod
    def of(cls, row: work.Transfer) -> "TransferStatus":
        return cls(row.left, row.items, seconds_left(row.left, row.rate))


@dataclass(frozen=True)
class ReceiverStatus:
    """What a member's receipt says of my channel: how many items, and whether exactly mine.

    `paused` if it said that it paused the project: nothing arrives there then.
    """

    peer: Peer
    items: int
    whole: bool
    transfer: TransferStatus | None
    paused: bool = False

    @property
    def tag(self) -> str:
        return self.peer.member.tag


@dataclass(frozen=True)
class ProjectStatus:
    """One shared project: my answer, what I sent and who has it, what I have, what waits.

    `recovering` is why my items are taken back from the peers before I send again, "" if they are
    not; `arriving` is about what lacks, by sender; `refused` the reason by item, and `senders` who
    sent it; by session id `withheld` (on purpose), `resting` (until it was quiet for long enough)
    and `failed`.
    """

    team: Team
    mine: Subscription
    sent: int
    recovering: str
    receivers: list[ReceiverStatus]
    received: dict[str, int]
    arriving: dict[str, TransferStatus]
    waiting: int
    refused: dict[str, str]
    withheld: dict[str, str]
    failed: dict[str, str]
    renames: Renames
    called_back: list[CalledBack]
    resting: dict[str, str] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)

    @property
    def ails(self) -> bool:
        """Whether something is to be told of it that is not usual."""
        return bool(
            self.refused or self.failed or self.recovering or self.renames.moved or self.waiting
        )


@dataclass(frozen=True)
class StatusReport:
    """Everything `karma-sync status` shows; `paused` if everything is, as a whole.

    `packaging` is what is still to be looked at here, if that takes more than a moment. `silent`
    is, by team, for how many days nobody has answered; None if nobody ever did. `starting` is a
    daemon that is not up yet, or not down yet.
    """

    peers: list[Peer]
    projects: list[ProjectStatus]
    teams: list[Team]
    inbox: invitations.Waiting
    paused: state.GlobalPause | None
    faults: dict[str, str]
    packaging: TransferStatus | None = None
    silent: dict[str, int | None] = field(default_factory=dict)
    last_error: events.Event | None = None
    last_error_over: bool = False
    starting: bool = False

    def stuck(self, running: bool) -> list[str]:
        """What will not move by itself, in words; empty if nothing is."""
        reasons = [] if running or self.starting else ["the daemon is not running"]
        if self.paused and self.paused.why:  # no person did it
            reasons.append(f"everything is paused, {self.paused.why}")
        reasons += [f"{folder}: {why}" for folder, why in sorted(self.faults.items())]
        for project in self.projects:
            for item, why in project.refused.items():
                reasons.append(f"item {item} from {project.senders[item]} was refused: {why}")
            reasons += [f"session {s} did not leave: {why}" for s, why in project.failed.items()]
        return reasons
