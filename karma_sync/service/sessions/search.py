"""Use case of `search` and `session list`: what a searcher needs to know of my teams."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import cache

from karma_sync.agents.extractors import EXTRACTORS
from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.access import AccessScope
from karma_sync.errors import NotFound
from karma_sync.library.reader import Library, Readable
from karma_sync.library.search import Searcher
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.store import state
from karma_sync.store.database import Database


def searcher(
    states: Database,
    library: Library,
    now: datetime,
    sources: Callable[[], Collection[str] | None],
    running: Callable[[], Collection[str]],
) -> Searcher:
    """Searches my library at `now` (UTC); `sources` and `running` are as in `Searcher`."""
    teams = _team_ids(states)
    return Searcher(library, EXTRACTORS, teams, now, cache(sources), cache(running))


def locate(
    sessions: ReadableSessions, scope: AccessScope, readable: Readable, message: str
) -> tuple[str, int]:
    """The file of a session that has a message, and at which byte its line begins.

    `message` is the beginning of the message's id, as a search prints it.

    Raises:
        NotFound: no message has such an id.
    """
    manifest = readable.manifest
    extractor = EXTRACTORS.get(manifest.session.agent)
    for file in manifest.files if extractor else ():
        if extractor is None or not extractor.reads(file.path):
            continue
        at = 0
        for block in whole_lines(sessions.content(scope, readable, file.path)):
            if message.encode() in block:
                for line in block.splitlines(keepends=True):
                    reading = extractor.read(line)
                    if reading and reading.message.startswith(message):
                        return file.path, at
                    at += len(line)
            else:
                at += len(block)
    session = manifest.session.session_id
    raise NotFound(
        f"session {session} has no message {message!r}", hint=f"karma-sync session show {session}"
    )


def _team_ids(states: Database) -> Mapping[str, tuple[str, ...]]:
    with states.reading() as tx:
        teams = state.teams.all(tx)
    return {name: tuple(t.id for t in teams if t.name == name) for name in {t.name for t in teams}}
