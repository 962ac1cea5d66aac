"""Use cases of `pause` and `resume` for everything at once."""

from datetime import datetime

from karma_sync.domain.timespan import parse_duration
from karma_sync.errors import BadInput, Conflict
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction


def pause_all(store: Database, now: datetime, how_long: str | None) -> datetime | None:
    """Stop all sending and receiving for a time span such as "2h"; None means until resumed.

    Returns the end of the pause (UTC), or None.

    Raises:
        BadInput: `how_long` is not a time span, or is zero.
        Conflict: karma-sync paused everything because the limits were lost: only `resume`, which
            asks, may end that.
    """
    span = parse_duration(how_long) if how_long is not None else None
    if span is not None and not span:
        raise BadInput(f"{how_long!r} is over at once", hint="for instance 30m, 2h, 3d")
    until = now + span if span else None
    with store.transaction() as tx:
        why = _why_lost(tx, now)
        if why:
            raise Conflict(f"everything is paused already, {why}", hint="karma-sync resume")
        state.halts.put(tx, state.GlobalPause(until=until))
    return until


def why_lost(store: Database, now: datetime) -> str:
    """The reason why karma-sync paused everything by itself; "" if it did not."""
    with store.reading() as tx:
        return _why_lost(tx, now)


def _why_lost(tx: Transaction, now: datetime) -> str:
    return next((halt.why for halt in state.halts.all(tx) if halt.is_active(now)), "")


def resume_all(store: Database, now: datetime) -> None:
    """End the pause of everything.

    Raises:
        Conflict: everything is not paused.
    """
    with store.transaction() as tx:
        if not any(halt.is_active(now) for halt in state.halts.all(tx)):
            raise Conflict(
                "no pause of everything is in effect", hint="karma-sync subscription list"
            )
        # the row stays: a missing row must mean that the database was lost
        state.halts.put(tx, state.GlobalPause(until=now))
