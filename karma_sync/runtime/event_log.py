"""What the daemon noticed, for people: refusals, faults and what else happened, once.

Changes of standing are told by `journal.py`; both write through `store/events.py`.
"""

import threading
from collections.abc import Callable
from datetime import datetime

from karma_sync.errors import KarmaError, SyncthingUnreachable, Unverified
from karma_sync.store import events, work
from karma_sync.store.database import Database

SYNCTHING = "Syncthing"  # the place of a fault that is no folder's

SILENT = "it does not answer"


class Outage:
    """From the first trouble until Syncthing was started again, or answers a part that it did not.

    May be used by several threads. What is news is to be told, and then to be put into `told`: it
    is news again if that failed, as on a full disk.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._ended = False
        self._silent: set[str] = set()

    def told(self, why: str) -> None:
        """A reason was told: it is not news again in this outage."""
        with self._lock:
            self._told.add(why)

    def ended(self, why: str) -> bool:
        """Its process ended, or does not start; whether `why` is news."""
        with self._lock:
            self._ended = True
            return why not in self._told

    def runs(self) -> bool:
        """It was started again; whether the outage is over."""
        with self._lock:
            self._ended = False
            return self._over()

    def silent(self, part: str) -> bool:
        """It did not answer this part of the daemon; whether that is news.

        It is once the same part has tried it twice and nothing better is known: if the process
        ended, the main thread says so in the meantime.
        """
        with self._lock:
            again = part in self._silent
            self._silent.add(part)
            return again and not self._ended and not self._told

    def answered(self, part: str) -> bool:
        """It answered this part; whether the outage is over.

        One that it had not answered is enough: others may wait for events that are long in coming.
        """
        with self._lock:
            return part in self._silent and self._over()

    def _over(self) -> bool:
        if self._ended:
            return False
        self._silent.clear()
        was_told = bool(self._told)
        self._told.clear()
        return was_told


class EventLog:
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
