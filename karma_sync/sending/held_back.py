"""Records which sessions do not leave and why, for `status` and `events`; each change once."""

from collections.abc import Set

from karma_sync.agents.record_choice import WithheldRecords
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
    """The sessions that are held back, by channel; a reason that is recorded is not recorded again.

    The rows are in work.db; a copy in memory saves a read for each check of a session.
    """

    def __init__(self, store: Database, event_log: EventLog) -> None:
        self._store = store
        self._event_log = event_log
        self._known: dict[tuple[str, str], str] = {}
        self._unknown: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}

    def load(self, folder: str) -> None:
        """Read the recorded reasons of a channel into memory."""
        with self._store.reading() as tx:
            for row in work.withheld.all(tx, folder=folder):
                self._known[row.folder, row.session] = row.why
            for each in work.unknown_records.all(tx, folder=folder):
                self._unknown[each.folder, each.session] = each.types

    def record_ok(self, folder: str, name: str) -> None:
        """Delete the recorded reason, if there is one."""
        if self._known.pop((folder, name), ""):
            with self._store.transaction() as tx:
                work.withheld.drop(tx, folder=folder, session=name)

    def record_decision(self, folder: str, session: str, decision: Decision) -> None:
        """Record the decision about a session if it gives a reason; else delete the old reason."""
        if decision.why:
            waits = decision.outcome is Outcome.WAITING
            self.record(folder, session, Stays.WAITING if waits else Stays.WITHHELD, decision.why)
        else:
            self.record_ok(folder, session)

    def record(self, folder: str, session: str, kind: Stays, why: str) -> None:
        """Record why a session stays; an event too, unless it only waits."""
        if self._known.get((folder, session)) == why:
            return
        with self._store.transaction() as tx:
            row = work.Withheld(folder=folder, session=session, kind=kind, why=why)
            work.withheld.put(tx, row)
        self._known[folder, session] = why
        if kind is Stays.FAILED:
            self._event_log.record_fault("did not leave", session, why)
        elif kind is Stays.WITHHELD:
            self._event_log.record("withheld", session, why)

    def record_left_out(self, session: SourceSession, profile: Profile, redactor: Redactor) -> None:
        """Record the files that stay though the profile takes them and their session leaves."""
        for file in session.files:
            reason = why_left_out(file, redactor)
            if reason and takes(profile, file.kind):
                name = redactor.string(file.name)[0]
                self._event_log.record("left out", session.session_id, f"{name!r}: {reason}")

    def record_unknown(self, folder: str, session: str, found: WithheldRecords) -> None:
        """Record the records of a session that stay because their types are not known."""
        types = found.unknown_types
        before = self._unknown.get((folder, session), {})
        if types == before:
            return
        row = work.UnknownRecords(folder=folder, session=session, types=types)
        with self._store.transaction() as tx:
            if types:
                work.unknown_records.put(tx, row)
            else:
                work.unknown_records.drop(tx, folder=folder, session=session)
        self._unknown[folder, session] = types
        if types.keys() - before.keys():
            names = ", ".join(sorted(types))
            left_out = f"records of types that are not known: {names}"
            self._event_log.record("left out", session, left_out)

    def forget_gone(self, here: Set[str]) -> None:
        """Delete the failures of sessions that are not in `here`: they can never be sent."""
        with self._store.transaction() as tx:
            for row in work.withheld.all(tx):
                if row.kind is Stays.FAILED and row.session not in {*here, "observations"}:
                    work.withheld.drop(tx, folder=row.folder, session=row.session)
                    self._known.pop((row.folder, row.session), None)
