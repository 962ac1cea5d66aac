"""The machines in one process, who of them is online, and who talks to whom."""

import threading
from collections.abc import Iterator
from itertools import combinations

from karma_sync.errors import SyncthingUnreachable
from tests.support.memory_figures import completion, summary
from tests.support.memory_folder import MemoryFolder
from tests.support.memory_index import File
from tests.support.memory_member import Member

_FIRST_PORT = 22_000
_MOST_ROUNDS = 10_000
_CLOSED = "connection closed"


class Network:
    """Moves on only in `settle`, in the same order each time; safe for several threads.

    `waits`: whether who asks for events may wait for them, which only a test with threads can
    afford; `discovery`: whether a device whose address is `dynamic` is found.
    """

    def __init__(self, *, waits: bool = False, discovery: bool = False) -> None:
        self.waits = waits
        self.lock = threading.Condition(threading.RLock())
        self.members: dict[str, Member] = {}
        self._discovery = discovery
        self._offline: set[str] = set()
        self._clock = 0

    def join(self, device: str, name: str) -> Member:
        """A new machine, with a Syncthing that runs and knows nobody."""
        with self.lock:
            address = f"tcp://127.0.0.1:{_FIRST_PORT + len(self.members)}"
            member = Member(device, name, address, self._tick, self._serve)
            self.members[device] = member
            return member

    def offline(self, device: str) -> None:
        """A machine is cut off; its Syncthing runs on."""
        with self.lock:
            self._offline.add(device)
            self.hang_up()

    def online(self, device: str) -> None:
        """A machine is back."""
        with self.lock:
            self._offline.discard(device)

    def greet(self, one: Member, address: str, device: str, name: str) -> bool:
        """One tells another its name, beside its Syncthing; False if the other knows it already."""
        other = self.members.get(device)
        cut_off = {one.device, device} & self._offline
        if other is None or other.address != address or cut_off or not other.is_running:
            raise SyncthingUnreachable(f"{device} does not answer at {address}")
        if other.entry_of(one.device):
            return False
        other.knock(one.device, name, one.address)
        return True

    @property
    def links(self) -> frozenset[frozenset[str]]:
        """The pairs of devices that are connected."""
        with self.lock:
            return frozenset(frozenset({m.device, p}) for m in self._running() for p in m.peers)

    def settle(self) -> None:
        """Let everything happen that is due, until nothing is."""
        with self.lock:
            for _ in range(_MOST_ROUNDS):
                # a list: each has its turn in each round
                if not any([self.hang_up(), self._dial(), self._talk(), self._work()]):
                    self.lock.notify_all()
                    return
            raise RuntimeError("the members of this network never come to rest")

    def an_hour_passes(self) -> None:
        """Do the work of one hour: regular scans, and pulls that had failed."""
        with self.lock:
            for folder in self._folders():
                if folder.entry["rescanIntervalS"]:
                    folder.scan_due = True
                folder.pull_due = folder.pull_due or bool(folder.pull_errors)
            self.settle()

    def hang_up(self) -> bool:
        """End the connections that may be no more; whether there were any."""
        ended = [
            (one, other)
            for one, other in self._pairs()
            if other.device in one.peers and not self._may_talk(one, other)
        ]
        for one, other in ended:
            one.disconnect(other.device, _CLOSED)
            other.disconnect(one.device, _CLOSED)
        return bool(ended)

    # ---- one step of each kind; each says whether it did anything

    def _dial(self) -> bool:
        """Whoever was configured last dials first, as it does so at once."""
        dialled = False
        for one in sorted(self._running(), key=lambda m: (-m.changed, m.device)):
            for other in self._running():
                if one is not other and other.device not in one.peers and self._reach(one, other):
                    dialled |= self._call(one, other)
        return dialled

    def _call(self, one: Member, other: Member) -> bool:
        if not other.entry_of(one.device):
            return other.knock(one.device, one.name, one.address)
        if not self._may_talk(one, other):
            return False
        one.connect(other.device, other.name, "tcp-client", other.address)
        other.connect(one.device, one.name, "tcp-server", one.address)
        return True

    def _talk(self) -> bool:
        """Have each member send its offers and its files to those it is connected with."""
        talked = False
        for one in self._running():
            for device in sorted(one.peers):
                other = self.members[device]
                if device in one.untold:
                    one.untold.discard(device)
                    other.hear_offers(one.device, one.offers_to(device))
                    talked = True
        for one in self._running():
            for device in sorted(one.peers):
                talked |= self._send_indexes(one, self.members[device])
        return talked

    def _send_indexes(self, one: Member, other: Member) -> bool:
        sent = [
            other.folders[name].hear(one.device, folder.index)
            for name, folder in sorted(one.folders.items())
            if one.exchanges(name, other.device) and other.exchanges(name, one.device)
        ]
        return any(sent)

    def _work(self) -> bool:
        worked = any([folder.work() for folder in self._folders()])
        if not worked:
            self._tell_figures()
        return worked

    def _tell_figures(self) -> None:
        """Each member says how its folders stand, where that may have changed."""
        for member in self._running():
            for name, folder in sorted(member.folders.items()):
                if folder.is_touched:
                    folder.is_touched = False
                    member.tell("FolderSummary", {"folder": name, "summary": summary(folder)})
                    for device in sorted(member.peers.keys() & folder.devices):
                        data = completion(folder, device, member.peers[device].states.get(name))
                        data |= {"folder": name, "device": device}
                        member.tell("FolderCompletion", data)

    # ---- inside

    def _running(self) -> list[Member]:
        return [m for _, m in sorted(self.members.items()) if m.is_running]

    def _folders(self) -> Iterator[MemoryFolder]:
        for member in self._running():
            yield from (folder for _, folder in sorted(member.folders.items()))

    def _pairs(self) -> list[tuple[Member, Member]]:
        return list(combinations([m for _, m in sorted(self.members.items())], 2))

    def _may_talk(self, one: Member, other: Member) -> bool:
        cut_off = {one.device, other.device} & self._offline
        return not cut_off and one.welcomes(other.device) and other.welcomes(one.device)

    def _reach(self, one: Member, other: Member) -> bool:
        """Whether one knows where the other is, and gets there."""
        if {one.device, other.device} & self._offline or not one.welcomes(other.device):
            return False
        addresses = one.entry_of(other.device)["addresses"]
        return other.address in addresses or (self._discovery and "dynamic" in addresses)

    def _serve(self, device: str, folder: str, file: File) -> bytes | None:
        return self.members[device].give(folder, file)

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
