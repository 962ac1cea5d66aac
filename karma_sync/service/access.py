"""Use case of every reading command: what the person on this machine may read."""

from karma_sync.domain.access import AccessScope
from karma_sync.domain.team.rights import rights_of
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction


def scope_of(states: Database, tag: str) -> AccessScope:
    """The access of the member with this tag, by the teams and answers in state.db."""
    with states.reading() as tx:
        return stored_scope(tx, tag)


def stored_scope(tx: Transaction, tag: str) -> AccessScope:
    """The same, within a transaction on state.db."""
    left = [(f.team, project) for f in state.formers.all(tx) for project in f.projects]
    return rights_of(tag, state.teams.all(tx), state.answers(tx), left)
