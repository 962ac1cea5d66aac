"""What the daemon noticed, for people: refusals, faults and what else happened, once.

Changes of standing are told by `journal.py`; both write through `store/events.py`.
"""

from collections.abc import Callable
from datetime import datetime

from karma_sync.errors import KarmaError, SyncthingUnreachable, Unverified
from karma_sync.store import events, work
from karma_sync.store.database import Database


class Notes:
    """Writes events into work.db."""

    def __init__(self, store: Database, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._silent: set[str] = set()
        self.failing: set[str] = set()  # parts of the daemon that do not work now

    def note(self, what: str, who: str, why: str) -> None:
        """Note that `what` happened to `who`, and `why`; a repetition is not noted again."""
        self._add(events.Event(0, self._now(), what, who, why))

    def fault(self, what: str, who: str, why: str) -> None:
        """Note a refusal or a fault, the same way."""
        self._add(events.Event(0, self._now(), what, who, why, bad=True))

    def worker(self, name: str, error: Exception | None) -> None:
        """Note that a part of the daemon failed, or with None that it works again.

        Until then it is a fault, and `status` says so. If only Syncthing does not answer, all
        parts say the same, and it is noted once.
        """
        if isinstance(error, SyncthingUnreachable):
            self._silent.add(name)
            self.fault("fault", "Syncthing", "it does not answer")
        elif error:
            self._lasts(name, _said_by(error))
        elif name in self._silent:
            self._silent.discard(name)
            self.note("fault over", "Syncthing", "it answers again")
        if error is None and name in self.failing:
            self._over(name)

    def _lasts(self, name: str, why: str) -> None:
        self.failing.add(name)
        self.fault("fault", name, why)
        with self._store.transaction() as tx:
            work.faults.put(tx, work.Fault(folder=name, why=why))

    def _over(self, name: str) -> None:
        self.note("fault over", name, "it works again")
        with self._store.transaction() as tx:
            work.faults.drop(tx, folder=name)
        self.failing.discard(name)

    def _add(self, event: events.Event) -> None:
        with self._store.transaction() as tx:
            events.add(tx, event)


def _said_by(error: Exception) -> str:
    """An error in one line; of others' errors only the kind, as they may quote a transcript."""
    fit = isinstance(error, KarmaError | OSError)
    return f"{type(error).__name__}: {error}" if fit else type(error).__name__


def reason(error: Unverified) -> str:
    """A refusal in one line, its code first."""
    return f"{error.code}: {error}"
