"""Use case of `search` and `session list`: what a searcher needs to know of my teams."""

from collections.abc import Mapping
from datetime import datetime

from karma_sync.agents.extractors import EXTRACTORS
from karma_sync.library.reader import Library
from karma_sync.library.search import Searcher
from karma_sync.store import state
from karma_sync.store.database import Database


def searcher(states: Database, library: Library, now: datetime) -> Searcher:
    """Searches my library at `now` (UTC)."""
    return Searcher(library, EXTRACTORS, _team_ids(states), now)


def _team_ids(states: Database) -> Mapping[str, tuple[str, ...]]:
    with states.reading() as tx:
        teams = state.teams.all(tx)
    return {name: tuple(t.id for t in teams if t.name == name) for name in {t.name for t in teams}}
