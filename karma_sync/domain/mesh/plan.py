"""Computes which folders and devices Syncthing should have, and the actions that get it there.

`desired` derives the wanted setup from a `World`; `diff` compares it with the present setup.
Pure: actions are values that somebody else carries out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain

from karma_sync.domain.mesh.channels import (
    Device,
    World,
    inboxes,
    listeners,
    outboxes,
)
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.subscription import Status
from karma_sync.domain.team.team import Team
from karma_sync.paths import is_door, metadata_folder


class FolderType(StrEnum):
    """The folder types of Syncthing that we use.

    Syncthing silently takes a misspelt type for `sendreceive` (docs/syncthing.md,
    "Configuration"), so we send members of this enumeration only.
    """

    SEND_ONLY = "sendonly"
    RECEIVE_ONLY = "receiveonly"
    SEND_RECEIVE = "sendreceive"


@dataclass(frozen=True, order=True)
class Folder:
    """One Syncthing folder of karma-sync; `devices` are the other devices it is shared with.

    `sound` tells whether Syncthing has all fixed settings as we send them. A wanted folder is
    always sound, so a folder with a changed setting differs from it and is sent again.
    """

    id: str
    type: FolderType
    devices: frozenset[str]
    paused: bool = False
    sound: bool = True


@dataclass(frozen=True)
class Setup:
    """The devices and folders that Syncthing has, or should have.

    `ignored` are devices whose connection requests Syncthing ignores. In a setup that Syncthing
    has, this includes devices that the person ignored in Syncthing itself. `heard` are devices that
    it must not ignore. `name` is the name of our own device; "" in a wanted setup is any name.
    """

    devices: frozenset[Device]
    folders: frozenset[Folder]
    ignored: frozenset[str] = frozenset()
    name: str = ""
    heard: frozenset[str] = frozenset()


def desired(world: World) -> Setup:
    """The setup that Syncthing should have.

    An outbox for each subscription with which I send, an inbox for each channel that I receive, a
    metadata folder for each team, a door for each device that knocks, and a small folder for each
    notice of a removal.
    """
    kinds = (
        *(_fetching(world), _metadata(world), _channels(world), _doors(world)),
        _notices(world),
    )
    folders = {f.id: f for f in chain.from_iterable(kinds)}
    devices = {device.id: device for device in _devices(world)}
    return Setup(
        devices=frozenset(
            replace(d, refused=frozenset(f for f, by in world.refused if by == d.id))
            for d in devices.values()
        ),
        folders=frozenset(
            replace(f, paused=True) if f.id in world.too_large else f
            for f in folders.values()
            if not (is_door(f.id) and f.id in world.too_large)
        ),
        ignored=world.ignored - devices.keys(),
        name=world.name,
        heard=world.heard,
    )


def _audience(world: World, team: Team, project: str) -> frozenset[str]:
    """Devices of the other active members who have not declined the project.

    Members who have not answered yet are included: they have no folder on their side, so nothing
    flows to them. When they accept, no device list changes here; a changed list would make
    Syncthing restart the folder and drop connections.
    """
    return frozenset(
        m.device
        for m in listeners(team, project)
        if m.active and m.key != world.key and (team.id, project, m.key) not in world.declined
    )


def _notices(world: World) -> Iterator[Folder]:
    wanted: dict[str, set[str]] = {}
    for notice in world.notices:
        wanted.setdefault(notice.folder, set()).add(notice.device.id)
    for folder, devices in wanted.items():
        yield Folder(folder, FolderType.SEND_RECEIVE, frozenset(devices))


def _fetching(world: World) -> Iterator[Folder]:
    known = {device.id for device in _devices(world)}
    wanted: dict[str, set[str]] = {}
    for folder, device in world.fetching:
        if device in known:  # unknown if a pairing expired before its invitation was answered
            wanted.setdefault(folder, set()).add(device)
    for folder, devices in wanted.items():
        yield Folder(folder, FolderType.SEND_RECEIVE, frozenset(devices))


def _doors(world: World) -> Iterator[Folder]:
    known = {device.id for device in _devices(world)}
    for folder, device in world.doors:
        if device in known:
            yield Folder(folder, FolderType.SEND_RECEIVE, frozenset({device}))


def _metadata(world: World) -> Iterator[Folder]:
    for team in world.teams:
        others = frozenset(m.device for m in _connected(world, team))
        yield Folder(metadata_folder(team.id), FolderType.SEND_RECEIVE, others)


def _connected(world: World, team: Team) -> list[Member]:
    """The other members that get a team's documents: all on the roster, and any that just left."""
    parting = [m for m in team.removed if (team.id, m.key) in world.parting]
    return [m for m in (*team.everybody, *parting) if m.key != world.key]


