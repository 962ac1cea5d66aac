"""What is missing between what Syncthing looks like and what it should: pure, as actions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from karma_sync.domain.mesh.channels import Device, World, _mine, inboxes, outboxes
from karma_sync.domain.team.subscription import Status
from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder


class FolderType(StrEnum):
    """Syncthing's folder types that we use; a misspelt one would silently become sendreceive
    (docs/syncthing.md, "Configuration"), so no other text is ever sent.
    """

    SEND_ONLY = "sendonly"
    RECEIVE_ONLY = "receiveonly"
    SEND_RECEIVE = "sendreceive"


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
class Setup:
    """Syncthing's side of the world, wanted or found.

    `ignored` are devices that may knock as often as they like; in what was found also those that
    the person ignored there by hand.
    """

    devices: frozenset[Device]
    folders: frozenset[Folder]
    ignored: frozenset[str] = frozenset()


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


@dataclass(frozen=True, order=True)
class PutDevice:
    device: Device


@dataclass(frozen=True, order=True)
class DropDevice:
    id: str


@dataclass(frozen=True, order=True)
class IgnoreDevice:
    """Putting the device takes it back."""

    id: str


@dataclass(frozen=True, order=True)
class PutFolder:
    folder: Folder


@dataclass(frozen=True, order=True)
class DropFolder:
    id: str


Action = PutDevice | DropDevice | IgnoreDevice | PutFolder | DropFolder


def diff(have: Setup, want: Setup) -> list[Action]:
    """The actions that make `have` equal `want`; empty when they already are.

    In the order to apply them: what takes away first (a removal or a pause must not wait), then
    devices before the folders that name them.
    """
    kept_folders = {folder.id for folder in want.folders}
    kept_devices = {device.id for device in want.devices}
    actions: list[Action] = []
    actions += sorted(DropFolder(f.id) for f in have.folders if f.id not in kept_folders)
    actions += sorted(PutDevice(d) for d in want.devices - have.devices)
    actions += [PutFolder(f) for f in _by_urgency(want.folders - have.folders)]
    actions += sorted(DropDevice(d.id) for d in have.devices if d.id not in kept_devices)
    actions += sorted(IgnoreDevice(device) for device in want.ignored - have.ignored)
    return actions


def _by_urgency(folders: Iterable[Folder]) -> list[Folder]:
    return sorted(folders, key=lambda f: (not f.paused, f.id))
