"""Reads the events that a person sees in `status`: every change, refusal and fault."""

from karma_sync.store import events
from karma_sync.store.database import Database
from karma_sync.store.events import Event

__all__ = ["Event", "events_after"]


def events_after(work: Database, last_id: int) -> list[Event]:
    """Events newer than `last_id`, oldest first; 0 returns all that are kept."""
    with work.reading() as tx:
        return events.after(tx, last_id)
