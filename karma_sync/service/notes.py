"""What the daemon noticed, for people: refusals, faults and what else happened, once.

Changes of standing are told by `journal.py`; both write through `store/events.py`.
"""

from collections.abc import Callable
from datetime import datetime

from karma_sync.errors import KarmaError, SyncthingUnreachable, Unverified
from karma_sync.service.outage import SILENT, SYNCTHING, Outage
from karma_sync.store import events, work
from karma_sync.store.database import Database


class Notes:
    """Writes events into work.db."""

    def __init__(self, store: Database, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._outage = Outage()
        self.failing: set[str] = set()  # parts of the daemon, and Syncthing, that do not work now

    def note(self, what: str, who: str, why: str) -> None:
        """Note that `what` happened to `who`, and `why`; a repetition is not noted again."""
        self._add(events.Event(0, self._now(), what, who, why))

    def fault(self, what: str, who: str, why: str) -> None:
        """Note a refusal or a fault, the same way."""
        self._add(events.Event(0, self._now(), what, who, why, bad=True))

    def over(self, who: str, why: str) -> None:
        """Note that what was wrong with `who` is not any more."""
        self.note(events.OVER, who, why)

    def worker(self, name: str, error: Exception | None) -> None:
        """Note that a part of the daemon failed, or with None that it works again.

        Until then it is a fault, and `status` says so. If only Syncthing does not answer, all
        parts say the same, and it is noted once.
        """
        if isinstance(error, SyncthingUnreachable):
            if self._outage.silent(name):
                self._is_out(SILENT)
            return
        if self._outage.answered(name):
            self._over(SYNCTHING, "it answers again")
        if error:
            self._lasts(name, _said_by(error))
        elif name in self.failing:
            self._over(name)

    def syncthing_ended(self, why: str) -> None:
        """Note that Syncthing ended, or does not start: a fault until it runs again."""
        if self._outage.ended(why):
            self._is_out(why)

    def syncthing_runs(self) -> None:
        """Note that Syncthing was started again."""
        if self._outage.runs():
            self._over(SYNCTHING, "it runs again")

    def _is_out(self, why: str) -> None:
        self._lasts(SYNCTHING, why)
        self._outage.told(why)

    def _lasts(self, name: str, why: str) -> None:
        self.failing.add(name)
        self.fault("fault", name, why)
        with self._store.transaction() as tx:
            work.faults.put(tx, work.Fault(folder=name, why=why))

    def _over(self, name: str, why: str = "it works again") -> None:
        self.over(name, why)
        with self._store.transaction() as tx:
            work.faults.drop(tx, folder=name)
        self.failing.discard(name)

    def _add(self, event: events.Event) -> None:
        with self._store.transaction() as tx:
            events.add_once(tx, event)


def _said_by(error: Exception) -> str:
    """An error in one line; of others' errors only the kind, as they may quote a transcript."""
    fit = isinstance(error, KarmaError | OSError)
    return f"{type(error).__name__}: {error}" if fit else type(error).__name__


def reason(error: Unverified) -> str:
    """A refusal in one line, its code first."""
    return f"{error.code}: {error}"
