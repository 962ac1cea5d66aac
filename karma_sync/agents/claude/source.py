"""Claude Code's sessions on disk: which files make up a session.

See docs/agent-files.md, "Sessions".

Directory names are never decoded: they do not tell the project (the encoding loses characters).
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
    """Finds sessions below Claude Code's directory; one that lies there twice is the newer copy.

    `session_named` gives the session that a subagent's file named when it was read before, by an
    earlier process perhaps; "" if it was never read.
    """

    def __init__(
        self, claude: Path, session_named: Callable[[Path], str] = lambda path: ""
    ) -> None:
        self.home = claude
        self.root = claude / "projects"
        self.apart = SideFiles(claude)
        self._ran = self.apart.running()
        self.legacy = LegacySubagents(session_named)

    def sessions(self) -> list[SourceSession]:
        """All sessions, the one written last first; of one that lies twice the newer."""
        self._ran = self.apart.running()
        found = [s for directory in self.directories() for s in self.sessions_in(directory)]
        return sorted(_once(found), key=lambda s: (-s.changed_ns, s.session_id))

    def sessions_in(self, directory: Path) -> list[SourceSession]:
        """The sessions of one project directory, in no order."""
        legacy = self.legacy.of(directory)
        names = [e.name for e in os.scandir(directory) if _is_transcript(e.name)]
        found = (self._session(directory, name.removesuffix(".jsonl"), legacy) for name in names)
        return [session for session in found if session]

    def ids(self) -> frozenset[str]:
        """The ids of all sessions whose transcript is on this disk."""
        return frozenset(
            entry.name.removesuffix(".jsonl")
            for directory in self.directories()
            for entry in os.scandir(directory)
            if _is_transcript(entry.name)
        )

    def directories(self) -> list[Path]:
        """Claude Code's project directories, by name; those closed to us are left out."""
        return [directory for directory in self._listed() if is_open(directory)]

    def closed(self) -> list[Path]:
        """Directories that hold sessions, as far as anybody may tell who cannot look inside."""
        return closed_below(self.root)

    def _listed(self) -> list[Path]:
        return listed(self.root)

    def gathered(self, path: Path) -> Path:
        """The one path that stands for every file in a session's own directory, or `path`.

        So a session of which a thousand files are new at once is looked at once.
        """
        own = path.relative_to(self.root).parts[:2] if path.is_relative_to(self.root) else ()
        return self.root.joinpath(*own) if own else path

    def sessions_at(self, path: Path) -> list[SourceSession]:
        """The sessions that a changed path belongs to; whose a plan is its path does not tell."""
        found = self.session_at(path)
        if found:
            return [found]
        if self.apart.is_running_state(path):
            before, self._ran = self._ran, self.apart.running()
            return self.of_ids(before ^ self._ran)
        session_id = self.apart.session_of(path)
        return self.of_ids({session_id}) if session_id else []

    def complete(self, session: SourceSession, plans: PlanNames, profile: Profile) -> SourceSession:
        """The session with the plans it refers to, and what only a larger profile takes."""
        more = (*self.apart.plans(plans), *self.apart.private(session.session_id, profile))
        if not more:
            return session
        named = [(name, path, file_at(name, path)) for name, path in sorted(more)]
        found = [file for _, _, file in named if file]
        shut = closed((name, path) for name, path, file in named if file is None)
        return replace(session, files=(*session.files, *found), closed=(*session.closed, *shut))

    def of_ids(self, ids: Collection[str]) -> list[SourceSession]:
        """The sessions of these ids, in whichever project directory they lie."""
        paths = [
            directory / f"{session_id}.jsonl"
            for session_id in ids
            if SESSION_ID.fullmatch(session_id)
            for directory in self.directories()
        ]
        found = (self.session_at(path) for path in paths if path.exists())
        return _once([session for session in found if session])

    def session_at(self, path: Path) -> SourceSession | None:
        """The session that a changed path belongs to; None if it belongs to none."""
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
        candidates += self.apart.small(session_id)
        # a subagent in both layouts is one file: the new layout, which comes later, is read
        named = sorted(dict(candidates).items())
        looked = [(name, path, file_at(name, path)) for name, path in named]
        files = [file for _, _, file in looked if file]
        shut = closed((name, path) for name, path, file in looked if file is None)
        running = session_id in self._ran
        found = (transcript, *files)
        return SourceSession(AGENT, session_id, directory, found, running, closed=shut)


def _once(found: Iterable[SourceSession]) -> list[SourceSession]:
    """Each session once, the copy written last: /cd and work trees leave others behind."""
    newest_last = sorted(found, key=lambda s: (s.changed_ns, s.session_id))
    return list({s.session_id: s for s in newest_last}.values())


def _beside(own: Path) -> list[tuple[str, Path]]:
    """What lies in a session's own directory, of the folders that we know; as `walk` finds it.

    Nothing if its directory is a link, or not there.
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
