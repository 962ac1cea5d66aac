"""Everything at once: pause and resume, and another name."""

import re
from datetime import datetime, timedelta

from karma_sync.errors import BadInput, Conflict
from karma_sync.store import state
from karma_sync.store.database import Database

_DURATION = re.compile(r"(\d{1,4})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def pause_all(store: Database, until: datetime | None) -> None:
    """Let nothing leave and nothing arrive, until a moment (UTC) or until resumed."""
    with store.transaction() as tx:
        state.halts.put(tx, state.Halt(until=until))


def resume_all(store: Database, now: datetime) -> None:
    """Go on.

    Raises:
        Conflict: nothing was paused.
    """
    with store.transaction() as tx:
        if not any(halt.holds(now) for halt in state.halts.all(tx)):
            raise Conflict("nothing is paused as a whole", hint="karma-sync subscription list")
        # the row stays: that there is none must mean that the database was lost
        state.halts.put(tx, state.Halt(until=now))


def paused_until(store: Database, now: datetime) -> state.Halt | None:
    """The pause that holds at `now`; None if none does."""
    with store.reading() as tx:
        return next((halt for halt in state.halts.all(tx) if halt.holds(now)), None)


def parse_duration(text: str) -> timedelta:
    """A time span as people type it: 45s, 30m, 2h, 3d.

    Raises:
        BadInput: it is none.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadInput(f"{text!r} is no time span", hint="for instance 30m, 2h, 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def require_no_team(store: Database) -> None:
    """Raises Conflict if I am in a team: its members know me by my tag."""
    with store.reading() as tx:
        teams = state.teams.all(tx)
    if teams:
        names = ", ".join(team.name for team in teams)
        raise Conflict(
            f"you are in {names}, where you are known by your name already",
            hint="karma-sync init --user NAME --machine NAME, with another KARMA_SYNC_HOME",
        )
