"""Reads the events that a person sees in `status`: every change, refusal and fault."""

from collections.abc import Iterable

from karma_sync.domain.events import ALL_EVENTS, Event, EventFilter, EventType
from karma_sync.errors import BadInput
from karma_sync.store import events
from karma_sync.store.database import Database

__all__ = ["Event", "EventFilter", "events_after", "types_named"]


def events_after(work: Database, last_id: int, wanted: EventFilter = ALL_EVENTS) -> list[Event]:
    """The wanted events newer than `last_id`, oldest first; 0 returns all that are kept."""
    with work.reading() as tx:
        return events.after(tx, last_id, wanted)


def types_named(names: Iterable[str]) -> tuple[EventType, ...]:
    """The types of events with these words, or of these groups, such as `team` or `session`.

    Raises:
        BadInput: a name is neither a word nor a group.
    """
    found: list[EventType] = []
    for name in names:
        wanted = name.strip().lower().replace("-", " ")
        group = [each for each in EventType if each.name.lower().split("_")[0] == wanted]
        fitting = [each for each in EventType if each.value == wanted] or group
        if not fitting:
            words = ", ".join(sorted({e.name.lower().split("_")[0] for e in EventType}))
            raise BadInput(f"{name!r} is no type of events", hint=f"--type {words}")
        found += fitting
    return tuple(dict.fromkeys(found))