def _channels(world: World) -> Iterator[Folder]:
    audiences: dict[tuple[str, str], frozenset[str]] = {}  # one for all channels of a project
    for kind, found in (
        (FolderType.SEND_ONLY, outboxes(world)),
        (FolderType.RECEIVE_ONLY, inboxes(world)),
    ):
        for channel in found:
            place = channel.team.id, channel.project
            if place not in audiences:
                audiences[place] = _audience(world, channel.team, channel.project)
            paused = world.halted or world.mine[place].status is Status.PAUSED
            # a recovering outbox receives: it takes its own items back from the peers
            recovering = channel.id in world.recovering
            yield Folder(
                channel.id,
                FolderType.RECEIVE_ONLY if recovering else kind,
                audiences[place],
                paused,
            )


def _devices(world: World) -> Iterator[Device]:
    """The devices of my teams' members and of my pairings; a roster overrides a pairing.

    One that dials me gets the address `dynamic` only (discovery), so that I do not dial it.
    """
    members = [m for team in world.teams for m in _connected(world, team)]
    told = sorted({n.device for n in world.notices}, key=lambda d: (d.name, d.addresses))
    known: dict[str, Device] = {device.id: device for device in told}
    known |= {d.id: d for d in world.paired}
    for member in sorted(members, key=lambda m: (m.tag, m.addresses)):
        known[member.device] = Device(member.device, member.tag, member.addresses or ("dynamic",))
    for device in known.values():
        yield replace(device, addresses=("dynamic",)) if device.id in world.answered else device


@dataclass(frozen=True, order=True)
class PutDevice:
    device: Device


@dataclass(frozen=True, order=True)
class DropDevice:
    id: str


@dataclass(frozen=True, order=True)
class IgnoreDevice:
    """Make Syncthing ignore a device; `PutDevice` ends that."""

    id: str


@dataclass(frozen=True, order=True)
class HearDevice:
    """Make Syncthing list a device again that it ignored."""

    id: str


@dataclass(frozen=True, order=True)
class NameDevice:
    """Give our own device this name."""

    name: str


@dataclass(frozen=True, order=True)
class PutFolder:
    folder: Folder


@dataclass(frozen=True, order=True)
class DropFolder:
    id: str


Action = PutDevice | DropDevice | IgnoreDevice | HearDevice | NameDevice | PutFolder | DropFolder


def diff(have: Setup, want: Setup) -> list[Action]:
    """The actions that turn `have` into `want`, in the order to apply them; empty if they agree.

    Folders are removed first, because a removal must not wait. Devices come before the folders
    that name them, and paused folders before the other folders, because a pause must not wait.
    """
    kept_folders = {folder.id for folder in want.folders}
    kept_devices = {device.id for device in want.devices}
    actions: list[Action] = []
    actions += sorted(DropFolder(f.id) for f in have.folders if f.id not in kept_folders)
    actions += sorted(PutDevice(d) for d in want.devices - have.devices)
    actions += [PutFolder(f) for f in _by_urgency(want.folders - have.folders)]
    actions += sorted(DropDevice(d.id) for d in have.devices if d.id not in kept_devices)
    actions += sorted(IgnoreDevice(device) for device in want.ignored - have.ignored)
    actions += sorted(HearDevice(device) for device in want.heard & have.ignored)
    if want.name and have.name != want.name:
        actions.append(NameDevice(want.name))
    return actions


def _by_urgency(folders: Iterable[Folder]) -> list[Folder]:
    return sorted(folders, key=lambda f: (not f.paused, f.id))
