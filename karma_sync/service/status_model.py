"""The values of a status report: among them peers, and directories of renamed repositories."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from karma_sync.domain.events import Event
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.fork import SessionFork
from karma_sync.domain.session.project import Place, Where
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Team
from karma_sync.mesh.transfers import seconds_left
from karma_sync.sending.ledger.recalls import CalledBack
from karma_sync.service import invitations
from karma_sync.service.archive import ArchiveStatus
from karma_sync.store import state, work
from karma_sync.store.database import Database


@dataclass(frozen=True)
class Renames:
    """Directories from which a project's sessions do not leave, because git names them differently.

    Both fields are by the name that git gives now. `moved` directories had one of the project's
    names before. `told` directories have a name that is on the roster and to which I did not agree.
    """

    moved: dict[str, list[str]] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)


def renames(store: Database, box: Channel) -> Renames:
    """The renamed directories that belong to the project of this outbox, as far as recorded."""
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
    """Another member, whether its device is connected, and when it last was (UTC)."""

    member: Member
    connected: bool
    last_seen: datetime | None


def peers(store: Database, members: Iterable[Member], *, is_up: bool) -> dict[str, Peer]:
    """These members by key; nobody is connected while the daemon is not up (`is_up`)."""
    with store.reading() as tx:
        links = {link.device: link for link in work.links.all(tx)}
    return {
        m.key: Peer(m, bool(is_up and link and link.connected), link.last_seen if link else None)
        for m in members
        for link in [links.get(m.device)]
    }


@dataclass(frozen=True)
class TransferStatus:
    """About how much is missing here or at a member, or is not packaged yet.

    The first two come from Syncthing's figures, which peers can falsify; the third is our own.
    """

    bytes_left: int
    items_left: int
    seconds_left: int | None

    @classmethod
    def of(cls, row: work.Transfer) -> "TransferStatus":
        """The status of a transfer that the daemon measured."""
        return cls(row.left, row.items, seconds_left(row.left, row.rate))


@dataclass(frozen=True)
class ReceiverStatus:
    """One receiver of a channel of mine.

    By its receipt it has `items` of my items; `whole` if it has exactly mine. `paused` if its
    answer is paused: then nothing arrives there.
    """

    peer: Peer
    items: int
    whole: bool
    transfer: TransferStatus | None
    paused: bool = False

    @property
    def tag(self) -> str:
        """The member's tag."""
        return self.peer.member.tag


@dataclass(frozen=True)
class ProjectStatus:
    """One shared project: my answer, what I sent and who has it, and what I received.

    - `sent` counts my items, `received` the sessions by member tag.
    - `recovering` is why my outbox recovers before I send again; "" if it does not.
    - `arriving` is about what is missing here, by the sender's tag. `waiting` counts the items that
      lack chunks.
    - `refused` is the reason by item, and `senders` the sender's tag by item.
    - `unknown` counts the records that stay because their types are not known, and their bytes.
    - `withheld` (by choice or rule), `resting` (until the session was quiet for long enough) and
      `failed` are reasons by session ID.
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
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)

    @property
    def needs_attention(self) -> bool:
        """Whether `status` must show more of it than usual."""
        return bool(
            self.refused or self.failed or self.recovering or self.renames.moved or self.waiting
        )


@dataclass(frozen=True)
class NewLeader:
    """A team that a successor leads since it took over; `by` is its tag, `at` is UTC."""

    team: str
    by: str
    at: datetime


@dataclass(frozen=True)
class StatusReport:
    """Everything that `karma-sync status` shows.

    - `paused` is the pause of everything; None if there is none.
    - `faults` are reasons by folder title, or by the name of a thread.
    - `packaging` is what is not packaged yet, if that takes more than a moment.
    - `silent` is, by team, for how many days no member has answered; None if none ever did.
    - `archive` is what the archive holds; None if that was not asked for.
    - `orphans` are the forks here of which the parent was withdrawn.
    - `personal` are the ids of the teams of my own machines.
    - `starting` if a daemon holds the lock but is not up: it starts or stops.
    - `removed` are the names of the teams from which I was removed lately, and when.
    - `taken_over` are the teams that a successor took over lately.
    - `proposed` are the projects that members propose to the teams that I lead.
    """

    peers: list[Peer]
    projects: list[ProjectStatus]
    teams: list[Team]
    inbox: invitations.Waiting
    paused: state.GlobalPause | None
    faults: dict[str, str]
    packaging: TransferStatus | None = None
    silent: dict[str, int | None] = field(default_factory=dict)
    last_error: Event | None = None
    last_error_over: bool = False
    archive: ArchiveStatus | None = None
    orphans: Sequence[SessionFork] = ()
    starting: bool = False
    personal: Collection[str] = ()
    removed: Sequence[tuple[str, datetime]] = ()
    taken_over: Sequence[NewLeader] = ()
    proposed: Sequence[tuple[Team, Member, str]] = ()

    def stuck(self, running: bool) -> list[str]:
        """Problems that do not end by themselves, one text each."""
        reasons = [] if running or self.starting else ["the daemon is not running"]
        if self.paused and self.paused.why:  # the daemon did it, not a person
            reasons.append(f"everything is paused, {self.paused.why}")
        reasons += [f"{folder}: {why}" for folder, why in sorted(self.faults.items())]
        for project in self.projects:
            for item, why in project.refused.items():
                reasons.append(f"item {item} from {project.senders[item]} was refused: {why}")
            reasons += [f"session {s} did not leave: {why}" for s, why in project.failed.items()]
        return reasons
