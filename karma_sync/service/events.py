"""Reads the events that a person sees in `status`: every change, refusal and fault."""

from collections.abc import Iterable

from karma_sync.domain.events import ALL_EVENTS, Event, EventFilter, EventType
from karma_sync.errors import BadInput
from karma_sync.store import events
from karma_sync.store.database import Database


def events_after(work: Database, last_id: int, wanted: EventFilter = ALL_EVENTS) -> list[Event]:
    """The wanted events newer than `last_id`, oldest first; 0 returns all that are kept."""
    with work.reading() as tx:
        return events.after(tx, last_id, wanted)


def types_named(names: Iterable[str]) -> tuple[EventType, ...]:
    """The types of events with these words, or of these groups, such as `team` or `session`.

    The group of a type is the first part of its name; `fault` is a word and a group.

    Raises:
        BadInput: a name is neither a word nor a group.
    """
    found: list[EventType] = []
    for name in names:
        wanted = name.strip().lower().replace("-", " ")
        fitting = [each for each in EventType if wanted in {each.value, _group(each)}]
        if not fitting:
            words = ", ".join(sorted({_group(each) for each in EventType}))
            raise BadInput(f"{name!r} is no type of events", hint=f"--type {words}")
        found += fitting
    return tuple(dict.fromkeys(found))


def _group(kind: EventType) -> str:
    return kind.name.lower().partition("_")[0]
