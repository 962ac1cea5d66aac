"""Finds the files of a session that Claude Code stores outside of its project directory.

docs/agent-files.md, "Side files", describes them. Todos are named after session and agent; tasks
and file history have a directory per session; a debug log is named after its session. A plan is
named after a slug in the session's records, or the session names its path. Each running process of
Claude Code writes a file that names its session.
"""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from karma_sync.agents.listing import Listings, walk
from karma_sync.domain.session.facts import PlanNames
from karma_sync.domain.session.profile import FileKind, Profile, takes

# Folders of Claude Code that are watched for changes. File history and debug logs are not among
# them: they change together with the transcript, which is watched.
WATCHED = ("projects", "todos", "tasks", "plans", "sessions")
# The watched folders in which a deleted file matters too: it means that a process has ended.
TELLING = ("sessions",)
# The watched folders in which links are followed: to project directories, and to what lies in one.
LINKED = ("projects",)
_AGENT = "-agent-"
_STATE_BYTES = 1 << 16

Named = Iterator[tuple[str, Path]]


class SideFiles:
    """Finds the side files of sessions below Claude Code's directory."""

    def __init__(self, claude: Path) -> None:
        self._claude = claude
        # needed for every session in every pass, so built once
        self._todo_folder, self._task_folder = claude / "todos", claude / "tasks"
        self._plan_folder = claude / "plans"
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
        return path.parent == self._claude / "sessions"

    def is_plan(self, path: Path) -> bool:
        """Whether the path is that of a plan."""
        return path.parent == self._plan_folder

    def running(self) -> frozenset[str]:
        """The sessions that running processes of Claude Code have open."""
        states = (_state(p) for p in self._listings.of(self._claude / "sessions").values())
        return frozenset(session for session, pid in states if _is_alive(pid))


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


def _state(path: Path) -> tuple[str, int]:
    """The session id and the process id in a running process's file; ("", 0) if it has none."""
    try:
        with path.open("rb") as source:
            state = json.loads(source.read(_STATE_BYTES))
        session_id, pid = state["sessionId"], state["pid"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", 0
    return (session_id, pid) if isinstance(session_id, str) and isinstance(pid, int) else ("", 0)


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
