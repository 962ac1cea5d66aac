"""Finds Claude Code's sessions on this machine, with the files that make up each session.

docs/agent-files.md, "Sessions", describes the files. The name of a project directory is never
decoded, because its encoding loses characters: it does not tell the project.

Project directories, transcripts and the sessions' own directories may be links (people keep them
elsewhere with stow, or share a directory between two names). Other links are not followed.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from karma_sync.agents.access import closed_below, listed
from karma_sync.agents.claude.copies import Copies
from karma_sync.agents.claude.gathering import read_facts
from karma_sync.agents.claude.legacy_subagents import LegacySubagents, is_legacy
from karma_sync.agents.claude.side_files import SideFiles
from karma_sync.agents.listing import closed, file_at, file_behind, walk
from karma_sync.domain.session.facts import Facts, PlanNames
from karma_sync.domain.session.profile import TITLE, TRANSCRIPT, Profile
from karma_sync.domain.session.source_files import SourceFile, SourceSession
from karma_sync.files import is_open

AGENT = "claude-code"
_SESSION = "CLAUDE_CODE_SESSION_ID"  # the agent sets it for the programs that it starts
SESSION_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_SIDE_FOLDERS = frozenset({"subagents", "tool-results", "workflows"})


class ClaudeSource:
    """Finds sessions below Claude Code's directories, each with its files from all of them.

    `session_named` returns the session that a subagent's file named when it was read before,
    perhaps by an earlier process; "" if it was never read. `facts` returns the facts of one file;
    it is asked only about sessions that have several copies.
    """

    def __init__(
        self,
        homes: Sequence[Path],
        session_named: Callable[[Path], str] = lambda path: "",
        facts: Callable[[SourceFile], Facts] = read_facts,
    ) -> None:
        self.homes = tuple(homes)
        self.roots = tuple(home / "projects" for home in homes)
        self._sides = tuple(SideFiles(home) for home in homes)
        self._ran = self._running()
        self.legacy = LegacySubagents(session_named)
        self._copies = Copies(facts)
        self._where: dict[str, list[Path]] = {}  # the project directories of each session

    def sessions(self) -> list[SourceSession]:
        """All sessions, the most recently written first; the copies of one are joined."""
        self._ran = self._running()
        copies: dict[str, list[SourceSession]] = {}
        for directory in self.directories():
            for found in self.sessions_in(directory):
                copies.setdefault(found.session_id, []).append(found)
        self._where = {id_: [c.directory for c in found] for id_, found in copies.items()}
        joined = [self._copies.join(found) for found in copies.values()]
        return sorted(joined, key=lambda s: (-s.changed_ns, s.session_id))

    def sessions_in(self, directory: Path) -> list[SourceSession]:
        """The sessions of one project directory, in no order; of one with copies only this one."""
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
        """Claude Code's project directories that we may read, by home and name.

        A directory that has two names, because one is a link to the other, is listed once.
        """
        found = [d for root in self.roots for d in listed(root) if is_open(d)]
        links = [directory for directory in found if directory.is_symlink()]
        if not links:
            return found
        real = {os.path.realpath(directory): directory for directory in reversed(links)}
        real |= {os.path.realpath(each): each for each in found if not each.is_symlink()}
        kept = set(real.values())
        return [directory for directory in found if directory in kept]

    def closed(self) -> list[Path]:
        """The directories that we may not read; they probably hold sessions."""
        return [directory for root in self.roots for directory in closed_below(root)]

    @property
    def is_complete(self) -> bool:
        """Whether all directories are there and can be read: else a session may be among others."""
        return all(root.is_dir() for root in self.roots) and not self.closed()

    def is_plan(self, path: Path) -> bool:
        """Whether the path is that of a plan."""
        return any(side.is_plan(path) for side in self._sides)

    def representative(self, path: Path) -> Path:
        """One path that stands for all files in a session's own directory; else `path` itself.

        So a session is examined once, even if a thousand of its files are new at once.
        """
        root = self._root_of(path)
        return root.joinpath(*path.relative_to(root).parts[:2]) if root else path

    def sessions_at(self, path: Path) -> list[SourceSession]:
        """The sessions that a changed path belongs to; a plan's path does not name any."""
        found = self.session_at(path)
        if found:
            return [found]
        if any(side.is_running_state(path) for side in self._sides):
            before, self._ran = self._ran, self._running()
            return self.of_ids(before ^ self._ran)
        named = (side.session_of(path) for side in self._sides)
        return self.of_ids({session_id for session_id in named if session_id})

    def complete(self, session: SourceSession, plans: PlanNames, profile: Profile) -> SourceSession:
        """The session with its plans, and with the private files that the profile takes."""
        more = {
            name: path
            for side in reversed(self._sides)
            for name, path in (*side.plans(plans), *side.private(session.session_id, profile))
        }
        if not more:
            return session
        named = [(name, path, file_at(name, path)) for name, path in sorted(more.items())]
        found = [file for _, _, file in named if file]
        shut = closed((name, path) for name, path, file in named if file is None)
        return replace(session, files=(*session.files, *found), closed=(*session.closed, *shut))

    def others_beside(self, session: SourceSession) -> list[SourceFile]:
        """All files that lie in the session's own directory itself, as `beside/NAME`.

        No channel takes files by these names.
        """
        own = session.directory / session.session_id
        try:
            names = sorted(e.name for e in os.scandir(own) if e.is_file(follow_symlinks=False))
        except OSError:
            return []  # there is none; `sessions` tells which are closed
        found = (file_at(f"beside/{name}", own / name) for name in names)
        return [file for file in found if file]

    def of_ids(self, ids: Collection[str]) -> list[SourceSession]:
        """The sessions with these ids, in any project directory."""
        directories = self.directories() if ids else []
        return [
            found
            for session_id in ids
            if SESSION_ID.fullmatch(session_id)
            if (found := self._joined(session_id, directories))
        ]

    def session_at(self, path: Path) -> SourceSession | None:
        """The session that a changed path below `projects` belongs to; None if there is none."""
        root = self._root_of(path)
        parts = path.relative_to(root).parts if root else ()
        if root is None or len(parts) < 2:
            return None
        directory = root / parts[0]
        if len(parts) == 2 and is_legacy(parts[1]):
            session_id = self.legacy.parent_of(path)
        else:
            session_id = parts[1].removesuffix(".jsonl")
        if session_id is None or not SESSION_ID.fullmatch(session_id):
            return None
        known = self._where.get(session_id, [])
        # a directory in which the session was not seen before: there may be more of them
        return self._joined(session_id, known if directory in known else self.directories())

    def _root_of(self, path: Path) -> Path | None:
        return next((root for root in self.roots if path.is_relative_to(root)), None)

    def ended(self) -> list[Path]:
        """The files that name a session as open although their process has ended."""
        return [path for side in self._sides for path in side.ended()]

    def open_sessions(self) -> frozenset[str]:
        """The sessions that running processes have open now."""
        return self._running()

    def sessions_of(self, processes: Collection[int], environ: Mapping[str, str]) -> frozenset[str]:
        """The sessions of the agent that started a program.

        `processes` are those above the program, `environ` its environment variables. The files of
        running processes know better than the environment, which stays as it was when the agent
        began another session.
        """
        found = frozenset().union(*(side.open_in(processes) for side in self._sides))
        return found or frozenset(filter(None, [environ.get(_SESSION)]))

    @property
    def _reports_running(self) -> bool:
        return any(side.reports_running for side in self._sides)

    def _running(self) -> frozenset[str]:
        return frozenset().union(*(side.running() for side in self._sides))

    def _joined(self, session_id: str, directories: Iterable[Path]) -> SourceSession | None:
        name = f"{session_id}.jsonl"
        places = [directory for directory in directories if os.path.lexists(directory / name)]
        found = (self._session(d, session_id, self.legacy.of(d)) for d in places)
        copies = [copy for copy in found if copy]
        self._where[session_id] = [copy.directory for copy in copies]
        return self._copies.join(copies) if copies else None

    def _session(
        self, directory: Path, session_id: str, legacy: Iterable[tuple[str, Path]]
    ) -> SourceSession | None:
        transcript = file_behind(TRANSCRIPT, directory / f"{session_id}.jsonl")
        if transcript is None:
            return None
        candidates = [
            (name, path)
            for parent, path in legacy
            if parent == session_id
            for name in [f"subagents/{path.name}"]
        ]
        candidates += _beside(directory / session_id)
        candidates += [found for side in self._sides for found in side.small(session_id)]
        # a subagent in both layouts is one file: `dict` keeps the later entry, of the new layout
        named = sorted(dict(candidates).items())
        found = [(name, path, file_at(name, path)) for name, path in named]
        files = (transcript, *(file for _, _, file in found if file))
        shut = closed((name, path) for name, path, file in found if file is None)
        running = session_id in self._ran if self._reports_running else None
        return SourceSession(AGENT, session_id, directory, files, running, closed=shut)


def _beside(own: Path) -> list[tuple[str, Path]]:
    """The files in the known folders of a session's own directory, as `walk` returns them.

    Empty if the directory does not exist. It may be a link; its known folders may not.
    """
    try:
        names = {entry.name for entry in os.scandir(own)}
    except PermissionError:
        return [(own.name, own)]
    except OSError:
        return []
    title = [(TITLE, own / TITLE)] if TITLE in names else []
    folders = sorted(names & _SIDE_FOLDERS)
    return title + [found for folder in folders for found in walk(own / folder, folder)]


def _is_transcript(name: str) -> bool:
    return (
        name.endswith(".jsonl")
        and SESSION_ID.fullmatch(name.removesuffix(".jsonl")) is not None
        and not is_legacy(name)
    )
