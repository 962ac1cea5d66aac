"""Reads Syncthing's configuration, and changes only our own entries in it.

A PUT of /rest/config replaces the whole configuration. So the whole JSON is kept and sent back,
with the fields that we do not know. A folder is ours if its ID begins with `ks-` and its path is
below our root.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType, Setup
from karma_sync.syncthing import ignored as ignoring
from karma_sync.syncthing.folder_defaults import (
    FIXED,
    FIXED_DEVICE,
    FIXED_NESTED,
    is_our_folder,
)
from karma_sync.syncthing.wire import Reply

# Syncthing scans an outbox only where we wrote, or when we know that no file is missing: a file
# that Syncthing does not find in a send-only folder, it deletes at every peer.
RESCAN_S: Mapping[FolderType, int] = {
    FolderType.SEND_ONLY: 0,
    FolderType.RECEIVE_ONLY: 3600,
    FolderType.SEND_RECEIVE: 3600,
}
_NEW_DEVICE: Mapping[str, bool | int | str] = {
    "skipIntroductionRemovals": False,
    "introducedBy": "",
    "paused": False,
    "maxSendKbps": 0,
    "maxRecvKbps": 0,
}

_Entry = dict[str, Any]


class _DeviceEntry(Reply):
    device_id: str = Field(alias="deviceID")
    name: str = ""
    addresses: tuple[str, ...] | None = None
    ignored_folders: tuple[ignoring.IgnoredFolder, ...] | None = None


class _FolderDevice(Reply):
    device_id: str = Field(alias="deviceID")
    encryption_password: str = ""


class _FolderEntry(Reply):
    id: str
    path: str = ""
    type: str = ""
    devices: tuple[_FolderDevice, ...] | None = None
    paused: bool = False

    @property
    def device_ids(self) -> tuple[str, ...]:
        return tuple(device.device_id for device in self.devices or ())


class _Shape(Reply):
    devices: tuple[_DeviceEntry, ...] | None = None
    folders: tuple[_FolderEntry, ...] | None = None
    remote_ignored_devices: tuple[ignoring.IgnoredDevice, ...] | None = None


@dataclass(frozen=True)
class Configuration:
    """One configuration of Syncthing; `read` makes it, `with_changes` makes a changed copy.

    `my_id` is Syncthing's own device ID. Folders below the directory `root` are ours.
    """

    my_id: str
    root: Path
    # Never printed: it holds the API key and the hash of the password.
    _body: bytes = field(repr=False)
    _setup: Setup | None = field(default=None, repr=False)

    @classmethod
    def read(cls, body: bytes, my_id: str, root: Path) -> "Configuration":
        """Read the answer to GET /rest/config.

        Raises:
            ValueError: the answer has another shape.
        """
        found = cls(my_id, root, body)
        return cls(my_id, root, body, found._read_setup())

    def is_of(self, body: bytes, my_id: str, root: Path) -> bool:
        """Whether `read` would give this configuration."""
        return (self.my_id, self.root, self._body) == (my_id, root, body)

    @cached_property
    def _tree(self) -> _Entry:
        tree: _Entry = json.loads(self._body)
        return tree

    @cached_property
    def _shape(self) -> _Shape:
        return _Shape.model_validate_json(self._body)

    def write(self) -> bytes:
        """The body for PUT /rest/config."""
        return self._body

    @property
    def setup(self) -> Setup:
        """The part that the reconciler compares: devices, our folders, ignored devices, name."""
        return self._setup or self._read_setup()

    def _read_setup(self) -> Setup:
        ignored = self._shape.remote_ignored_devices or ()
        names = {entry.device_id: entry.name for entry in self._shape.devices or ()}
        return Setup(
            self.devices,
            self.folders,
            frozenset(d.device_id for d in ignored),
            names.get(self.my_id, ""),
        )

    @property
    def devices(self) -> frozenset[Device]:
        """All devices except our own."""
        return frozenset(
            Device(
                entry.device_id,
                entry.name,
                entry.addresses or (),
                ignoring.refused(entry.ignored_folders),
            )
            for entry in self._shape.devices or ()
            if entry.device_id != self.my_id
        )

    @property
    def folders(self) -> frozenset[Folder]:
        """Our folders; our own device is not among the `devices` of a folder."""
        known = frozenset(device.device_id for device in self._shape.devices or ())
        equal: dict[frozenset[str], frozenset[str]] = {}  # one list for all channels of a project
        return frozenset(
            self._folder(entry, raw, known, equal)
            for entry, raw in zip(self._shape.folders or (), self._entries("folders"), strict=True)
            if _is_ours(entry, self.root)
        )

    def _folder(
        self,
        entry: _FolderEntry,
        raw: _Entry,
        known: frozenset[str],
        equal: dict[frozenset[str], frozenset[str]],
    ) -> Folder:
        known_type = entry.type in set(FolderType)
        listed = frozenset(entry.device_ids)
        others = listed - {self.my_id}
        # shared with us, only with known devices, and with none encrypted
        plain = not any(device.encryption_password for device in entry.devices or ())
        shared = plain and self.my_id in listed and known.issuperset(listed)
        return Folder(
            id=entry.id,
            type=FolderType(entry.type) if known_type else FolderType.SEND_RECEIVE,
            devices=equal.setdefault(others, others),
            paused=entry.paused,
            sound=known_type and _settings_hold(raw) and shared,
        )

    def _entries(self, kind: str) -> list[_Entry]:
        entries: list[_Entry] = self._tree.get(kind) or []
        return entries

    def _foreign(self) -> list[_FolderEntry]:
        return [e for e in self._shape.folders or () if not _is_ours(e, self.root)]


class ConfigurationReader:
    """Reads configurations; one that is as the last one is not read again.

    With 1,000 folders of 50 devices each, an idle cycle would spend half a second on that.
    """

    def __init__(self) -> None:
        self._last: Configuration | None = None

    def read(self, body: bytes, my_id: str, root: Path) -> Configuration:
        """As `Configuration.read`."""
        if self._last is None or not self._last.is_of(body, my_id, root):
            self._last = Configuration.read(body, my_id, root)
        return self._last


def with_changes(
    configuration: Configuration,
    *,
    put_devices: Collection[Device] = (),
    drop_devices: Collection[str] = (),
    put_folders: Mapping[Folder, Path] | None = None,
    drop_folders: Collection[str] = (),
) -> Configuration:
    """A copy in which these devices and folders are put and dropped; put wins over drop.

    Foreign folders stay unchanged, even if one has an ID that is named here. Our own device stays,
    and so does each device of a foreign folder. A dropped device is also removed from the lists of
    our folders. A put device keeps the settings that are not ours (paused, rate limits, ignored
    folders); a put folder is replaced as a whole. A device needs an address: Syncthing reads an
    empty list as `dynamic`.

    Raises:
        ValueError: a folder would not read back as ours, because of its ID or its path.
    """
    put_folders = put_folders or {}
    _require_ours(put_folders, configuration.root)
    foreign = configuration._foreign()
    in_use = {device for entry in foreign for device in entry.device_ids}
    kept = in_use | {configuration.my_id} | {device.id for device in put_devices}
    gone = frozenset(drop_devices) - kept
    foreign_ids = {entry.id for entry in foreign}
    changed = {
        "devices": _changed_devices(configuration, put_devices, gone),
        "folders": _changed_folders(
            configuration,
            {f: p for f, p in put_folders.items() if f.id not in foreign_ids},
            frozenset(drop_folders) - foreign_ids,
            gone,
        ),
    }
    ignored = configuration._entries("remoteIgnoredDevices")
    if ignored:
        changed["remoteIgnoredDevices"] = [e for e in ignored if e["deviceID"] not in kept]
    body = json.dumps(configuration._tree | changed).encode()
    return Configuration.read(body, configuration.my_id, configuration.root)


def with_name(configuration: Configuration, name: str) -> Configuration:
    """A copy in which our own device has this name."""
    entries = [
        entry | {"name": name} if entry["deviceID"] == configuration.my_id else entry
        for entry in configuration._entries("devices")
    ]
    body = json.dumps(configuration._tree | {"devices": entries}).encode()
    return Configuration.read(body, configuration.my_id, configuration.root)


def with_ignored(
    configuration: Configuration, devices: Collection[str], heard: Collection[str] = ()
) -> Configuration:
    """A copy in which these devices are ignored too, and those of `heard` are not any more."""
    before = configuration._entries("remoteIgnoredDevices")
    kept = [entry for entry in before if entry["deviceID"] not in heard]
    entries = ignoring.ignored_devices(kept, devices)
    body = json.dumps(configuration._tree | {"remoteIgnoredDevices": entries}).encode()
    return Configuration.read(body, configuration.my_id, configuration.root)


def _changed_devices(
    configuration: Configuration, put: Collection[Device], gone: frozenset[str]
) -> list[_Entry]:
    entries = {e["deviceID"]: e for e in configuration._entries("devices")}
    for device in sorted(put):
        if device.id != configuration.my_id:
            before = entries.get(device.id, {})
            entries[device.id] = {**_NEW_DEVICE, **before, **FIXED_DEVICE}
            entries[device.id] |= {
                "deviceID": device.id,
                "name": device.name,
                "addresses": list(device.addresses),
                "ignoredFolders": ignoring.refused_folders(before, device.refused),
            }
    return [entry for device, entry in entries.items() if device not in gone]


def _changed_folders(
    configuration: Configuration,
    put: Mapping[Folder, Path],
    drop: frozenset[str],
    gone: frozenset[str],
) -> list[_Entry]:
    foreign = {entry.id for entry in configuration._foreign()}
    entries = {
        e["id"]: e if e["id"] in foreign else _without(e, gone)
        for e in configuration._entries("folders")
        if e["id"] not in drop
    }
    for folder, path in sorted(put.items()):
        entries[folder.id] = _folder_json(folder, path, configuration.my_id)
    return list(entries.values())


def _without(entry: _Entry, gone: frozenset[str]) -> _Entry:
    return entry | {"devices": [d for d in entry.get("devices") or [] if d["deviceID"] not in gone]}


def _folder_json(folder: Folder, path: Path, my_id: str) -> _Entry:
    return {
        **FIXED,
        **FIXED_NESTED,
        "id": folder.id,
        "label": folder.id,  # peers see the label: it must reveal nothing
        "path": str(path),
        "type": folder.type.value,
        "rescanIntervalS": RESCAN_S[folder.type],
        "paused": folder.paused,
        "devices": [
            {"deviceID": d, "encryptionPassword": ""} for d in sorted({my_id, *folder.devices})
        ],
    }


def _require_ours(folders: Mapping[Folder, Path], root: Path) -> None:
    for folder, path in folders.items():
        if not _is_ours(_FolderEntry(id=folder.id, path=str(path)), root):
            raise ValueError(f"{folder.id} at {path} is not below {root}")


def _is_ours(entry: _FolderEntry, root: Path) -> bool:
    return is_our_folder(entry.id, entry.path, root)


def _settings_hold(raw: _Entry) -> bool:
    """Whether each fixed setting has our value; a version of Syncthing may lack a setting."""
    fixed = {**FIXED, "label": raw["id"], "rescanIntervalS": RESCAN_S[FolderType(raw["type"])]}
    nested = ((raw.get(name) or {}, wanted) for name, wanted in FIXED_NESTED.items())
    pairs = [(raw, fixed), *nested]
    return all(
        found.get(name) in (None, value)
        for found, wanted in pairs
        for name, value in wanted.items()
    )
