"""Finds Claude Code's sessions on this machine, with the files that make up each session.

docs/agent-files.md, "Sessions", describes the files. The name of a project directory is never
decoded, because its encoding loses characters: it does not tell the project.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from karma_sync.agents.access import closed_below, listed
from karma_sync.agents.claude.legacy_subagents import LegacySubagents, is_legacy
from karma_sync.agents.claude.side_files import SideFiles
from karma_sync.agents.listing import closed, file_at, walk
from karma_sync.domain.session.facts import PlanNames
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.source_files import TRANSCRIPT, SourceSession
from karma_sync.files import is_open

AGENT = "claude-code"
SESSION_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_SIDE_FOLDERS = ("subagents", "tool-results", "workflows")


class ClaudeSource:
    """Finds sessions below Claude Code's directory; of several copies of a session, the newest.

    `session_named` returns the session that a subagent's file named when it was read before,
    perhaps by an earlier process; "" if it was never read.
    """

    def __init__(
        self, claude: Path, session_named: Callable[[Path], str] = lambda path: ""
    ) -> None:
        self.home = claude
        self.root = claude / "projects"
        self.side_files = SideFiles(claude)
        self._ran = self.side_files.running()
        self.legacy = LegacySubagents(session_named)

    def sessions(self) -> list[SourceSession]:
        """All sessions, the most recently written first; of several copies, the newest."""
        self._ran = self.side_files.running()
        found = [s for directory in self.directories() for s in self.sessions_in(directory)]
        return sorted(_once(found), key=lambda s: (-s.changed_ns, s.session_id))

    def sessions_in(self, directory: Path) -> list[SourceSession]:
        """The sessions of one project directory, in no order."""
        legacy = self.legacy.of(directory)
        names = [e.name for e in os.scandir(directory) if _is_transcript(e.name)]
        found = (self._session(directory, name.removesuffix(".jsonl"), legacy) for name in names)
        return [session for session in found if session]

    def ids(self) -> frozenset[str]:
        """The ids of all sessions whose transcripts are on this machine."""
        return frozenset(
            entry.name.removesuffix(".jsonl")
            for directory in self.directories()
            for entry in os.scandir(directory)
            if _is_transcript(entry.name)
        )

    def directories(self) -> list[Path]:
        """Claude Code's project directories that we may read, sorted by name."""
        return [directory for directory in listed(self.root) if is_open(directory)]

    def closed(self) -> list[Path]:
        """The directories that we may not read; they probably hold sessions."""
        return closed_below(self.root)

    def representative(self, path: Path) -> Path:
        """One path that stands for all files in a session's own directory; else `path` itself.

        So a session is examined once, even if a thousand of its files are new at once.
        """
        own = path.relative_to(self.root).parts[:2] if path.is_relative_to(self.root) else ()
        return self.root.joinpath(*own) if own else path

    def sessions_at(self, path: Path) -> list[SourceSession]:
        """The sessions that a changed path belongs to; a plan's path does not name any."""
        found = self.session_at(path)
        if found:
            return [found]
        if self.side_files.is_running_state(path):
            before, self._ran = self._ran, self.side_files.running()
            return self.of_ids(before ^ self._ran)
        session_id = self.side_files.session_of(path)
        return self.of_ids({session_id}) if session_id else []

    def complete(self, session: SourceSession, plans: PlanNames, profile: Profile) -> SourceSession:
        """The session with its plans, and with the private files that the profile takes."""
        more = (
            *self.side_files.plans(plans),
            *self.side_files.private(session.session_id, profile),
        )
        if not more:
            return session
        named = [(name, path, file_at(name, path)) for name, path in sorted(more)]
        found = [file for _, _, file in named if file]
        shut = closed((name, path) for name, path, file in named if file is None)
        return replace(session, files=(*session.files, *found), closed=(*session.closed, *shut))

    def of_ids(self, ids: Collection[str]) -> list[SourceSession]:
        """The sessions with these ids, in any project directory."""
        paths = [
            directory / f"{session_id}.jsonl"
            for session_id in ids
            if SESSION_ID.fullmatch(session_id)
            for directory in self.directories()
        ]
        found = (self.session_at(path) for path in paths if path.exists())
        return _once([session for session in found if session])

    def session_at(self, path: Path) -> SourceSession | None:
        """The session that a changed path below `projects` belongs to; None if there is none."""
        try:
            parts = path.relative_to(self.root).parts
        except ValueError:
            return None
        if len(parts) < 2:
            return None
        directory = self.root / parts[0]
        if len(parts) == 2 and is_legacy(parts[1]):
            session_id = self.legacy.parent_of(path)
        else:
            session_id = parts[1].removesuffix(".jsonl")
        if session_id is None or not SESSION_ID.fullmatch(session_id):
            return None
        return self._session(directory, session_id, self.legacy.of(directory))

    def _session(
        self, directory: Path, session_id: str, legacy: Iterable[tuple[str, Path]]
    ) -> SourceSession | None:
        transcript = file_at(TRANSCRIPT, directory / f"{session_id}.jsonl")
        if transcript is None:
            return None
        candidates = [
            (name, path)
            for parent, path in legacy
            if parent == session_id
            for name in [f"subagents/{path.name}"]
        ]
        candidates += _beside(directory / session_id)
        candidates += self.side_files.small(session_id)
        # a subagent in both layouts is one file: `dict` keeps the later entry, of the new layout
        named = sorted(dict(candidates).items())
        found = [(name, path, file_at(name, path)) for name, path in named]
        files = (transcript, *(file for _, _, file in found if file))
        shut = closed((name, path) for name, path, file in found if file is None)
        running = session_id in self._ran
        return SourceSession(AGENT, session_id, directory, files, running, closed=shut)


def _once(found: Iterable[SourceSession]) -> list[SourceSession]:
    """Each session once, by its newest copy: /cd and work trees leave older copies behind."""
    newest_last = sorted(found, key=lambda s: (s.changed_ns, s.session_id))
    return list({s.session_id: s for s in newest_last}.values())


def _beside(own: Path) -> list[tuple[str, Path]]:
    """The files in the known folders of a session's own directory, as `walk` returns them.

    Empty if the directory is a link or does not exist.
    """
    try:
        if not stat.S_ISDIR(own.lstat().st_mode):
            return []
        folders = [entry.name for entry in os.scandir(own) if entry.name in _SIDE_FOLDERS]
    except PermissionError:
        return [(own.name, own)]
    except OSError:
        return []
    return [found for folder in folders for found in walk(own / folder, folder)]


def _is_transcript(name: str) -> bool:
    return (
        name.endswith(".jsonl")
        and SESSION_ID.fullmatch(name.removesuffix(".jsonl")) is not None
        and not is_legacy(name)
    )
