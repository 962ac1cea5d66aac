"""Decides when which session is archived; the archiving thread alone runs `ArchiveSchedule`.

Nothing is urgent here: the agent deletes a session a month after it was last written. So a session
that is being written is archived at most once a minute, and a pass over all begins with the oldest.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from karma_sync.agents.claude.clean_up import sweep_days
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.archive.archiver import Archiver
from karma_sync.archive.forgetting import Forgetter
from karma_sync.archive.indexing import ArchiveIndexer
from karma_sync.archive.pack import DamagedPack
from karma_sync.archive.upkeep import Upkeep
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.runtime.timing import soonest
from karma_sync.runtime.worker import Wake
from karma_sync.settings import ArchiveSettings, Keep

# A session that begins to be written is archived after this long, later at most this often.
QUIET_S = 10.0
BUSY_S = 60.0
_DAY_NS = 86_400 * 10**9
_HOUR_NS = 3_600 * 10**9


@dataclass(frozen=True)
class _Asked:
    everything: bool
    changed: Collection[Path]


class ArchiveRequests:
    """Collects requests for the archiving thread; safe to use from several threads.

    `gathered` maps a changed path to the one path that stands for it and its neighbours.
    """

    def __init__(self, wake: Wake, gathered: Callable[[Path], Path]) -> None:
        self._wake = wake
        self._gathered = gathered
        self._lock = threading.Lock()
        self._everything = True
        self._changed: set[Path] = set()

    def touch(self, path: Path) -> None:
        """The agent changed this file; the thread is woken once for many."""
        with self._lock:
            is_first = not self._changed
            self._changed.add(self._gathered(path))
        if is_first:
            self._wake.set()

    def request_pass(self) -> None:
        """Compare all sessions with the archive."""
        with self._lock:
            self._everything = True
        self._wake.set()

    def take(self) -> _Asked:
        """All requests since the last call."""
        with self._lock:
            asked = _Asked(self._everything, self._changed)
            self._everything, self._changed = False, set()
        return asked


@dataclass(frozen=True)
class ArchiveParts:
    """The parts that the schedule runs."""

    source: ClaudeSource
    archiver: Archiver
    forgetter: Forgetter
    upkeep: Upkeep
    indexer: ArchiveIndexer


@dataclass(frozen=True)
class ScheduleHooks:
    """The functions of other parts that the schedule calls.

    `shared` returns the ids of the sessions that were sent through open channels. `refresh` is
    called before each pass. After each pass `report` gets what could not be archived, and why, and
    `learn` may store the projects of the directories in which the sessions worked.
    """

    shared: Callable[[], Collection[str]]
    refresh: Callable[[], object] = lambda: None
    report: Callable[[Sequence[str]], None] = lambda errors: None
    learn: Callable[[], object] = lambda: None
    monotonic: Callable[[], float] = time.monotonic
    now_ns: Callable[[], int] = time.time_ns


class ArchiveSchedule:
    """Has sessions archived, some in each run, and the archive kept within its limits."""

    def __init__(
        self,
        requests: ArchiveRequests,
        policy: ArchiveSettings,
        parts: ArchiveParts,
        hooks: ScheduleHooks,
    ) -> None:
        self._requests = requests
        self._policy = policy
        self._parts = parts
        self._hooks = hooks
        self._queue: list[SourceSession] = []
        self._due: dict[Path, float] = {}  # when the sessions of a changed path are archived
        self._last: dict[Path, float] = {}  # when they were, within the last minute
        self._errors: set[str] = set()
        self._in_pass = False
        self._is_recovered = False

    def run(self) -> float | None:
        """Carry out the requests and one step of archiving.

        Returns the seconds until the next run, None if only a request needs one.

        Raises:
            OSError: the archive cannot be written.
            DatabaseUnusable: archive.db cannot be used.
        """
        asked = self._requests.take()
        if self._policy.keep is Keep.OFF:
            return None
        try:
            return self._carry_out(asked)
        except Exception:
            self._requests.request_pass()  # it finds the unarchived sessions again
            self._queue.clear()
            self._parts.archiver.close()
            raise

    def close(self) -> None:
        """End the work beside the thread."""
        self._parts.archiver.close()

    def _carry_out(self, asked: _Asked) -> float | None:
        if asked.everything:
            if not self._is_recovered:
                self._parts.upkeep.recover()
                self._is_recovered = True
            self._start_pass()
        now = self._hooks.monotonic()
        for path in asked.changed:
            last = self._last.get(path, -BUSY_S)
            self._due.setdefault(path, max(now + QUIET_S, last + BUSY_S))
        self._add_due(now)
        if self._queue:
            self._archive_some()
        if self._queue:
            return 0.0
        if self._in_pass:
            self._finish_pass()
        if self._parts.indexer.index_some():
            return 0.0
        return self._wait(self._hooks.monotonic())

    def _start_pass(self) -> None:
        self._hooks.refresh()
        self._in_pass, self._errors = True, set()
        sessions = self._parts.source.sessions()
        self._queue = sorted(self._wanted(sessions), key=lambda s: s.changed_ns)
        self._parts.archiver.read_ahead(self._queue)
        if self._parts.source.is_complete:  # else a session may only be out of sight
            present = {(s.agent, s.session_id) for s in sessions}
            days = min(sweep_days(home) for home in self._parts.source.homes)
            self._parts.archiver.note_gone(present, int(days * _DAY_NS))

    def _wanted(self, sessions: Collection[SourceSession]) -> list[SourceSession]:
        """The sessions of which something is to be archived."""
        floor = max(self._oldest_ns, self._parts.forgetter.floor_ns(self._policy.quota) + 1)
        shared = self._hooks.shared() if self._policy.keep is Keep.SHARED else None
        found = [
            session
            for session in sessions
            if session.changed_ns >= floor and (shared is None or session.session_id in shared)
        ]
        return self._parts.archiver.outdated(found)

    @property
    def _oldest_ns(self) -> int:
        days = self._policy.days
        return self._hooks.now_ns() - int(days * _DAY_NS) if days else 0

    def _add_due(self, now: float) -> None:
        """Put the sessions of the changed paths whose time has come into the queue."""
        due = {path for path, moment in self._due.items() if moment <= now}
        if not due:
            return
        for path in due:
            del self._due[path]
            self._last[path] = now
        self._last = {p: moment for p, moment in self._last.items() if now - moment < BUSY_S}
        source, waiting = self._parts.source, {s.session_id for s in self._queue}
        found = {s.session_id: s for path in sorted(due) for s in source.sessions_at(path)}
        self._queue += self._wanted([s for name, s in found.items() if name not in waiting])

    def _archive_some(self) -> None:
        done, errors = self._parts.archiver.archive(self._queue)
        self._queue = self._queue[done:]
        self._errors |= {str(error) for error in errors}
        if any(isinstance(error, DamagedPack) for error in errors):
            self._is_recovered = False

    def _finish_pass(self) -> None:
        self._in_pass = False
        self._hooks.report(sorted(self._errors))
        self._hooks.learn()
        policy = self._policy
        if policy.days or policy.quota:
            self._parts.forgetter.limit(self._oldest_ns, policy.quota)
        self._parts.upkeep.repack_one(self._hooks.now_ns() - _HOUR_NS)

    def _wait(self, now: float) -> float | None:
        due = soonest(*self._due.values())
        return None if due is None else max(0.0, due - now)
