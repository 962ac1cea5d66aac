"""A Syncthing in memory, behind the methods of the client of a real one.

Folders are real directories, and the members of one `Network` share them as real Syncthings do;
nothing happens but in calls and in `Network.settle`. It answers as 1.29 does, which a contract
suite holds it to. What it does not do:

- Nothing takes time: there are no states between, no rates, no watcher. A scan by the clock, and
  the new try of a pull that failed, come with `Network.an_hour_passes`.
- A connection is never lost, and a folder never stalls, because folders were shared anew: both
  happen to real ones.
- An unknown device that dials again and again is told of once; 1.29 does so every second.
- Of an item there are kind, size, time and content: no permissions, owners, extended attributes,
  no renames (a file is deleted and comes anew), no letters to normalise, no versions kept aside,
  no encryption, no introducers, no folders that are accepted by themselves.
- What is here already under another name is got from the others nonetheless.
- A pull has no half: there are no blocks, and no temporary file is left, or taken up.
- What 1.19 leaves out, and what 2.x does in its own way, is as 1.29 has it: such as that a device
  which never told of a file of a folder may seem to have all of it, and that of a deletion and a
  change that do not know of each other the change wins.
- In a .stignore, `#include` and `#escape` mean nothing.
"""

import json
import time
import xml.etree.ElementTree as ET  # noqa: S405 - reads only what this module wrote
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from karma_sync.domain.team.pairing_code import device_bytes
from karma_sync.errors import BadInput, SyncthingRefused, SyncthingUnreachable
from karma_sync.syncthing import wire
from karma_sync.syncthing.client import NAMES_PER_SCAN
from karma_sync.syncthing.configuration import Configuration, ConfigurationReader
from tests.support.memory_events import Json
from tests.support.memory_figures import completion, needed, summary
from tests.support.memory_folder import FolderTrouble, MemoryFolder
from tests.support.memory_index import LOCAL
from tests.support.memory_member import VERSION
from tests.support.memory_network import Network

T = TypeVar("T")

_NOT_FOUND = HTTPStatus.NOT_FOUND
_WRITES = ("PUT", "POST", "PATCH")


