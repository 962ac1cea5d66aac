"""Three machines that a contract is tried on: with Syncthings in memory, or with real ones."""

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.configuration import Configuration, with_changes
from karma_sync.syncthing.greeting import greet
from karma_sync.syncthing.home import ListenSettings as Listening
from karma_sync.syncthing.home import configure, create_home
from karma_sync.syncthing.process import SyncthingProcess, free_port
from karma_sync.syncthing.wire import SyncthingEvent
from tests.support.builders import device_of
from tests.support.memory_network import Network
from tests.support.memory_syncthing import MemorySyncthing

READY_S = 90.0
SOON_S = 60.0
GRACE_S = 5.0
_POLL_S = 0.02
KINDS = (
    "DeviceConnected",
    "DeviceDisconnected",
    "FolderErrors",
    "ItemFinished",
    "LocalIndexUpdated",
    "PendingDevicesChanged",
    "PendingFoldersChanged",
    "RemoteIndexUpdated",
    "StateChanged",
)
_NUMBERS = count(1)


@dataclass(frozen=True)
class Box:
    """One machine: its Syncthing, who it is, and the directory below which its folders lie."""

    client: SyncthingClient | MemorySyncthing
    device: Device
    root: Path
    start: Callable[[], None]
    greet: Callable[[str, str, str], bool]
    seen: list[int] = field(default_factory=lambda: [0])

    @property
    def id(self) -> str:
        return self.device.id

    @property
    def configuration(self) -> Configuration:
        return self.client.configuration(self.root)

    @property
    def tree(self) -> Any:
        """The configuration as JSON."""
        return json.loads(self.configuration.write())

    def entry(self, folder: str) -> Any:
        """The entry of a folder in the configuration."""
        return next(entry for entry in self.tree["folders"] if entry["id"] == folder)

    def put_tree(self, tree: Any) -> None:
        body = json.dumps(tree).encode()
        self.client.put_configuration(Configuration.read(body, self.id, self.root))

    def put(self, *folders: Folder, devices: Collection[Device] = ()) -> None:
        """Put these folders and devices, and leave the rest."""
        places = {folder: self.root / folder.id for folder in folders}
        wanted = with_changes(self.configuration, put_folders=places, put_devices=devices)
        self.client.put_configuration(wanted)

    def drop(self, folder: str) -> None:
        self.client.put_configuration(with_changes(self.configuration, drop_folders=[folder]))

    def folder(self, name: str) -> Folder:
        """A folder as it is configured now."""
        return next(folder for folder in self.configuration.folders if folder.id == name)

    def change(self, name: str, **changes: Any) -> None:
        """Put a folder again with something else in it."""
        self.put(replace(self.folder(name), **changes))

    def path(self, folder: str, name: str) -> Path:
        return self.root / folder / name

    def write(self, folder: str, *names: str, text: str = "text") -> None:
        """Write files, and have them scanned."""
        for name in names:
            path = self.path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.client.scan(folder, names)

    def read(self, folder: str, name: str) -> str | None:
        """A file's text; None if it is not there, or being replaced."""
        try:
            return self.path(folder, name).read_text()
        except OSError:
            return None

    def listen(self) -> None:
        """Pass over the events there were until now."""
        events = self.client.events(0, 1, KINDS)
        self.seen[0] = events[-1].id if events else 0

    def heard(self) -> list[SyncthingEvent]:
        """All events since `listen`."""
        return self.client.events(self.seen[0], 1, KINDS)


@dataclass(frozen=True)
class Boxes:
    """Machines `a` and `b`, which know each other and are connected; nobody knows `c` yet."""

    a: Box
    b: Box
    c: Box
    until: Callable[[Callable[[], object]], None]

    def share(self, *receivers: Box, kind: FolderType = FolderType.RECEIVE_ONLY) -> str:
        """A new folder that `a` sends and these receive, or just `b`; returns its id."""
        name = self.offer(*receivers)
        for box in receivers or (self.b,):
            box.put(Folder(name, kind, frozenset({self.a.id})))
        return name

    def offer(self, *receivers: Box) -> str:
        """A new folder that `a` would send to these, or just to `b`; returns its id."""
        name = f"ks-c-{next(_NUMBERS)}"
        devices = frozenset(box.id for box in receivers or (self.b,))
        self.a.put(Folder(name, FolderType.SEND_ONLY, devices))
        return name

    def offers(self, folder: str) -> list[str]:
        """The devices that offer this folder to `b`, which has not added it."""
        return [each.offered_by for each in self.b.client.pending_folders() if each.id == folder]

    def send(self, folder: str, *names: str, text: str = "text") -> None:
        """Write files at `a`, and wait until `b` has them."""
        self.a.write(folder, *names, text=text)
        self.until(lambda: all(self.b.read(folder, name) == text for name in names))


@contextmanager
def memory_boxes(where: Path) -> Iterator[Boxes]:
    """Three machines in memory."""
    network = Network()

    def box(name: str) -> Box:
        syncthing = MemorySyncthing(network, device_of(name), name)
        (where / name).mkdir()
        device = Device(syncthing.device, name, (syncthing.address,))
        return Box(syncthing, device, where / name, syncthing.start, syncthing.greet)

    def until(condition: Callable[[], object]) -> None:
        network.settle()
        assert condition()

    yield _acquainted(Boxes(box("a"), box("b"), box("c"), until))


@contextmanager
def real_boxes(program: Path, where: Path) -> Iterator[Boxes]:
    """Three processes on loopback; they have ended afterwards."""
    with ExitStack() as cleanup:
        found = []
        for name in ("a", "b", "c"):
            process, box = _started(program, where / name)
            cleanup.callback(process.stop, GRACE_S)
            found.append((process, box))
        for process, box in found:
            assert isinstance(box.client, SyncthingClient)
            process.wait_ready(box.client, READY_S)
        a, b, c = (box for _, box in found)
        yield _acquainted(Boxes(a, b, c, _poll))


def _started(program: Path, where: Path) -> tuple[SyncthingProcess, Box]:
    where.mkdir()
    home, gui, root = where / "home", free_port(), where / "root"
    root.mkdir()
    address = f"tcp://127.0.0.1:{free_port()}"
    device = create_home(program, home)
    key = configure(home, Listening(gui, (address,), False, False, False), where.name)
    process = SyncthingProcess(program, home, gui, where / "log")
    process.start()
    client = SyncthingClient(f"http://127.0.0.1:{gui}", key)

    def start() -> None:
        process.stop(GRACE_S)
        process.start()
        process.wait_ready(client, READY_S)

    box = Box(client, Device(device, where.name, (address,)), root, start, partial(greet, home))
    return process, box


def _acquainted(boxes: Boxes) -> Boxes:
    """Only `a` dials: two that dial each other at once may need half a minute to meet."""
    a, b = boxes.a, boxes.b
    for box in (a, b, boxes.c):
        box.listen()  # events are collected from the first request on
    b.put(devices=[replace(a.device, addresses=("dynamic",))])
    a.put(devices=[b.device])
    boxes.until(lambda: a.client.connections()[b.id].connected)
    return boxes


def _poll(condition: Callable[[], object]) -> None:
    """Wait until this is so; fail if it does not become so."""
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(_POLL_S)
