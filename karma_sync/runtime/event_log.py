"""Records as events what the daemon noticed: refusals, faults, and the end of faults.

A repetition is not recorded again. `change_log.py` records changes of teams and answers; both
write through `store/events.py`.
"""

import threading
from collections.abc import Callable
from datetime import datetime

from karma_sync.domain.events import Event, EventType, Topic
from karma_sync.errors import KarmaError, SyncthingUnreachable, Unverified
from karma_sync.store import events, work
from karma_sync.store.database import Database

SYNCTHING = "Syncthing"  # stands in place of a folder in a fault of Syncthing as a whole

SILENT = "it does not answer"
NOTHING = Topic()


class Outage:
    """One outage of Syncthing: each reason for it is recorded once, and its end once.

    The main thread sees that the process ended; every other thread only sees that nothing answers.
    All of them report here. An outage lasts from the first report until Syncthing was started
    again, or until it answers a thread that it had not answered.

    The methods that return True leave it to the caller to record the reason, and then to call
    `mark_recorded`. If recording fails, as on a full disk, the reason is returned as new again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: set[str] = set()
        self._ended = False
        self._silent: set[str] = set()

    def mark_recorded(self, why: str) -> None:
        """A reason was recorded: it is not new again in this outage."""
        with self._lock:
            self._recorded.add(why)

    def process_ended(self, why: str) -> bool:
        """The process ended, or does not start. Returns whether `why` is new."""
        with self._lock:
            self._ended = True
            return why not in self._recorded

    def process_started(self) -> bool:
        """The process was started again. Returns whether a recorded outage ended with that."""
        with self._lock:
            self._ended = False
            return self._end()

    def no_answer(self, thread: str) -> bool:
        """Syncthing did not answer this thread. Returns whether that is new.

        It is new when the same thread tried twice and no better reason is known. If the process
        ended, the main thread reports that in the meantime.
        """
        with self._lock:
            tried_before = thread in self._silent
            self._silent.add(thread)
            return tried_before and not self._ended and not self._recorded

    def answer(self, thread: str) -> bool:
        """Syncthing answered this thread. Returns whether a recorded outage ended with that.

        One thread that it had not answered is enough: another may wait long for its next event.
        """
        with self._lock:
            return thread in self._silent and self._end()

    def _end(self) -> bool:
        if self._ended:
            return False
        self._silent.clear()
        was_recorded = bool(self._recorded)
        self._recorded.clear()
        return was_recorded


class EventLog:
    """Writes events into work.db; several threads may use it.

    An event has a subject (a member, a folder, a session or a thread) and a payload, the reason in
    words; `about` adds the team, the project and who did it.
    """

    def __init__(self, store: Database, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._outage = Outage()
        self.failing: set[str] = set()  # threads that fail now, and SYNCTHING during an outage

    def record(self, kind: str, subject: str, payload: str, about: Topic = NOTHING) -> None:
        """Record an event; the same one again only after another kind of event about `subject`.

        `kind` is the value of an `EventType`.
        """
        self._add(Event(0, self._now(), EventType(kind), subject, payload, about=about))

    def record_items(self, kind: EventType, count: int, about: Topic) -> None:
        """Record that some items of a member left or arrived for the first time, each time."""
        what = f"{count} new item{'s' if count > 1 else ''} of {about.project} in {about.team}"
        with self._store.transaction() as tx:
            events.add(tx, Event(0, self._now(), kind, about.actor, what, about=about))

    def record_fault(self, kind: str, subject: str, payload: str, about: Topic = NOTHING) -> None:
        """Record a refusal or a fault, with the same rule for repetitions."""
        at, known = self._now(), EventType(kind)
        self._add(Event(0, at, known, subject, payload, bad=True, about=about))

    def record_end(self, subject: str, payload: str) -> None:
        """Record that the fault of `subject` is over."""
        self.record(EventType.FAULT_OVER, subject, payload)

    def record_worker(self, name: str, error: Exception | None) -> None:
        """Record that a thread of the daemon failed, or with None that it works again.

        Until it works again, `status` shows the fault. If Syncthing does not answer, all threads
        report the same, and the outage is recorded once.
        """
        if isinstance(error, SyncthingUnreachable):
            if self._outage.no_answer(name):
                self._begin_outage(SILENT)
            return
        if self._outage.answer(name):
            self._end_fault(SYNCTHING, "it answers again")
        if error:
            self._begin_fault(name, _one_line(error))
        elif name in self.failing:
            self._end_fault(name)

    def record_state(self, name: str, why: str) -> None:
        """Record that a part of the daemon does not do its work, or with "" that it does again.

        Until then `status` shows the fault.
        """
        if why:
            self._begin_fault(name, why)
        elif name in self.failing:
            self._end_fault(name)

    def syncthing_ended(self, why: str) -> None:
        """Record that Syncthing ended or does not start: a fault until it runs again."""
        if self._outage.process_ended(why):
            self._begin_outage(why)

    def syncthing_started(self) -> None:
        """Record that Syncthing was started again."""
        if self._outage.process_started():
            self._end_fault(SYNCTHING, "it runs again")

    def _begin_outage(self, why: str) -> None:
        self._begin_fault(SYNCTHING, why)
        self._outage.mark_recorded(why)

    def _begin_fault(self, name: str, why: str) -> None:
        self.failing.add(name)
        self.record_fault("fault", name, why)
        with self._store.transaction() as tx:
            work.faults.put(tx, work.Fault(folder=name, why=why))

    def _end_fault(self, name: str, why: str = "it works again") -> None:
        self.record_end(name, why)
        with self._store.transaction() as tx:
            work.faults.drop(tx, folder=name)
        self.failing.discard(name)

    def _add(self, event: Event) -> None:
        with self._store.transaction() as tx:
            events.add_once(tx, event)


def _one_line(error: Exception) -> str:
    """Kind and message of an error; only the kind where the message may quote a transcript."""
    is_fit = isinstance(error, KarmaError | OSError)
    return f"{type(error).__name__}: {error}" if is_fit else type(error).__name__


def reason(error: Unverified) -> str:
    """A refusal in one line: its code, then its message."""
    return f"{error.code}: {error}"
