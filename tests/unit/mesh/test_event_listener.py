"""At which event listening continues after an outage, or after an event was not handled."""

from collections.abc import Collection

import pytest

from karma_sync.errors import DatabaseUnusable, SyncthingUnreachable
from karma_sync.mesh.event_listener import EventListener
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.wire import SyncthingEvent

CAME = SyncthingEvent(id=57, type="DeviceConnected", device="BOB-1")
WENT = SyncthingEvent(id=58, type="DeviceDisconnected", device="BOB-1")


class Scripted(SyncthingClient):
    """A client with recorded answers; it keeps the `since` of each request."""

    def __init__(self, *answers: list[SyncthingEvent] | SyncthingUnreachable) -> None:
        super().__init__("http://syncthing.test", "key")
        self._answers = list(answers)
        self.asked: list[int] = []

    def events(self, since: int, timeout_s: int, types: Collection[str]) -> list[SyncthingEvent]:
        self.asked.append(since)
        answer = self._answers.pop(0)
        if isinstance(answer, SyncthingUnreachable):
            raise answer
        return answer


class Deaf:
    """A handler that does nothing."""

    def device_connected(self, device: str, connection: str) -> None: ...
    def device_disconnected(self, device: str) -> None: ...
    def item_finished(self, folder: str, name: str) -> None: ...
    def pending_changed(self) -> None: ...
    def transfer_started(self, folder: str) -> None: ...
    def needs_check(self, folder: str) -> None: ...
    def remote_index_updated(self, folder: str) -> None: ...
    def local_index_updated(self, folder: str, names: Collection[str]) -> None: ...


def test_after_syncthing_was_away_nothing_is_waited_for_that_only_its_former_life_had() -> None:
    client = Scripted([CAME], SyncthingUnreachable("it died"), [CAME], [])
    listener = EventListener(client, Deaf())
    listener.listen()
    with pytest.raises(SyncthingUnreachable):
        listener.listen()
    listener.listen()
    listener.listen()

    assert client.asked == [0, 57, 0, 57]


class Full(Deaf):
    """A handler that fails at the first disconnection, as on a full disk."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._is_full = True

    def device_connected(self, device: str, connection: str) -> None:
        self.heard.append(f"{device} came")

    def device_disconnected(self, device: str) -> None:
        if self._is_full:
            self._is_full = False
            raise DatabaseUnusable("no space left")
        self.heard.append(f"{device} went")


def test_what_could_not_be_taken_in_is_told_again() -> None:
    client = Scripted([CAME, WENT], [WENT], [])
    full = Full()
    listener = EventListener(client, full)
    with pytest.raises(DatabaseUnusable):
        listener.listen()
    listener.listen()
    listener.listen()

    assert client.asked == [0, 57, 58]
    assert full.heard == ["BOB-1 came", "BOB-1 went"]
