"""Recognises sessions that go on from another member's session, whatever their own ids are.

`session fork` records the forks that it makes. The agent makes others: `--fork-session` gives the
copied history a new id, and no record shows where it is from. But the records keep their own ids.
"""

from collections.abc import Callable, Sequence

from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.fork import HEAD_RECORDS, SessionFork
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.store import ledger, library, record_ids, state
from karma_sync.store.database import Database
from karma_sync.store.library import Origin


class ForkFinder:
    """Finds forks among the sessions on this machine, and records them in state.db.

    `work` and `items` return work.db and library.db; `me` is my tag.
    """

    def __init__(
        self,
        states: Database,
        work: Callable[[], Database],
        items: Callable[[], Database],
        me: str,
    ) -> None:
        self._states = states
        self._work = work
        self._items = items
        self._me = me

    def learn(self, session: SourceSession, facts: Facts) -> None:
        """Record a session that is a fork, with what a later fork of it begins with."""
        with self._states.reading() as tx:
            known = {fork.session: fork for fork in state.forks.all(tx)}
        before = known.get(session.session_id)
        found = before or self._of_fork(session, facts, list(known.values()))
        found = found or self._of_item(session, facts)
        if found is None:
            return
        now = found.with_records(facts.heads)
        if now != before:
            with self._states.transaction() as tx:
                state.forks.put(tx, now)

    def _of_fork(
        self, session: SourceSession, facts: Facts, known: Sequence[SessionFork]
    ) -> SessionFork | None:
        """The fork that the agent made of a known fork of another member's session."""
        begins = set(facts.heads[:HEAD_RECORDS])
        others = (fork for fork in known if fork.author != self._me)
        parent = next((fork for fork in others if begins.intersection(fork.records)), None)
        return parent and parent.of_session(session.session_id, facts.heads)

    def _of_item(self, session: SourceSession, facts: Facts) -> SessionFork | None:
        """The fork of an item of another member, unless the records are my own."""
        if not facts.heads:
            return None
        with self._items().reading() as tx:
            places = record_ids.places(tx, facts.heads[:HEAD_RECORDS])
            found = [each for place in places if (each := library.origin(tx, *place))]
        if not found or any(each.member == self._me for each in found):
            return None  # another member may have gone on from a session of mine
        with self._work().reading() as tx:
            left = any(row.session == session.session_id for row in ledger.departed.all(tx))
        return None if left else _fork_of(found[0], session.session_id, facts.heads)


def _fork_of(parent: Origin, session: str, records: Sequence[str]) -> SessionFork:
    return SessionFork(
        session=session,
        author=parent.member,
        parent=parent.session,
        team=parent.team,
        project=parent.project,
        item=parent.item,
        records=tuple(records),
    )
