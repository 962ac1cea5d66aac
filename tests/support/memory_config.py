"""The configuration document that a Syncthing keeps, and how it corrects what it is given.

Entries are those of 1.29: what else stands in an entry is dropped, what lacks is filled in.
"""

import json
from collections.abc import Callable, Collection, Iterable
from copy import deepcopy
from http import HTTPStatus

from karma_sync.domain.team.pairing_code import device_bytes
from karma_sync.errors import BadInput, SyncthingRefused
from tests.support.memory_events import Json

MOST_RESCAN_S = 365 * 24 * 60 * 60
_TYPES = {"sendreceive", "sendonly", "receiveonly", "receiveencrypted"}

_FOLDER: Json = {
    "id": "",
    "label": "",
    "filesystemType": "basic",
    "path": "~",
    "type": "sendreceive",
    "devices": [],
    "rescanIntervalS": 3600,
    "fsWatcherEnabled": True,
    "fsWatcherDelayS": 10,
    "fsWatcherTimeoutS": 0,
    "ignorePerms": False,
    "autoNormalize": True,
    "minDiskFree": {"value": 1, "unit": "%"},
    "versioning": {
        "type": "",
        "params": {},
        "cleanupIntervalS": 3600,
        "fsPath": "",
        "fsType": "basic",
    },
    "copiers": 0,
    "pullerMaxPendingKiB": 0,
    "hashers": 0,
    "order": "random",
    "ignoreDelete": False,
    "scanProgressIntervalS": 0,
    "pullerPauseS": 0,
    "maxConflicts": 10,
    "disableSparseFiles": False,
    "disableTempIndexes": False,
    "paused": False,
    "weakHashThresholdPct": 25,
    "markerName": ".stfolder",
    "copyOwnershipFromParent": False,
    "modTimeWindowS": 0,
    "maxConcurrentWrites": 2,
    "disableFsync": False,
    "blockPullOrder": "standard",
    "copyRangeMethod": "standard",
    "caseSensitiveFS": False,
    "junctionsAsDirs": False,
    "syncOwnership": False,
    "sendOwnership": False,
    "syncXattrs": False,
    "sendXattrs": False,
    "xattrFilter": {"entries": [], "maxSingleEntrySize": 1024, "maxTotalSize": 4096},
}
_DEVICE: Json = {
    "deviceID": "",
    "name": "",
    "addresses": ["dynamic"],
    "compression": "metadata",
    "certName": "",
    "introducer": False,
    "skipIntroductionRemovals": False,
    "introducedBy": "",
    "paused": False,
    "allowedNetworks": [],
    "autoAcceptFolders": False,
    "maxSendKbps": 0,
    "maxRecvKbps": 0,
    "ignoredFolders": [],
    "maxRequestKiB": 0,
    "untrusted": False,
    "remoteGUIPort": 0,
    "numConnections": 0,
}
_FOLDER_DEVICE: Json = {"deviceID": "", "introducedBy": "", "encryptionPassword": ""}


def fresh(device: str, name: str, address: str) -> Json:
    """The configuration of a new Syncthing: itself, and nothing else."""
    return {
        "version": 37,
        "folders": [],
        "devices": [_DEVICE | {"deviceID": device, "name": name}],
        "gui": {"enabled": True, "address": "127.0.0.1:8384", "apiKey": f"key-of-{name}"},
        "ldap": {"address": ""},
        "options": {"listenAddresses": [address], "reconnectionIntervalS": 5},
        "remoteIgnoredDevices": [],
        "defaults": {
            "folder": _FOLDER | {"devices": [_FOLDER_DEVICE | {"deviceID": device}]},
            "device": deepcopy(_DEVICE),
            "ignores": {"lines": []},
        },
    }


