"""Greets the leaders at whose doors I knock, so that they dial me and their Syncthing refuses none.

The cycle asks which leaders are about to dial; a thread of its own greets them.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from karma_sync.domain.mesh.channels import Device, World
from karma_sync.errors import SyncthingError
from karma_sync.runtime.timing import soonest
from karma_sync.syncthing.greeting import can_greet

log = logging.getLogger(__name__)

# A leader's daemon dials within 0.1 s of a greeting. One that does not, or that is not greeted in
# time because another one before it does not answer, is dialled.
_DIALS_WITHIN_S = 1.5
_GREETED_WITHIN_S = 1.5

Greet = Callable[[str, str, str], bool]
"""Tells the device at an address my name, as `syncthing/greeting.py` does: (address, device, name).

False means that it knows me already.
"""


@dataclass(frozen=True)
class _Greeting:
    """One leader, to be greeted under `name`; it is not dialled before `until`."""

    device: Device
    name: str
    until: float
    is_over: bool = False


class Greetings:
    """Tracks the greeted leaders that are about to dial; used by the cycle and one more thread."""

    def __init__(
        self,
        greet: Greet,
        connected: Callable[[], Collection[str]],
        cycle: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connected` returns the connected devices; `cycle` makes a cycle run soon."""
        self._greet = greet
        self._connected = connected
        self._cycle = cycle
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, _Greeting] = {}

    def awaited(self, world: World) -> frozenset[str]:
        """The leaders who dial me soon, or will when `run` greets them: I need not dial them."""
        with self._lock:
            now, connected = self._monotonic(), self._connected()
            before, self._known = self._known, {}
            for leader in world.knocked:
                known = before.get(leader.id)
                if known is None and leader.id not in connected and _to_greet(leader):
                    known = _Greeting(leader, world.name, now + _GREETED_WITHIN_S)
                if known is not None:
                    self._known[leader.id] = known
            return frozenset(each.device.id for each in self._known.values() if each.until > now)

    @property
    def is_due(self) -> bool:
        """Whether a leader is to be greeted, now that Syncthing takes a connection from it."""
        with self._lock:
            return any(not each.is_over for each in self._known.values())

    @property
    def wait(self) -> float | None:
        """Seconds until we must dial a leader that did not dial; None if there is none."""
        with self._lock:
            now = self._monotonic()
            left = [each.until - now for each in self._known.values()]
        return soonest(*(seconds + 0.1 for seconds in left if seconds > 0))

    def run(self) -> None:
        """Greet every leader that was not greeted yet; the cycle goes on from there."""
        with self._lock:
            due = [each for each in self._known.values() if not each.is_over]
        for each in due:
            is_told, now = self._is_told(each), self._monotonic()
            until = now + _DIALS_WITHIN_S if is_told and each.until > now else now
            with self._lock:
                if each.device.id in self._known:  # it may have ended meanwhile
                    self._known[each.device.id] = replace(each, until=until, is_over=True)
        if due:
            self._cycle()

    def _is_told(self, greeting: _Greeting) -> bool:
        """Greet one leader, at its first address that answers; whether it will dial me."""
        device = greeting.device
        for address in _to_greet(device):
            try:
                return self._greet(address, device.id, greeting.name)
            except SyncthingError as error:
                log.debug("%s; our Syncthing dials it", error)
        return False


def _to_greet(device: Device) -> list[str]:
    """The addresses at which a device can be greeted."""
    return [address for address in device.addresses if can_greet(address)]
