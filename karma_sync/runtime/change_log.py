"""Tells every change of standing once, whoever made it: a command, a peer's document, time."""

from collections.abc import Callable
from datetime import datetime

from karma_sync.domain.team.changes import Known, facts, moment, news
from karma_sync.store import events, state
from karma_sync.store.database import Database


class ChangeLog:
    """Compares what stands with what was told last; `run` after each change of state.db."""

    def __init__(
        self, store: Database, work: Database, me: str, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._work = work
        self._me = me
        self._now = now

    def run(self) -> None:
        """Tell what is new. Of several processes that see the same news, one tells it."""
        with self._work.reading() as tx:
            if events.told(tx) == facts(self._known()):
                return
        with self._work.transaction() as tx:
            stands = facts(self._known())  # again: another process may have told it meanwhile
            for fact in news(events.told(tx), stands):
                event = events.Event(0, self._now(), fact.what, fact.who, fact.why)
                events.add(tx, event)
            events.put_told(tx, stands)

    def _known(self) -> Known:
        with self._store.reading() as tx:
            halts = [halt for halt in state.halts.all(tx) if halt.holds(self._now())]
            until = [moment(halt.until) if halt.until else "" for halt in halts]
            return Known(
                me=self._me,
                teams=tuple(state.teams.all(tx)),
                answers=tuple(state.subscriptions.all(tx)),
                pairings=tuple(state.pairings.all(tx)),
                contacts=tuple(state.contacts.all(tx)),
                invitations=tuple(state.invitations.all(tx)),
                paused_until=until[0] if until else None,
            )
