"""Records changes of teams, members, projects, answers and pauses as events, each once.

A change can come from a command, from a document of another member, or from the time (a pause
ends). So this module does not wait for calls that name a change: it compares the state with the
state that was recorded last.
"""

from collections.abc import Callable
from datetime import datetime

from karma_sync.domain.events import Event, EventType, Topic
from karma_sync.domain.team.changes import Known, facts, moment, news
from karma_sync.store import events, state
from karma_sync.store.database import Database


class ChangeLog:
    """Compares state.db with what was recorded last; call `run` after each change of state.db."""

    def __init__(
        self, store: Database, work: Database, me: str, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._work = work
        self._me = me
        self._now = now

    def run(self) -> None:
        """Record every change since the last run, in whichever process that was."""
        with self._work.reading() as tx:
            if events.reported_facts(tx) == facts(self._known()):
                return
        with self._work.transaction() as tx:
            current = facts(self._known())  # again: another process may have recorded it meanwhile
            for fact in news(events.reported_facts(tx), current):
                about = Topic(fact.team, fact.project, fact.actor)
                kind = EventType(fact.what)
                events.add(tx, Event(0, self._now(), kind, fact.who, fact.why, about=about))
            events.put_reported_facts(tx, current)

    def _known(self) -> Known:
        with self._store.reading() as tx:
            pauses = [pause for pause in state.halts.all(tx) if pause.is_active(self._now())]
            until = [moment(pause.until) if pause.until else "" for pause in pauses]
            return Known(
                me=self._me,
                teams=tuple(state.teams.all(tx)),
                answers=tuple(state.answers(tx)),
                pairings=tuple(state.pairings.all(tx)),
                contacts=tuple(state.contacts.all(tx)),
                invitations=tuple(state.invitations.all(tx)),
                former=tuple((f.team, f.name, f.how) for f in state.formers.all(tx)),
                muted=tuple((m.key, m.tag) for m in state.mutes.all(tx)),
                unshared=tuple(state.unshared.all(tx)),
                paused_until=until[0] if until else None,
            )
