"""Tells in events how many items of each channel can be read for the first time.

My own outboxes are read as the inboxes are, so what arrives from one is what was packaged.
"""

from karma_sync.domain.events import EventType, Topic
from karma_sync.domain.mesh.channels import Channel
from karma_sync.runtime.event_log import EventLog
from karma_sync.store.library import Arrival


class ItemNews:
    """Counts the items of the channels of `me` (key in hex) and of others; used by one thread."""

    def __init__(self, me: str, event_log: EventLog) -> None:
        self._me = me
        self._event_log = event_log
        self._counts: dict[str, tuple[Channel, int]] = {}

    def add(self, channel: Channel, before: Arrival | None, arrival: Arrival) -> None:
        """Count an item of which this is the state now, if it can be read and could not before."""
        if arrival.state == "imported" and (before is None or before.state != "imported"):
            _, count = self._counts.get(channel.id, (channel, 0))
            self._counts[channel.id] = channel, count + 1

    def record(self) -> None:
        """Record one event for each channel, for all items that were counted since the last."""
        counts, self._counts = self._counts, {}
        for channel, count in counts.values():
            is_mine = channel.owner.key == self._me
            kind = EventType.SESSION_PACKAGED if is_mine else EventType.SESSION_RECEIVED
            about = Topic(channel.team.name, channel.project, channel.owner.tag)
            self._event_log.record_items(kind, count, about)
