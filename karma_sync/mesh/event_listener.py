"""What Syncthing's events mean: each is told to who is concerned, and says when, never what."""

from collections.abc import Collection
from typing import Protocol

from karma_sync.errors import SyncthingError
from karma_sync.syncthing.port import SyncthingPort
from karma_sync.syncthing.wire import SyncthingEvent

_EVENTS_S = 60
_TYPES = (
    "ItemFinished",
    "DeviceConnected",
    "DeviceDisconnected",
    "PendingDevicesChanged",
    "PendingFoldersChanged",
    "StateChanged",
    "FolderErrors",
    "RemoteIndexUpdated",
    "LocalIndexUpdated",
)


class EventHandler(Protocol):
    """Who is told."""

    def device_connected(self, device: str, connection: str) -> None: ...
    def device_disconnected(self, device: str) -> None: ...
    def item_finished(self, folder: str, name: str) -> None: ...
    def pending_changed(self) -> None: ...
    def transfer_started(self, folder: str) -> None: ...
    def needs_check(self, folder: str) -> None: ...
    def remote_index_updated(self, folder: str) -> None: ...
    def local_index_updated(self, folder: str, names: Collection[str]) -> None: ...


class EventListener:
    """Follows the events of one Syncthing."""

    def __init__(self, client: SyncthingPort, concerned: EventHandler) -> None:
        self._client = client
        self._concerned = concerned
        self._since = 0
        self._pending: frozenset[str] = frozenset()

    def prime(self) -> None:
        """Make Syncthing begin to collect our kinds of events; what was before is passed over."""
        newest = self._client.events(0, 1, _TYPES)
        self._since = newest[-1].id if newest else 0

    def listen(self) -> float:
        """Wait for what comes next, and tell of it; what failed to be told is told again."""
        try:
            for event in self._client.events(self._since, _EVENTS_S, _TYPES):
                self._on_event(event)
                self._since = event.id
        except SyncthingError:
            # if it starts again, its ids do too: one from before would have us wait in vain
            self._since = 0
            raise
        return 0.0

    def _on_event(self, event: SyncthingEvent) -> None:
        concerned = self._concerned
        match event.type:
            case "ItemFinished":
                if not event.error and event.folder and event.item:
                    concerned.item_finished(event.folder, event.item)
            case "LocalIndexUpdated":
                if event.folder:
                    concerned.local_index_updated(event.folder, event.names)
            case "DeviceConnected":
                concerned.device_connected(event.device or "", event.connection or "")
            case "DeviceDisconnected":
                concerned.device_disconnected(event.device or "")
            case "PendingDevicesChanged" | "PendingFoldersChanged":
                self._on_pending()
            case _:
                self._on_folder(event)

    def _on_folder(self, event: SyncthingEvent) -> None:
        """A folder begins to move, a peer tells what it has, or something is wrong."""
        if not event.folder:
            return
        if event.type == "FolderErrors" or event.state == "error":
            self._concerned.needs_check(event.folder)
        elif event.type == "RemoteIndexUpdated":
            self._concerned.remote_index_updated(event.folder)
        elif event.state == "syncing":
            self._concerned.transfer_started(event.folder)

    def _on_pending(self) -> None:
        """Tell only when the set changes: some versions repeat the event every second."""
        devices = {device.id for device in self._client.pending_devices()}
        folders = {folder.id for folder in self._client.pending_folders()}
        pending = frozenset(devices | folders)
        if pending != self._pending:
            self._pending = pending
            self._concerned.pending_changed()
