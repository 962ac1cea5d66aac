"""Finds the files of a session that Claude Code stores outside of its project directory.

docs/agent-files.md, "Side files", describes them. Todos are named after session and agent; tasks
and file history have a directory per session; a debug log is named after its session. A plan is
named after a slug in the session's records, or the session names its path. Each running process of
Claude Code writes a file that names its session.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from karma_sync.agents.listing import Listings, walk
from karma_sync.domain.session.facts import PlanNames
from karma_sync.domain.session.profile import FileKind, Profile, takes

# Folders of Claude Code that are watched for changes. File history and debug logs are not among
# them: they change together with the transcript, which is watched.
WATCHED = ("projects", "todos", "tasks", "plans", "sessions")
# The watched folders in which a deleted file matters too: it means that a process has ended.
REPORTED_DELETIONS = ("sessions",)
# The watched folders in which links are followed: to project directories, and to their entries.
LINKED = ("projects",)
_AGENT = "-agent-"
_STATE_BYTES = 1 << 16
_STATE_NAME = re.compile(r"[0-9]+\.json")
# A process that began this long after the recorded one is another. The system computes the start
# from the time since the machine booted, so it moves when the clock is set.
_STARTED_S = 60.0

Named = Iterator[tuple[str, Path]]


class SideFiles:
    """Finds the side files of sessions below Claude Code's directory."""

    def __init__(self, claude: Path) -> None:
        self._claude = claude
        # needed for every session in every pass, so built once
        self._todo_folder, self._task_folder = claude / "todos", claude / "tasks"
        self._plan_folder = claude / "plans"
        self._state_folder = claude / "sessions"
        self._open: tuple[_Running, ...] = ()
        self._history_folder, self._debug_folder = claude / "file-history", claude / "debug"
        self._listings = Listings()
        # each is a listing, and its names by session id or by slug
        self._todos: tuple[dict[str, Path], dict[str, list[str]]] = ({}, {})
        self._plans: tuple[dict[str, Path], dict[str, list[str]]] = ({}, {})

    def small(self, session_id: str) -> Named:
        """The todos and tasks of a session: (name inside the item, path)."""
        todos = self._listings.of(self._todo_folder)
        if todos is not self._todos[0]:
            self._todos = todos, _by_session(todos)
        for name in self._todos[1].get(session_id, ()):
            yield f"todos/{name}", todos[name]
        tasks = self._listings.of(self._task_folder).get(session_id)
        if tasks:
            # files whose names begin with a dot are Claude Code's locks and counters
            yield from (f for f in walk(tasks, "tasks") if "/." not in f[0])

    def plans(self, names: PlanNames) -> Named:
        """The plans of a session, by its slugs and by the paths that it names."""
        if not names:
            return
        plans = self._listings.of(self._plan_folder)
        if plans is not self._plans[0]:
            self._plans = plans, _by_slug(plans)
        by_path = {Path(path).name for path in names.paths}
        by_slug = {name for slug in names.slugs for name in self._plans[1].get(slug, ())}
        for name in by_slug | by_path & plans.keys():
            if names.match(name, self._plan_folder):
                yield f"plans/{name}", plans[name]

    def private(self, session_id: str, profile: Profile) -> Named:
        """The file history and the debug log of a session, if the profile takes them."""
        if takes(profile, FileKind.FILE_HISTORY):
            history = self._listings.of(self._history_folder).get(session_id)
            yield from walk(history, "file-history") if history else ()
        if takes(profile, FileKind.DEBUG):
            name = f"{session_id}.txt"
            log = self._listings.of(self._debug_folder).get(name)
            if log:
                yield f"debug/{name}", log

    def session_of(self, path: Path) -> str | None:
        """The session that a changed todo or task belongs to; None if the path is another file."""
        if not path.is_relative_to(self._claude):
            return None
        match path.relative_to(self._claude).parts:
            case ("todos", name) if _AGENT in name:
                return name.partition(_AGENT)[0]
            case ("tasks", session_id, _, *_):
                return session_id
        return None

    def is_running_state(self, path: Path) -> bool:
        """Whether the path is that of a file that names the session of a running process."""
        return path.parent == self._state_folder

    def is_plan(self, path: Path) -> bool:
        """Whether the path is that of a plan."""
        return path.parent == self._plan_folder

    @property
    def reports_running(self) -> bool:
        """Whether this Claude Code reports which sessions it has open: old versions do not."""
        return self._state_folder.is_dir()

    def running(self) -> frozenset[str]:
        """The sessions that running processes of Claude Code have open."""
        states = self._listings.of(self._state_folder).items()
        # beside them lie files with secrets, which are never opened
        found = [_state(path) for name, path in states if _STATE_NAME.fullmatch(name)]
        self._open = tuple(state for state in found if state and state.is_alive())
        return frozenset(state.session for state in self._open)

    def open_in(self, processes: Collection[int]) -> frozenset[str]:
        """The sessions that these processes, by their numbers, have open."""
        self.running()
        return frozenset(state.session for state in self._open if state.pid in processes)

    def ended(self) -> list[Path]:
        """The files of processes that `running` found and that ended without deleting them.

        Any thread may call it.
        """
        return [state.path for state in self._open if not state.is_alive()]


def _by_session(todos: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in todos:
        session_id, mark, _ = name.partition(_AGENT)
        if mark:
            found.setdefault(session_id, []).append(name)
    return found


def _by_slug(plans: Collection[str]) -> dict[str, list[str]]:
    """The names of plans by slug; a name may come from two slugs."""
    found: dict[str, list[str]] = {}
    for name in plans:
        stem = name.removesuffix(".md")
        for slug in {stem, stem.partition(_AGENT)[0]}:
            found.setdefault(slug, []).append(name)
    return found


@dataclass(frozen=True)
class _Running:
    """The content of the file of a process: its session, its number, and its start (UTC)."""

    path: Path
    session: str
    pid: int
    started: datetime | None

    def is_alive(self) -> bool:
        """Whether the process still runs.

        Its file stays after SIGKILL, and another process may get the number: that one started
        later.
        """
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            began = process.create_time()
        except (psutil.NoSuchProcess, ValueError, OverflowError):
            return False
        except (psutil.Error, OSError):
            return True  # of another user: it exists
        return self.started is None or began < self.started.timestamp() + _STARTED_S


def _state(path: Path) -> _Running | None:
    """The content of the file of a running process; None if it names no session or no process."""
    try:
        with path.open("rb") as source:
            state = json.loads(source.read(_STATE_BYTES))
        session_id, pid = state["sessionId"], state["pid"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(session_id, str) or type(pid) is not int or pid <= 0:
        return None
    return _Running(path, session_id, pid, _started(state.get("procStart")))


def _started(text: object) -> datetime | None:
    """The moment in `procStart`, which is as `ps -o lstart` prints it in UTC; None if another."""
    try:
        return datetime.strptime(str(text), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