def corrected(body: bytes, me: str) -> Json:
    """The part that Syncthing keeps of a document that was put.

    Raises:
        SyncthingRefused: an ID is malformed or twice there, or a folder has none or no path.
    """
    try:
        given: Json = json.loads(body)
    except ValueError as error:
        raise _refused(str(error)) from error
    devices = _devices(given.get("devices") or [], me)
    known = {device["deviceID"] for device in devices}
    folders = [_folder(entry, me, known) for entry in given.get("folders") or []]
    _require_single([folder["id"] for folder in folders])
    for device in devices:
        shared = [f["id"] for f in folders if device["deviceID"] in device_ids(f)]
        device["ignoredFolders"] = _ignored_folders(device["ignoredFolders"], shared)
    ignored = [
        entry for entry in given.get("remoteIgnoredDevices") or [] if entry["deviceID"] not in known
    ]
    return given | {
        "devices": devices,
        "folders": sorted(folders, key=lambda folder: str(folder["id"])),
        "remoteIgnoredDevices": ignored,
    }


def device_ids(folder: Json) -> frozenset[str]:
    """With whom a folder is shared, this device included."""
    return frozenset(device["deviceID"] for device in folder["devices"])


def restarts(before: Json, after: Json) -> bool:
    """Whether a folder begins anew because of what changed in it: all but its label counts."""
    return before | {"label": ""} != after | {"label": ""}


def _devices(given: Iterable[Json], me: str) -> list[Json]:
    """Each device once, ourselves among them, by ID."""
    found = {entry["deviceID"]: _filled(entry, _DEVICE) for entry in given if entry["deviceID"]}
    found.setdefault(me, _DEVICE | {"deviceID": me, "name": "box"})
    for entry in found.values():
        if entry["addresses"] in ([], [""], None):
            entry["addresses"] = ["dynamic"]
    return [entry for _, entry in sorted(found.items(), key=_by_device)]


def _by_device(item: tuple[str, Json]) -> bytes:
    return _bytes(item[0])


def _bytes(device: str) -> bytes:
    try:
        return device_bytes(device)
    except BadInput as error:
        raise _refused(f'"{device}": device ID invalid') from error


def _folder(given: Json, me: str, known: Collection[str]) -> Json:
    entry = _filled(given, _FOLDER)
    if not entry["id"]:
        raise _refused("folder has empty ID")
    if not entry["path"]:
        raise _refused(f'folder "{entry["id"]}": folder has empty path')
    if entry["type"] not in _TYPES:
        entry["type"] = "sendreceive"
    devices = {d["deviceID"]: _filled(d, _FOLDER_DEVICE) for d in entry["devices"] or []}
    devices.setdefault(me, _FOLDER_DEVICE | {"deviceID": me})
    entry["devices"] = [
        device for name, device in sorted(devices.items(), key=_by_device) if name in known
    ]
    entry["rescanIntervalS"] = min(max(entry["rescanIntervalS"], 0), MOST_RESCAN_S)
    if entry["fsWatcherDelayS"] <= 0:
        entry |= {"fsWatcherEnabled": False, "fsWatcherDelayS": 10}
    entry["markerName"] = entry["markerName"] or ".stfolder"
    return entry


def _filled(given: Json, defaults: Json) -> Json:
    """The entry with every field that there is, and no other."""
    found = deepcopy(defaults)
    for name, default in defaults.items():
        value = given.get(name)
        if isinstance(default, dict) and isinstance(value, dict):
            found[name] = default | {key: value[key] for key in default.keys() & value.keys()}
        elif value is not None:
            found[name] = deepcopy(value)
    return found


def _ignored_folders(given: Iterable[Json] | None, shared: Collection[str]) -> list[Json]:
    """Each once, without those that are shared with the device."""
    time: Callable[[Json], str] = lambda entry: str(entry.get("time", ""))  # noqa: E731
    found = {entry["id"]: entry for entry in sorted(given or [], key=time)}
    return [entry for name, entry in found.items() if name not in shared]


def _require_single(ids: list[str]) -> None:
    for name in ids:
        if ids.count(name) > 1:
            raise _refused(f'folder "{name}": folder has duplicate ID')


def _refused(said: str) -> SyncthingRefused:
    return SyncthingRefused(
        f"Syncthing refused PUT /rest/config: {said}", status=HTTPStatus.BAD_REQUEST
    )
