"""The events of one Syncthing: each set of types is a list of its own, with ids of its own."""

from collections import deque
from collections.abc import Collection
from itertools import takewhile
from typing import Any

KEPT = 1000  # events of each list

Json = dict[str, Any]  # what Syncthing would send


class Events:
    """Collects events for those sets of types that somebody asked for."""

    def __init__(self) -> None:
        self._lists: dict[frozenset[str], deque[Json]] = {}
        self._newest: dict[frozenset[str], int] = {}

    def tell(self, kind: str, data: Json, moment: str) -> None:
        """Something happened."""
        for types, events in self._lists.items():
            if kind in types:
                self._newest[types] += 1
                event = {"id": self._newest[types], "time": moment, "type": kind, "data": data}
                events.append(event)

    def begin(self, types: Collection[str]) -> bool:
        """Collect for this set from now on; whether it is new."""
        wanted = frozenset(types)
        if wanted in self._lists:
            return False
        self._lists[wanted] = deque(maxlen=KEPT)
        self._newest[wanted] = 0
        return True

    def since(self, since: int, types: Collection[str]) -> list[Json]:
        """The events of this set with a higher id."""
        newest_first = reversed(self._lists[frozenset(types)])
        return list(takewhile(lambda event: event["id"] > since, newest_first))[::-1]
