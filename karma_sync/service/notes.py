"""What the daemon noticed, for people: every change of standing, refusal and fault, once."""

from collections.abc import Callable
from datetime import datetime

from karma_sync.errors import Unverified
from karma_sync.store import work
from karma_sync.store.database import Database


class Notes:
    """Writes events into work.db."""

    def __init__(self, store: Database, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def note(self, what: str, who: str, why: str) -> None:
        """Note that `what` happened to `who`, and `why`; a repetition is not noted again."""
        with self._store.transaction() as tx:
            work.add_event(tx, work.Event(0, self._now(), what, who, why))


def reason(error: Unverified) -> str:
    """A refusal in one line, its code first."""
    return f"{error.code}: {error}"
