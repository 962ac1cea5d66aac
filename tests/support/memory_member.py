"""One member's Syncthing from within: its configuration, its folders, its peers, who knocks."""

import pickle  # noqa: S403 reads what it wrote
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support.memory_config import corrected, device_ids, fresh, restarts
from tests.support.memory_disk import hashed
from tests.support.memory_events import Events, Json
from tests.support.memory_folder import Around, MemoryFolder
from tests.support.memory_index import LOCAL, File
from tests.support.memory_pull import ItemFailed

VERSION = "v1.29.5"
_NOT_HERE = "no connected device has the required version of this file"
_WENT = (
    "pull: peers who had this file went away, or the file has changed while syncing. will retry"
    " later"
)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Offer:
    """A folder that a member shares with another."""

    folder: str
    label: str
    paused: bool


@dataclass
class Peer:
    """A device that is connected; `states` is how it stands to each folder, as it told."""

    type: str
    address: str
    states: dict[str, str] = field(default_factory=dict)


class Member:
    """A member as the network moves it along; `MemorySyncthing` sends it requests.

    `tick` is the network's clock; `serve` gets a file of another member's, None if it is not there.
    """

    def __init__(
        self,
        device: str,
        name: str,
        address: str,
        tick: Callable[[], int],
        serve: Callable[[str, str, File], bytes | None],
    ) -> None:
        self.device = device
        self.address = address
        self._tick = tick
        self._serve = serve
        self.config = fresh(device, name, address)
        self.folders: dict[str, MemoryFolder] = {}
        self.peers: dict[str, Peer] = {}
        self.untold: set[str] = set()
        self.pending_devices: dict[str, Json] = {}
        self.pending_folders: dict[str, dict[str, Json]] = {}
        self.is_running = False
        self.changed = 0
        self.start()

    # ---- the process

    def start(self) -> None:
        """Begin, or begin again: ids of events start anew, and every folder is scanned."""
        self.events = Events()
        self.is_running = True
        self.started = self.moment()
        for entry in self.config["folders"]:
            if entry["id"] in self.folders:
                self.folders[entry["id"]].start(entry)

    def stop(self) -> None:
        self.is_running = False

    def forget_index(self) -> None:
        """Know nothing of any file, as after the index was lost; not while it runs."""
        for entry in self.config["folders"]:
            self.folders[entry["id"]] = MemoryFolder(self._around(), entry)

    def saved(self) -> bytes:
        """All that is on its disk: the configuration, and what it knows of files."""
        indexes = {name: folder.index for name, folder in self.folders.items()}
        return pickle.dumps((self.config, indexes))

    def restore(self, saved: bytes) -> None:
        """Be as it was when this was saved; not while it runs.

        The others know more of its indexes than it does. It notices that when they connect, and
        sends them whole: as if they were new.
        """
        self.config, indexes = pickle.loads(saved)  # noqa: S301 made by `saved`
        self.folders = {}
        for entry in self.config["folders"]:
            folder = self.folders[entry["id"]] = MemoryFolder(self._around(), entry)
            folder.index = indexes[entry["id"]]
            folder.index.become_new()

    def moment(self) -> str:
        """Now, as Syncthing writes it."""
        return (_EPOCH + timedelta(seconds=self._tick())).isoformat()

    def tell(self, kind: str, data: Json) -> None:
        self.events.tell(kind, data, self.moment())

    # ---- the configuration

    @property
    def name(self) -> str:
        return str(self.entry_of(self.device)["name"])

    def entry_of(self, device: str) -> Json:
        """The configuration's entry for a device; {} if it has none."""
        found = (e for e in self.config["devices"] if e["deviceID"] == device)
        return next(found, {})

    def configure(self, body: bytes) -> None:
        """Put a configuration.

        Raises:
            SyncthingRefused: it cannot be one.
        """
        before, self.config = self.config, corrected(body, self.device)
        self.changed = self._tick()
        told = self._apply_folders(
            {folder["id"]: folder for folder in before["folders"]},
            {folder["id"]: folder for folder in self.config["folders"]},
        )
        self.untold |= told - {self.device}
        self._tell_of_pauses(before)
        self._clean_pending({f["id"] for f in before["folders"]} - self.folder_ids)
        self.tell("ConfigSaved", self.config)

    @property
    def folder_ids(self) -> set[str]:
        return {folder["id"] for folder in self.config["folders"]}

    def _apply_folders(self, before: dict[str, Json], after: dict[str, Json]) -> set[str]:
        """Begin, restart and end folders; whom that concerns."""
        told: set[str] = set()
        for name, entry in after.items():
            if name not in before:
                self.folders[name] = MemoryFolder(self._around(), entry)
                told |= device_ids(entry)
        for name, old in before.items():
            new = after.get(name)
            if new is None:
                self._end(name)
                told |= device_ids(old)
            elif restarts(old, new) and not (old["paused"] and new["paused"]):
                self.folders[name].start(new)
                told |= device_ids(old) | device_ids(new)
            else:
                self.folders[name].entry = new
            if new and old["paused"] != new["paused"]:
                kind = "FolderPaused" if new["paused"] else "FolderResumed"
                self.tell(kind, {"id": name, "label": new["label"]})
        return told

    def _end(self, name: str) -> None:
        gone = self.folders.pop(name)
        path = gone.entry["path"]
        if all(folder.entry["path"] != path for folder in self.folders.values()):
            gone.disk.end(name)

    def _tell_of_pauses(self, before: Json) -> None:
        paused = {device["deviceID"]: device["paused"] for device in before["devices"]}
        for device in self.config["devices"]:
            name = device["deviceID"]
            if device["paused"] != paused.get(name, device["paused"]):
                self.tell("DevicePaused" if device["paused"] else "DeviceResumed", {"device": name})

    def _around(self) -> Around:
        return Around(self.device.split("-", 1)[0], self._tick, self.tell, self._fetch)

    # ---- who knocks, and what is offered

    def knock(self, device: str, name: str, address: str) -> bool:
        """A device that is not in the configuration dials; whether that is news."""
        ignored = {entry["deviceID"] for entry in self.config["remoteIgnoredDevices"]}
        if device in ignored:
            return False
        entry = {"name": name, "address": address.removeprefix("tcp://")}
        before = self.pending_devices.get(device, {})
        if before.items() >= entry.items():
            return False
        self.pending_devices[device] = entry | {"time": self.moment()}
        self.tell("PendingDevicesChanged", {"added": [{"deviceID": device} | entry]})
        return True

    def dismiss(self, device: str) -> None:
        """A person, or a program, does not want to see this device now."""
        if self.pending_devices.pop(device, None):
            self.tell("PendingDevicesChanged", {"removed": [{"deviceID": device}]})

    def _clean_pending(self, dropped: Collection[str]) -> None:
        """Forget what was answered by a change of the configuration."""
        gone = [
            {"folderID": folder, "deviceID": device}
            for folder, offers in self.pending_folders.items()
            for device in offers
            if folder in dropped or self._is_answered(folder, device)
        ]
        self._drop_offers(gone)
        if gone:
            self.tell("PendingFoldersChanged", {"removed": gone})
        ignored = {entry["deviceID"] for entry in self.config["remoteIgnoredDevices"]}
        known = [d for d in self.pending_devices if d in ignored or self.entry_of(d)]
        for device in known:
            del self.pending_devices[device]
        if known:
            removed = [{"deviceID": device} for device in known]
            self.tell("PendingDevicesChanged", {"removed": removed})

    def _is_answered(self, folder: str, device: str) -> bool:
        entry = self.entry_of(device)
        return not entry or self._ignores(entry, folder) or self.shares(folder, device)

    def _ignores(self, entry: Json, folder: str) -> bool:
        return any(ignored["id"] == folder for ignored in entry["ignoredFolders"])

    def _drop_offers(self, gone: Collection[Json]) -> None:
        for each in gone:
            offers = self.pending_folders[each["folderID"]]
            del offers[each["deviceID"]]
            if not offers:
                del self.pending_folders[each["folderID"]]

    def shares(self, folder: str, device: str) -> bool:
        """Whether this folder is here and shared with that device."""
        return folder in self.folders and device in self.folders[folder].devices

    def offers_to(self, device: str) -> list[Offer]:
        """The folders that this member offers to a device."""
        return [
            Offer(folder["id"], folder["label"], folder["paused"])
            for folder in self.config["folders"]
            if device in device_ids(folder)
        ]

    def hear_offers(self, device: str, offers: Collection[Offer]) -> None:
        """A connected device says what it shares with us: that is all, and nothing else."""
        peer = self.peers[device]
        shared = [folder for folder in self.folders if self.shares(folder, device)]
        peer.states = dict.fromkeys(shared, "notSharing")
        strange = []
        for offer in offers:
            peer.states[offer.folder] = "paused" if offer.paused else "valid"
            folder = self.folders.get(offer.folder)
            if folder is None or not self.shares(offer.folder, device):
                strange.append(offer)
            elif folder.is_running and not offer.paused:
                folder.pull_due = True
        self._note_offers(device, strange)
        self.tell("ClusterConfigReceived", {"device": device})

    def _note_offers(self, device: str, strange: Collection[Offer]) -> None:
        entry = self.entry_of(device)
        new = [offer for offer in strange if not self._ignores(entry, offer.folder)]
        names = {offer.folder for offer in new}
        old = [
            {"folderID": folder, "deviceID": device}
            for folder, offers in self.pending_folders.items()
            if device in offers and folder not in names
        ]
        self._drop_offers(old)
        for offer in new:
            kept = self.pending_folders.setdefault(offer.folder, {})
            kept[device] = {"time": self.moment(), "label": offer.label}
        if new or old:
            added = [
                {"folderID": o.folder, "folderLabel": o.label, "deviceID": device} for o in new
            ]
            self.tell("PendingFoldersChanged", {"added": added, "removed": old})

    # ---- peers

    def welcomes(self, device: str) -> bool:
        """Whether it would talk to this device."""
        entry = self.entry_of(device)
        return self.is_running and bool(entry) and not entry["paused"]

    def connect(self, device: str, name: str, kind: str, address: str) -> None:
        """A connection to this device, which gives itself that name, is there."""
        host = address.removeprefix("tcp://")
        self.peers[device] = Peer(kind, host)
        self.untold.add(device)
        data = {"id": device, "deviceName": name, "clientName": "syncthing"}
        data |= {"clientVersion": VERSION, "type": kind, "addr": host}
        self.tell("DeviceConnected", data)
        entry = self.entry_of(device)
        if not entry["name"]:
            entry["name"] = name
            self.tell("ConfigSaved", self.config)

    def disconnect(self, device: str, why: str) -> None:
        del self.peers[device]
        self.untold.discard(device)
        self.tell("DeviceDisconnected", {"id": device, "error": why})

    def exchanges(self, folder: str, device: str) -> bool:
        """Whether files of a folder go to and fro between us and a device, as far as we know."""
        here = self.folders.get(folder)
        valid = device in self.peers and self.peers[device].states.get(folder) == "valid"
        return valid and here is not None and here.is_running and device in here.devices

    def holders(self, folder: str, name: str) -> list[str]:
        """The connected devices that have the newest version of a file."""
        found = self.folders[folder].index.holders(name)
        return [device for device in found if self.exchanges(folder, device)]

    def _fetch(self, folder: str, file: File) -> bytes:
        holders = self.holders(folder, file.name)
        if not holders:
            raise ItemFailed(_NOT_HERE)
        for device in holders:
            content = self._serve(device, folder, file)
            if content is not None:
                return content
        raise ItemFailed(_WENT)

    def give(self, folder: str, file: File) -> bytes | None:
        """A file's bytes for another member; what is not as the index says is scanned again."""
        here = self.folders.get(folder)
        if here is None or not here.is_running:
            return None
        content = here.disk.read(file.name)
        mine = here.index.of(LOCAL, file.name)
        if content is not None and hashed(content) == file.content:
            return content
        if mine and mine.content == file.content:
            here.recheck(file.name)
        return None
