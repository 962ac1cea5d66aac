"""Reads Syncthing's events and calls an event handler for each.

An event only has the handler look; the thread that looks reads the current state itself.
"""

from collections.abc import Collection
from typing import Protocol

from karma_sync.errors import SyncthingError
from karma_sync.syncthing.port import SyncthingPort
from karma_sync.syncthing.wire import SyncthingEvent

_EVENTS_S = 60  # how long Syncthing holds a request open while nothing happens
_PENDING = frozenset({"PendingDevicesChanged", "PendingFoldersChanged"})
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
    """Receives the events: the daemon's signals, or a test."""

    def device_connected(self, device: str, connection: str) -> None: ...
    def device_disconnected(self, device: str) -> None: ...
    def item_finished(self, folder: str, name: str) -> None: ...
    def pending_changed(self) -> None: ...
    def transfer_started(self, folder: str) -> None: ...
    def needs_check(self, folder: str) -> None: ...
    def remote_index_updated(self, folder: str) -> None: ...
    def local_index_updated(self, folder: str, names: Collection[str]) -> None: ...


class EventListener:
    """Follows the events of one Syncthing; used by one thread."""

    def __init__(self, client: SyncthingPort, handler: EventHandler) -> None:
        self._client = client
        self._handler = handler
        self._since = 0
        self._pending: frozenset[tuple[str, str]] = frozenset()

    def prime(self) -> None:
        """Make Syncthing collect our types of events from now on; earlier events are skipped."""
        newest = self._client.events(0, 1, _TYPES)
        self._since = newest[-1].id if newest else 0

    def listen(self) -> float:
        """Wait for the next events and handle them; returns after how many seconds to call again.

        An event that could not be handled is handled again by the next call.

        Raises:
            SyncthingError: Syncthing does not answer.
        """
        try:
            events = self._client.events(self._since, _EVENTS_S, _TYPES)
            if any(event.type in _PENDING for event in events):
                self._on_pending()  # once: many strangers may knock at the same time
            for event in events:
                self._on_event(event)
                self._since = event.id
        except SyncthingError:
            # a restarted Syncthing counts ids from 1: with an old id we would wait for ever
            self._since = 0
            raise
        return 0.0

    def _on_event(self, event: SyncthingEvent) -> None:
        handler = self._handler
        match event.type:
            case "ItemFinished":
                if not event.error and event.folder and event.item:
                    handler.item_finished(event.folder, event.item)
            case "LocalIndexUpdated":
                if event.folder:
                    handler.local_index_updated(event.folder, event.names)
            case "DeviceConnected":
                handler.device_connected(event.device or "", event.connection or "")
            case "DeviceDisconnected":
                handler.device_disconnected(event.device or "")
            case _:
                self._on_folder(event)

    def _on_folder(self, event: SyncthingEvent) -> None:
        """Handle an event of a folder: a transfer begins, a peer's index came, or an error."""
        if not event.folder:
            return
        if event.type == "FolderErrors" or event.state == "error":
            self._handler.needs_check(event.folder)
        elif event.type == "RemoteIndexUpdated":
            self._handler.remote_index_updated(event.folder)
        elif event.state == "syncing":
            self._handler.transfer_started(event.folder)

    def _on_pending(self) -> None:
        """Call the handler only if the set changed: some versions repeat the event each second.

        The name of a device counts too: it may prove that the device has an invitation code.
        """
        devices = {(device.id, device.name) for device in self._client.pending_devices()}
        folders = {(folder.id, folder.offered_by) for folder in self._client.pending_folders()}
        pending = frozenset(devices | folders)
        if pending != self._pending:
            self._pending = pending
            self._handler.pending_changed()
