"""Deletes what others took back, and what is not to be here after a parting or a purge."""

from karma_sync.domain.events import Topic
from karma_sync.domain.mesh.channels import (
    Kept,
    TakenBack,
    World,
    kept_channels,
    purged,
    taken_back,
)
from karma_sync.receiving.importer import Importer
from karma_sync.runtime.event_log import EventLog


class Forgetting:
    """Compares the library with what may stay; `me` is my tag. Used by one thread."""

    def __init__(self, importer: Importer, event_log: EventLog, me: str) -> None:
        self._importer = importer
        self._event_log = event_log
        self._me = me
        self._kept: frozenset[Kept] = frozenset()
        self._taken_back: frozenset[TakenBack] = frozenset()
        self._purged: frozenset[tuple[str, str]] = frozenset()

    def run(self, world: World) -> None:
        """Delete what this world no longer keeps, and the last one did or was not asked about."""
        kept, gone, places = kept_channels(world), taken_back(world), purged(world)
        for channels in kept - self._kept:
            self._record(channels, self._importer.forget_all_but(channels))
        for items in gone - self._taken_back:
            self._record(items, self._importer.forget_taken_back(items))
        for team, project in places - self._purged:
            if count := self._importer.forget_received(team, project, self._me):
                why = f"{_sessions(count)} of {project or 'a former team'}"
                self._event_log.record("purged", self._me, why)
        self._kept, self._taken_back, self._purged = kept, gone, places

    def _record(self, each: Kept | TakenBack, count: int) -> None:
        if count:
            why = f"{_sessions(count)} of {each.project}"
            about = Topic(project=each.project, actor=each.member)
            self._event_log.record("withdrawn", each.member, why, about)


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
