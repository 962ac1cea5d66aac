"""Everything at once: pause and resume, and another name."""

from datetime import datetime

from karma_sync.domain.timespan import parse_duration
from karma_sync.errors import BadInput, Conflict
from karma_sync.store import state
from karma_sync.store.database import Database


def pause_all(store: Database, now: datetime, how_long: str | None) -> datetime | None:
    """Let nothing leave and nothing arrive, for so long or until resumed; the end (UTC), if any.

    Raises:
        BadInput: that is no time span, or none at all.
    """
    span = parse_duration(how_long) if how_long is not None else None
    if span is not None and not span:
        raise BadInput(f"{how_long!r} is over at once", hint="for instance 30m, 2h, 3d")
    until = now + span if span else None
    with store.transaction() as tx:
        state.halts.put(tx, state.GlobalPause(until=until))
    return until


def resume_all(store: Database, now: datetime) -> None:
    """Go on.

    Raises:
        Conflict: nothing was paused.
    """
    with store.transaction() as tx:
        if not any(halt.holds(now) for halt in state.halts.all(tx)):
            raise Conflict("nothing is paused as a whole", hint="karma-sync subscription list")
        # the row stays: that there is none must mean that the database was lost
        state.halts.put(tx, state.GlobalPause(until=now))
