"""Where listening to Syncthing goes on after Syncthing was away."""

from collections.abc import Collection

import pytest

from karma_sync.errors import SyncthingUnreachable
from karma_sync.service.listening import Listener
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.wire import Event

CAME = Event(id=57, type="DeviceConnected", device="BOB-1")


class Scripted(SyncthingClient):
    """A client that has recorded answers, and remembers from which event on it was asked."""

    def __init__(self, *answers: list[Event] | SyncthingUnreachable) -> None:
        super().__init__("http://syncthing.test", "key")
        self._answers = list(answers)
        self.asked: list[int] = []

    def events(self, since: int, timeout_s: int, types: Collection[str]) -> list[Event]:
        self.asked.append(since)
        answer = self._answers.pop(0)
        if isinstance(answer, SyncthingUnreachable):
            raise answer
        return answer


class Deaf:
    """Is concerned, and does nothing about it."""

    def device_came(self, device: str, connection: str) -> None: ...
    def device_went(self, device: str) -> None: ...
    def item_finished(self, folder: str, name: str) -> None: ...
    def asked(self) -> None: ...
    def moves(self, folder: str) -> None: ...
    def ails(self, folder: str) -> None: ...
    def index_came(self, folder: str) -> None: ...
    def touched(self, folder: str, names: Collection[str]) -> None: ...


def test_after_syncthing_was_away_nothing_is_waited_for_that_only_its_former_life_had() -> None:
    client = Scripted([CAME], SyncthingUnreachable("it died"), [CAME], [])
    listener = Listener(client, Deaf())
    listener.listen()
    with pytest.raises(SyncthingUnreachable):
        listener.listen()
    listener.listen()
    listener.listen()

    assert client.asked == [0, 57, 0, 57]
