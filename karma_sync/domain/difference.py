"""What is missing between what Syncthing looks like and what it should: pure, as actions."""

from collections.abc import Iterable
from dataclasses import dataclass

from karma_sync.domain.plan import Device, Folder, Setup


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
