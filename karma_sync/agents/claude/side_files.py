"""What belongs to sessions and lies apart from them in Claude Code's directory.

See docs/agent-files.md, "Side files": todos are named after session and agent, tasks and file
history have a directory per session, the debug log is named after it; a plan is named after the
slug that its session's records carry, or its session wrote it by its path. Running agents name
their session.
"""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from karma_sync.agents.listing import Listings, walk
from karma_sync.domain.session.facts import PlanNames
from karma_sync.domain.session.profile import FileKind, Profile, takes

# File history and debug logs are not: they change with the transcript, and that is watched.
WATCHED = ("projects", "todos", "tasks", "plans", "sessions")
TELLING = ("sessions",)
_AGENT = "-agent-"
_STATE_BYTES = 1 << 16

Named = Iterator[tuple[str, Path]]


class SideFiles:
    """Finds a session's files outside of its project directory."""

    def __init__(self, claude: Path) -> None:
        self._claude = claude
        # asked for each session of each pass: made once
        self._todo_folder, self._task_folder = claude / "todos", claude / "tasks"
        self._plan_folder = claude / "plans"
        self._listings = Listings()
        # a listing, and the same by what it is asked for
        self._todos: tuple[dict[str, Path], dict[str, list[str]]] = ({}, {})
        self._plans: tuple[dict[str, Path], dict[str, list[str]]] = ({}, {})

    def small(self, session_id: str) -> Named:
        """Todos and tasks of a session: name inside the item, and where it lies."""
        todos = self._listings.of(self._todo_folder)
        if todos is not self._todos[0]:
            self._todos = todos, _by_session(todos)
        for name in self._todos[1].get(session_id, ()):
            yield f"todos/{name}", todos[name]
        tasks = self._listings.of(self._task_folder).get(session_id)
        if tasks:
            # names with a dot in front are the agent's locks and counters
            yield from (f for f in walk(tasks, "tasks") if "/." not in f[0])

    def plans(self, names: PlanNames) -> Named:
        """The plans of a session: by its slugs, or by the paths under which it wrote them."""
        if not names:
            return
        plans = self._listings.of(self._plan_folder)
        if plans is not self._plans[0]:
            self._plans = plans, _by_slug(plans)
        written = {Path(path).name for path in names.paths}
        own = {name for slug in names.slugs for name in self._plans[1].get(slug, ())}
        for name in own | written & plans.keys():
            if names.mean(name, self._plan_folder):
                yield f"plans/{name}", plans[name]

    def private(self, session_id: str, profile: Profile) -> Named:
        """File history and debug log, if the profile takes them."""
        if takes(profile, FileKind.FILE_HISTORY):
            history = self._listings.of(self._claude / "file-history").get(session_id)
            yield from walk(history, "file-history") if history else ()
        if takes(profile, FileKind.DEBUG):
            log = self._claude / "debug" / f"{session_id}.txt"
            yield f"debug/{log.name}", log

    def session_of(self, path: Path) -> str | None:
        """The session that a changed todo or task belongs to; None if it is another's file."""
        if not path.is_relative_to(self._claude):
            return None
        match path.relative_to(self._claude).parts:
            case ("todos", name) if _AGENT in name:
                return name.partition(_AGENT)[0]
            case ("tasks", session_id, _, *_):
                return session_id
        return None

    def is_running_state(self, path: Path) -> bool:
        """Whether a path tells which sessions are open."""
        return path.parent == self._claude / "sessions"

    def is_plan(self, path: Path) -> bool:
        """Whether a changed path is a plan's."""
        return path.parent == self._plan_folder

    def running(self) -> frozenset[str]:
        """The sessions that a running process says it has open."""
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
    """Names by each slug that they may be named after."""
    found: dict[str, list[str]] = {}
    for name in plans:
        stem = name.removesuffix(".md")
        for slug in {stem, stem.partition(_AGENT)[0]}:
            found.setdefault(slug, []).append(name)
    return found


def _state(path: Path) -> tuple[str, int]:
    """Session and process that a running agent's file names; ("", 0) if it cannot be told."""
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
