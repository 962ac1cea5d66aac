"""How the daemon's threads wake one another.

A wake-up has a thread look for work; it carries no instruction. The thread reads the current state
itself.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from karma_sync.archive.schedule import ArchiveRequests
from karma_sync.channel.layout import is_ours
from karma_sync.domain.mesh.channels import Channel, World, outboxes
from karma_sync.mesh.connections import Connections
from karma_sync.mesh.health.checker import CheckRequests
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.mesh.transfers import ActiveFolders
from karma_sync.paths import Paths, holds_documents, is_metadata_folder
from karma_sync.receiving.receiver import Arrivals
from karma_sync.runtime.worker import Wake
from karma_sync.sending.scheduler import SendRequests
from karma_sync.team.documents.folder import is_document


class LatestWorld:
    """The world of the last cycle; the cycle thread sets it, all threads read it."""

    def __init__(self) -> None:
        self._world: World | None = None

    def get(self) -> World | None:
        """The newest world; None before the first cycle."""
        return self._world

    def set(self, world: World) -> None:
        """Replace the world by a newer one."""
        self._world = world


@dataclass(frozen=True)
class Requests:
    """The requests of the daemon's threads to one another; made before all parts."""

    sends: SendRequests
    archives: ArchiveRequests
    arrivals: Arrivals
    checks: CheckRequests
    moving: ActiveFolders
    cycle: Wake
    sending: Wake
    receiving: Wake
    checking: Wake
    measuring: Wake
    archiving: Wake
    greeting: Wake
    world: LatestWorld = field(default_factory=LatestWorld)

    @classmethod
    def of(cls, gathered: Callable[[Path], Path]) -> "Requests":
        """`gathered` returns the one path that stands for many changed files of a session."""
        cycle, sending, receiving, checking, measuring = (Wake() for _ in range(5))
        archiving, greeting = Wake(), Wake()
        return cls(
            sends=SendRequests(sending, gathered),
            archives=ArchiveRequests(archiving, gathered),
            arrivals=Arrivals(receiving),
            checks=CheckRequests(checking),
            moving=ActiveFolders(measuring),
            cycle=cycle,
            sending=sending,
            receiving=receiving,
            checking=checking,
            measuring=measuring,
            archiving=archiving,
            greeting=greeting,
        )

    def touch(self, path: Path) -> None:
        """Send and archive the sessions of this file, which the agent changed."""
        self.sends.touch(path)
        self.archives.touch(path)

    def request_pass(self) -> None:
        """Look through all sessions: send and archive what is new."""
        self.sends.request_pass()
        self.archives.request_pass()


class Signals:
    """Turns events of Syncthing, the packager and the receiver into requests; for any thread."""

    def __init__(
        self, paths: Paths, requests: Requests, connections: Connections, recovery: Recovery
    ) -> None:
        self._paths = paths
        self._requests = requests
        self._connections = connections
        self._recovery = recovery

    # ---- Syncthing's events

    def device_connected(self, device: str, connection: str) -> None:
        """A device connected; `connection` is Syncthing's connection type."""
        self._connections.record_connected(device, connection)
        self._requests.cycle.set()

    def device_disconnected(self, device: str) -> None:
        """A device disconnected."""
        self._connections.record_disconnected(device)
        self._requests.cycle.set()

    def pending_changed(self) -> None:
        """The set of unknown devices that dial us, or of folders offered to us, changed."""
        self._requests.cycle.set()

    def item_finished(self, folder: str, name: str) -> None:
        """Syncthing pulled a file."""
        if name.startswith("receipt/"):
            self._requests.receiving.set()
        elif holds_documents(folder):
            self._requests.cycle.set()
        else:
            self._requests.arrivals.add(folder, {name})

    def transfer_started(self, folder: str) -> None:
        """A folder begins to send or to fetch files."""
        self._requests.moving.start(folder)

    def needs_check(self, folder: str) -> None:
        """A folder has a fault, or may work again."""
        self._requests.checks.needs_check(folder)

    def remote_index_updated(self, folder: str) -> None:
        """A peer announced its files; no peer may have files in my outbox that I do not have."""
        if folder in self._outboxes():
            self.needs_check(folder)

    def local_index_updated(self, folder: str, names: Collection[str]) -> None:
        """A scan found new, changed or missing files; a missing file of ours must come back."""
        path = self._paths.folder(folder)
        is_own = folder in self._outboxes()
        if holds_documents(folder) and not is_metadata_folder(folder):
            if any(not (path / name).exists() for name in names):
                self._requests.cycle.set()
            return
        known = {name for name in names if is_ours(name) or is_document(name)}
        gone = {name for name in known if not (path / name).exists()}
        if gone and is_metadata_folder(folder):
            self._requests.cycle.set()
        elif gone and is_own:
            self._requests.checks.check_all()
        elif gone:
            self.needs_check(folder)
        if is_own and known - gone:
            self._requests.arrivals.add(folder, known - gone)

    # ---- events of our own parts

    def packaged(self, channel: Channel, name: str) -> None:
        """The packager put a file into an outbox."""
        self.transfer_started(channel.id)
        self._requests.arrivals.add(channel.id, {name})

    def refused(self, channel: Channel, item: str) -> None:
        """An item does not verify; if it is in my outbox, somebody altered it, and it is mended."""
        world = self._requests.world.get()
        if world and channel.owner.key == world.key and channel.id not in world.recovering:
            self._recovery.remove_altered(channel, item)
            self._requests.checks.check_all()

    def _outboxes(self) -> set[str]:
        world = self._requests.world.get()
        return {channel.id for channel in outboxes(world)} if world else set()