class MemorySyncthing:
    """One member's Syncthing; may be used by several threads at once.

    `requests` counts what a client would have sent, such as "GET /rest/config".
    """

    def __init__(self, network: Network, device: str, name: str) -> None:
        self.device = device
        self.requests: Counter[str] = Counter()
        self._network = network
        self._member = network.join(device, name)
        self._knows_id = False
        self._configurations = ConfigurationReader()
        self.answering_s = 0.0  # CPU time to make answers, which a real one spends elsewhere

    # ---- what a test does with it

    @property
    def address(self) -> str:
        """The address at which others find it, such as tcp://127.0.0.1:22000."""
        return self._member.address

    @property
    def writes(self) -> int:
        """How many requests there were that change something, or order something."""
        return sum(n for name, n in self.requests.items() if name.startswith(_WRITES))

    def start(self) -> None:
        """Begin again after `shutdown`."""
        with self._network.lock:
            self._member.start()

    def config_xml(self) -> bytes:
        """The folders as config.xml has them."""
        with self._network.lock:
            root = ET.Element("configuration")
            for entry in self._member.config["folders"]:
                folder = ET.SubElement(root, "folder", id=entry["id"], path=entry["path"])
                ET.SubElement(folder, "paused").text = str(entry["paused"]).lower()
                for device in entry["devices"]:
                    ET.SubElement(folder, "device", id=device["deviceID"])
            return ET.tostring(root)

    def configure_by(self, xml: bytes) -> None:
        """Take what config.xml says about folders, as at a start."""
        with self._network.lock:
            found = {f.get("id"): f for f in ET.fromstring(xml).iterfind("folder")}  # noqa: S314
            folders = []
            for entry in self._member.config["folders"]:
                folder = found[entry["id"]]
                devices = {d.get("id") for d in folder.iterfind("device")}
                kept = [d for d in entry["devices"] if d["deviceID"] in devices]
                paused = folder.findtext("paused") == "true"
                folders.append(entry | {"paused": paused, "devices": kept})
            if folders != self._member.config["folders"]:
                self._configure(json.dumps(self._member.config | {"folders": folders}).encode())

    def forget_index(self) -> None:
        """Lose what it knew of files; only after `shutdown`."""
        with self._network.lock:
            self._member.forget_index()

    def saved(self) -> bytes:
        """All that is on its disk; only after `shutdown`."""
        with self._network.lock:
            return self._member.saved()

    def restore(self, saved: bytes) -> None:
        """Be as it was when this was saved; only after `shutdown`."""
        with self._network.lock:
            self._member.restore(saved)

    # ---- what its client can do

    def ping(self) -> None:
        """Return if it runs."""
        self._ask("GET", "/rest/system/ping", wire.read_pong, lambda: {"ping": "pong"})

    def version(self) -> str:
        """The version it behaves like."""
        answer = {"version": VERSION}
        return self._ask("GET", "/rest/system/version", wire.read_version, lambda: answer)

    def system(self) -> wire.System:
        """The device ID, and the time of its start."""
        return self._ask(
            "GET",
            "/rest/system/status",
            wire.read_system,
            lambda: {"myID": self.device, "startTime": self._member.started},
        )

    def configuration(self, root: Path) -> Configuration:
        """The whole configuration; folders below `root` are ours."""
        my_id = self._own_id()
        return self._ask(
            "GET",
            "/rest/config",
            lambda body: self._configurations.read(body, my_id, root),
            lambda: self._member.config,
        )

    def put_configuration(self, configuration: Configuration) -> None:
        """Replace everything; what it does not like is corrected silently."""
        body = configuration.write()
        self._order("PUT", "/rest/config", lambda: self._configure(body))

    def connections(self) -> dict[str, wire.Connection]:
        """By device ID, without our own."""
        self._own_id()
        return self._ask(
            "GET", "/rest/system/connections", wire.read_connections, self._connections
        )

    def pending_devices(self) -> list[wire.PendingDevice]:
        """Unknown devices that dialled us, sorted by ID."""
        return self._ask(
            "GET",
            "/rest/cluster/pending/devices",
            wire.read_pending_devices,
            lambda: self._member.pending_devices,
        )

    def pending_folders(self) -> list[wire.PendingFolder]:
        """Unknown folders that known devices offer, sorted by folder and device."""
        return self._ask(
            "GET", "/rest/cluster/pending/folders", wire.read_pending_folders, self._offers
        )

    def dismiss_device(self, device: str) -> None:
        """Take a device out of the pending ones, until it dials again."""
        path = "/rest/cluster/pending/devices"
        self._order("DELETE", path, lambda: self._member.dismiss(device))

    def greet(self, address: str, device: str, name: str) -> bool:
        """Tell another Syncthing a name for our device, as `syncthing/greeting.py` does."""
        with self._network.lock:
            return self._network.greet(self._member, address, device, name)

    def scan(self, folder: str, subs: Sequence[str] = (), next_s: int | None = None) -> None:
        """Scan a folder, or only the paths `subs` in it; returns when that is done.

        There is no clock that `next_s` could put off.
        """
        for start in range(0, max(len(subs), 1), NAMES_PER_SCAN):
            some = subs[start : start + NAMES_PER_SCAN]
            self._order("POST", "/rest/db/scan", lambda some=some: self._scan(folder, some))  # type: ignore[misc] # mypy cannot infer a lambda with a default

    def override(self, folder: str) -> None:
        """Make all others take our state of a send-only folder, once the network settles."""
        self._order("POST", "/rest/db/override", lambda: self._later(folder, "override"))

    def revert(self, folder: str) -> None:
        """Undo local changes in a receive-only folder, once the network settles."""
        self._order("POST", "/rest/db/revert", lambda: self._later(folder, "revert"))

    def restart(self, folder: str) -> None:
        """Have a folder that is not paused begin anew: it scans, and pulls what it needs."""
        for paused in (True, False):
            path = f"/rest/config/folders/{folder}"
            self._order("PATCH", path, lambda paused=paused: self._pause(folder, paused))  # type: ignore[misc] # mypy cannot infer a lambda with a default

    def folder_status(self, folder: str) -> wire.FolderStatus:
        """The status of a folder; HTTP status 404 if there is none of this id."""
        return self._ask(
            "GET",
            "/rest/db/status",
            wire.read_folder_status,
            lambda: summary(self._folder(folder, _NOT_FOUND)),
        )

    def folder_errors(self, folder: str) -> list[wire.FolderError]:
        """The items of a folder that failed; status 404 if there is none of this id."""
        return self._ask(
            "GET", "/rest/folder/errors", wire.read_folder_errors, lambda: self._errors(folder)
        )

    def needed(self, folder: str, most: int = 1000) -> list[wire.Needed]:
        """Files of which others claim to have something newer, at most so many."""
        return self._ask(
            "GET",
            "/rest/db/need",
            wire.read_needed,
            lambda: needed(self._running(folder, _NOT_FOUND), most),
        )

    def holders(self, folder: str, name: str) -> frozenset[str]:
        """The devices that claim to have the newest version of a file; none if nobody knows it."""
        try:
            return self._ask(
                "GET", "/rest/db/file", wire.read_holders, lambda: self._file(folder, name)
            )
        except SyncthingRefused as error:
            if error.is_not_found:
                return frozenset()
            raise

    def completion(self, folder: str, device: str) -> wire.Completion:
        """The believed completion of a folder at a device; no proof that it has it."""
        return self._ask(
            "GET",
            "/rest/db/completion",
            wire.read_completion,
            lambda: self._completion(folder, device),
        )

    def events(
        self, since: int, timeout_s: int, types: Collection[str]
    ) -> list[wire.SyncthingEvent]:
        """Events of these types with an id above `since`, oldest first.

        Waits for the first only in a network that `waits`, and not at the first request of a set
        of types: that begins to count.
        """
        with self._network.lock:
            self._reach("GET", "/rest/events")
            events = self._member.events
            if not events.begin(types) and self._network.waits:
                self._network.lock.wait_for(
                    lambda: bool(events.since(since, types)) or not self._member.is_running,
                    timeout_s,
                )
            return _parsed(wire.read_events, events.since(since, types))

    def shutdown(self) -> None:
        """End; nothing answers until `start`."""
        self._order("POST", "/rest/system/shutdown", self._stop)

    # ---- requests

    def _own_id(self) -> str:
        if not self._knows_id:
            self._knows_id = bool(self.system())
        return self.device

    def _ask(
        self, method: str, path: str, parse: Callable[[bytes], T], answer: Callable[[], object]
    ) -> T:
        with self._network.lock:
            self._reach(method, path)
            began = time.thread_time()
            body = json.dumps(answer()).encode()
            self.answering_s += time.thread_time() - began
            return parse(body)

    def _order(self, method: str, path: str, act: Callable[[], None]) -> None:
        with self._network.lock:
            self._reach(method, path)
            act()
            self._network.lock.notify_all()

    def _reach(self, method: str, path: str) -> None:
        self.requests[f"{method} {path}"] += 1
        if not self._member.is_running:
            raise SyncthingUnreachable(
                f"Syncthing does not answer at {self.device}: {method} {path}",
                hint="karma-sync status",
            )

    # ---- what they do

    def _folder(self, folder: str, status: HTTPStatus) -> MemoryFolder:
        found = self._member.folders.get(folder)
        if found is None:
            raise SyncthingRefused(f"Syncthing refused: no such folder ({status})", status=status)
        return found

    def _running(self, folder: str, status: HTTPStatus) -> MemoryFolder:
        found = self._folder(folder, status)
        if not found.is_running:
            raise SyncthingRefused(f"Syncthing refused: folder is paused ({status})", status=status)
        return found

    def _configure(self, body: bytes) -> None:
        self._member.configure(body)
        self._network.hang_up()

    def _pause(self, folder: str, paused: bool) -> None:
        self._folder(folder, _NOT_FOUND)
        folders = [
            entry | {"paused": paused} if entry["id"] == folder else entry
            for entry in self._member.config["folders"]
        ]
        self._configure(json.dumps(self._member.config | {"folders": folders}).encode())

    def _scan(self, folder: str, subs: Sequence[str]) -> None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            self._running(folder, status).scan(subs)
        except FolderTrouble as trouble:
            raise SyncthingRefused(
                f"Syncthing refused POST /rest/db/scan: {trouble} ({status})", status=status
            ) from trouble

    def _later(self, folder: str, order: str) -> None:
        found = self._member.folders.get(folder)
        if found:
            found.order(order)

    def _connections(self) -> Json:
        peers = self._member.peers
        found = {}
        for entry in self._member.config["devices"]:
            device = entry["deviceID"]
            if device == self.device:
                continue
            found[device] = {"connected": device in peers, "paused": entry["paused"]}
            if device in peers:
                peer = peers[device]
                found[device] |= {"address": peer.address, "type": peer.type}
                found[device]["clientVersion"] = VERSION
        return {"connections": found}

    def _offers(self) -> Json:
        pending = self._member.pending_folders
        return {folder: {"offeredBy": offers} for folder, offers in pending.items()}

    def _errors(self, folder: str) -> Json:
        errors = self._running(folder, _NOT_FOUND).errors
        return {"errors": [{"path": path, "error": why} for path, why in errors]}

    def _file(self, folder: str, name: str) -> Json:
        index = self._running(folder, _NOT_FOUND).index
        if index.best(name) is None:
            raise SyncthingRefused(
                f"Syncthing refused: No such object in the index ({_NOT_FOUND})", status=_NOT_FOUND
            )
        return {"availability": [{"id": d} for d in self._member.holders(folder, name)]}

    def _completion(self, folder: str, device: str) -> Json:
        try:
            device_bytes(device)
        except BadInput as error:
            status = HTTPStatus.BAD_REQUEST
            raise SyncthingRefused(f"Syncthing refused: {error}", status=status) from error
        found = self._running(folder, _NOT_FOUND)
        whose = LOCAL if device == self.device else device
        peer = self._member.peers.get(device)
        return completion(found, whose, peer.states.get(folder) if peer else None)

    def _stop(self) -> None:
        self._member.stop()
        self._network.hang_up()


def _parsed(parse: Callable[[bytes], T], answer: object) -> T:
    """An answer as the client has it, who gets bytes."""
    return parse(json.dumps(answer).encode())
