"""What Syncthing should look like, as values: `desired` says it.

Pure: everything comes in as a `World` and goes out as values; nothing here acts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Names
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Member, Team
from karma_sync.paths import channel_folder, metadata_folder


class FolderType(StrEnum):
    """Syncthing's folder types that we use; a misspelt one would silently become sendreceive
    (SYNCTHING.md section 0, fact 3), so no other text is ever sent.
    """

    SEND_ONLY = "sendonly"
    RECEIVE_ONLY = "receiveonly"
    SEND_RECEIVE = "sendreceive"


@dataclass(frozen=True, order=True)
class Device:
    """A machine Syncthing may talk to: its device ID, the name shown, the addresses to dial.

    `refused` are metadata folders of its offer that were declined for good.
    """

    id: str
    name: str
    addresses: tuple[str, ...]
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Folder:
    """One Syncthing folder of ours; `devices` are the others it is shared with.

    `sound` tells whether every fixed setting reads back as we send it; what we want always is.
    """

    id: str
    type: FolderType
    devices: frozenset[str]
    paused: bool = False
    sound: bool = True


@dataclass(frozen=True)
class Channel:
    """What one member sends for one project to one team: exactly one folder.

    `agreed` are names of the project under which I agreed to send.
    """

    id: str
    team: Team
    project: str
    owner: Member
    subscription: Subscription
    agreed: frozenset[str] = frozenset()

    @property
    def profile(self) -> Profile:
        """How much of a session I send."""
        return self.subscription.limits.profile

    @property
    def names(self) -> Names:
        """Under which names I take a directory for this project's."""
        shared = self.team.project(self.project)
        return Names(self.project, frozenset(shared.aliases if shared else ()), self.agreed)


@dataclass(frozen=True)
class World:
    """All that decides about folders and devices.

    `subscriptions` are everybody's; `paired` are devices to talk to that are in no team yet;
    `fetching` are metadata folders offered by a device whose roster is still to come; `halted`
    pauses all that I send and receive; `answered` are devices that dial me, so that I need not;
    `recovering` are outboxes of mine that take back what they lost before they send again;
    `agreed` are names of projects under which I agreed to send: (team, project, name).
    """

    key: str
    teams: tuple[Team, ...]
    subscriptions: tuple[Subscription, ...]
    paired: frozenset[Device] = frozenset()
    fetching: frozenset[tuple[str, str]] = frozenset()
    halted: bool = False
    answered: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    refused: frozenset[tuple[str, str]] = frozenset()
    too_large: frozenset[str] = frozenset()
    recovering: frozenset[str] = frozenset()
    agreed: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True)
class Setup:
    """Syncthing's side of the world, wanted or found.

    `ignored` are devices that may knock as often as they like; in what was found also those that
    the person ignored there by hand.
    """

    devices: frozenset[Device]
    folders: frozenset[Folder]
    ignored: frozenset[str] = frozenset()


def channels(world: World) -> Iterator[Channel]:
    """Every channel that is open: someone on a roster sends for a project on that roster."""
    teams = {team.id: team for team in world.teams}
    for sub in world.subscriptions:
        team = teams.get(sub.team)
        owner = team.member(sub.member) if team else None
        if team is None or owner is None or not owner.active or not sub.sends:
            continue
        folder = channel_id(team, sub)
        if folder is not None:
            place = team.id, sub.project
            agreed = frozenset(name for *of, name in world.agreed if tuple(of) == place)
            yield Channel(folder, team, sub.project, owner, sub, agreed)


def outboxes(world: World) -> list[Channel]:
    """The channels I send, whether paused or not."""
    return [c for c in channels(world) if c.owner.key == world.key]


def open_outboxes(world: World) -> list[Channel]:
    """The channels I send and into which something may be packaged now."""
    return [
        c
        for c in outboxes(world)
        if c.subscription.status is Status.ACCEPTED
        and not world.halted
        and c.id not in world.recovering
    ]


def inboxes(world: World) -> list[Channel]:
    """The channels I receive, whether paused or not."""
    mine = _mine(world)
    return [
        c
        for c in channels(world)
        if c.owner.key != world.key
        and (sub := mine.get((c.team.id, c.project))) is not None
        and sub.receives
    ]


def receivers(world: World, channel: Channel) -> frozenset[str]:
    """Devices of the members who take what comes through a channel of mine."""
    taking = {
        s.member
        for s in world.subscriptions
        if (s.team, s.project) == (channel.team.id, channel.project) and s.receives
    }
    return frozenset(
        m.device for m in channel.team.members if m.active and m.key in taking - {world.key}
    )


