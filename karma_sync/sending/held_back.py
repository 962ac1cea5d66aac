"""Which sessions do not leave, and why: written down for people, each change once."""

from collections.abc import Set

from karma_sync.domain.session.profile import Profile, takes
from karma_sync.domain.session.selection import Decision, Outcome
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.event_log import EventLog
from karma_sync.sending.packaging.file_selection import why_left_out
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.store.work import Stays


class HeldBack:
    """Sessions that stay, by channel; what is written down already is not written again."""

    def __init__(self, store: Database, notes: EventLog) -> None:
        self._store = store
        self._notes = notes
        self._known: dict[tuple[str, str], str] = {}

    def load(self, folder: str) -> None:
        """Take what was written down of a channel into memory."""
        with self._store.reading() as tx:
            for row in work.withheld.all(tx, folder=folder):
                self._known[row.folder, row.session] = row.why

    def decided(self, folder: str, session: str, decision: Decision) -> None:
        """Write down what was decided about a session, if a person would wonder."""
        if decision.why:
            waits = decision.outcome is Outcome.WAITING
            self.note(folder, session, Stays.WAITING if waits else Stays.WITHHELD, decision.why)
        elif self._known.pop((folder, session), ""):
            with self._store.transaction() as tx:
                work.withheld.drop(tx, folder=folder, session=session)

    def note(self, folder: str, session: str, kind: Stays, why: str) -> None:
        """A session stays, and why."""
        if self._known.get((folder, session)) == why:
            return
        with self._store.transaction() as tx:
            row = work.Withheld(folder=folder, session=session, kind=kind, why=why)
            work.withheld.put(tx, row)
        self._known[folder, session] = why
        if kind is Stays.FAILED:
            self._notes.record_fault("did not leave", session, why)
        elif kind is Stays.WITHHELD:
            self._notes.record("withheld", session, why)

    def left_out(self, session: SourceSession, profile: Profile, redactor: Redactor) -> None:
        """Write down which files stay, though the profile takes them and their session leaves."""
        for file in session.files:
            reason = why_left_out(file, redactor)
            if reason and takes(profile, file.kind):
                name = redactor.string(file.name)[0]
                self._notes.record("left out", session.session_id, f"{name!r}: {reason}")

    def forget_gone(self, here: Set[str]) -> None:
        """What did not leave, and is not among these sessions, never will."""
        with self._store.transaction() as tx:
            for row in work.withheld.all(tx):
                if row.kind is Stays.FAILED and row.session not in here:
                    work.withheld.drop(tx, folder=row.folder, session=row.session)
                    self._known.pop((row.folder, row.session), None)