@dataclass(frozen=True, order=True)
class Kept:
    """What of a member is kept of one project: what came through `folder`, or nothing ("")."""

    team: str
    project: str
    member: str
    folder: str


def kept(world: World) -> frozenset[Kept]:
    """For each answer of the others, the one channel whose items stay.

    A decline withdraws all. So does a channel that was opened anew: what came through an earlier
    one was withdrawn in between, even if we were away and never saw the decline.
    """
    teams = {team.id: team for team in world.teams}
    found = set()
    for sub in world.subscriptions:
        team = teams.get(sub.team)
        member = team.member(sub.member) if team else None
        if team is None or member is None or sub.member == world.key:
            continue
        folder = "" if sub.status is Status.DECLINED else channel_id(team, sub)
        if folder is not None:
            found.add(Kept(team.id, sub.project, member.tag, folder))
    return frozenset(found)


def channel_id(team: Team, sub: Subscription) -> str | None:
    """The id of the channel that an answer opens; None if the project is not shared any more."""
    project = team.project(sub.project)
    if project is None:
        return None
    incarnation = f"{project.incarnation}.{sub.incarnation}"
    return channel_folder(team.id, sub.member, sub.project, incarnation)


def desired(world: World) -> Setup:
    """My outbox per sending subscription, an inbox per sender, a metadata folder per team."""
    folders = {f.id: f for f in (*_fetching(world), *_metadata(world), *_channels(world))}
    devices = {device.id: device for device in _devices(world)}
    return Setup(
        devices=frozenset(
            replace(d, refused=frozenset(f for f, by in world.refused if by == d.id))
            for d in devices.values()
        ),
        folders=frozenset(
            replace(f, paused=f.paused or f.id in world.too_large) for f in folders.values()
        ),
        ignored=world.ignored - devices.keys(),
    )


def _mine(world: World) -> dict[tuple[str, str], Subscription]:
    return {(s.team, s.project): s for s in world.subscriptions if s.member == world.key}


def _audience(world: World, team: Team, project: str) -> frozenset[str]:
    """Devices of all active members but me who have not declined.

    Who has not answered has no folder on its side, so nothing flows; and an accept then changes
    no list anywhere, which would restart the folder and cost connections.
    """
    declined = {
        s.member
        for s in world.subscriptions
        if (s.team, s.project) == (team.id, project) and s.status is Status.DECLINED
    }
    return frozenset(
        m.device for m in team.members if m.active and m.key != world.key and m.key not in declined
    )


def _fetching(world: World) -> Iterator[Folder]:
    known = {device.id for device in _devices(world)}
    wanted: dict[str, set[str]] = {}
    for folder, device in world.fetching:
        if device in known:  # else a pairing ran out before its invitation was answered
            wanted.setdefault(folder, set()).add(device)
    for folder, devices in wanted.items():
        yield Folder(folder, FolderType.SEND_RECEIVE, frozenset(devices))


def _metadata(world: World) -> Iterator[Folder]:
    for team in world.teams:
        others = frozenset(m.device for m in team.members if m.key != world.key)
        yield Folder(metadata_folder(team.id), FolderType.SEND_RECEIVE, others)


def _channels(world: World) -> Iterator[Folder]:
    mine = _mine(world)
    for kind, found in (
        (FolderType.SEND_ONLY, outboxes(world)),
        (FolderType.RECEIVE_ONLY, inboxes(world)),
    ):
        for channel in found:
            paused = world.halted or mine[channel.team.id, channel.project].status is Status.PAUSED
            audience = _audience(world, channel.team, channel.project)
            taken_back = channel.id in world.recovering
            yield Folder(
                channel.id, FolderType.RECEIVE_ONLY if taken_back else kind, audience, paused
            )


def _devices(world: World) -> Iterator[Device]:
    """Members of my teams, and those I am pairing with; a roster's word beats a pairing's.

    A member that dials me is not dialled: of its addresses only discovery's is used.
    """
    members = [m for team in world.teams for m in team.members if m.key != world.key]
    known: dict[str, Device] = {d.id: d for d in world.paired}
    for member in sorted(members, key=lambda m: (m.tag, m.addresses)):
        dialled = () if member.device in world.answered else member.addresses
        known[member.device] = Device(member.device, member.tag, dialled or ("dynamic",))
    yield from known.values()
