"""Claude Code's sessions on disk: which files make up a session (FILES.md section 6).

Directory names are never decoded: they do not tell the project (the encoding loses characters).
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from karma_sync.domain.source import TRANSCRIPT, SourceFile, SourceSession, Stat

AGENT = "claude-code"
SESSION_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_LEGACY_SUBAGENT = re.compile(r"agent-[0-9A-Za-z_-]+\.jsonl")
_SIDE_FOLDERS = ("subagents", "tool-results")
_FIRST_LINE_BYTES = 1 << 20


class ClaudeSource:
    """Finds sessions below Claude Code's directory; keeps in mind whose legacy subagents are."""

    def __init__(self, claude: Path) -> None:
        self.root = claude / "projects"
        self._parents: dict[Path, str] = {}

    def sessions(self) -> list[SourceSession]:
        """All sessions, the one written last first."""
        found = [s for directory in self._directories() for s in self._in_directory(directory)]
        return sorted(found, key=lambda s: (-s.changed_ns, s.session_id))

    def sessions_in(self, directory: Path) -> list[SourceSession]:
        """The sessions of one project directory, in no order."""
        return list(self._in_directory(directory))

    def session_at(self, path: Path) -> SourceSession | None:
        """The session that a changed path belongs to; None if it belongs to none."""
        try:
            parts = path.relative_to(self.root).parts
        except ValueError:
            return None
        if len(parts) < 2:
            return None
        directory = self.root / parts[0]
        if len(parts) == 2 and _LEGACY_SUBAGENT.fullmatch(parts[1]):
            session_id = self._parent_of(path)
        else:
            session_id = parts[1].removesuffix(".jsonl")
        if session_id is None or not SESSION_ID.fullmatch(session_id):
            return None
        return self._session(directory, session_id, self._legacy(directory))

    def _directories(self) -> Iterator[Path]:
        if self.root.is_dir():
            yield from sorted(Path(e.path) for e in os.scandir(self.root) if e.is_dir())

    def _in_directory(self, directory: Path) -> Iterator[SourceSession]:
        legacy = self._legacy(directory)
        for entry in os.scandir(directory):
            session_id = entry.name.removesuffix(".jsonl")
            if (
                entry.name.endswith(".jsonl")
                and SESSION_ID.fullmatch(session_id)
                and not _LEGACY_SUBAGENT.fullmatch(entry.name)
            ):
                session = self._session(directory, session_id, legacy)
                if session:
                    yield session

    def _session(
        self, directory: Path, session_id: str, legacy: Iterable[tuple[str, Path]]
    ) -> SourceSession | None:
        transcript = _file(TRANSCRIPT, directory / f"{session_id}.jsonl")
        if transcript is None:
            return None
        beside = directory / session_id
        candidates = [
            (name, path)
            for parent, path in legacy
            if parent == session_id
            for name in [f"subagents/{path.name}"]
        ]
        for folder in () if beside.is_symlink() else _SIDE_FOLDERS:
            candidates += _walk(beside / folder, folder)
        # a subagent in both layouts is one file: the new layout, which comes later, is read
        files = [f for name, path in sorted(dict(candidates).items()) if (f := _file(name, path))]
        return SourceSession(AGENT, session_id, directory, (transcript, *files))

    def _legacy(self, directory: Path) -> list[tuple[str, Path]]:
        """Subagents in the old layout: beside the session, naming their parent inside."""
        found = []
        for entry in os.scandir(directory) if directory.is_dir() else ():
            if _LEGACY_SUBAGENT.fullmatch(entry.name):
                path = Path(entry.path)
                parent = self._parent_of(path)
                if parent:
                    found.append((parent, path))
        return found

    def _parent_of(self, path: Path) -> str | None:
        known = self._parents.get(path)
        if known:
            return known
        try:
            with path.open("rb") as source:
                record = json.loads(source.readline(_FIRST_LINE_BYTES))
        except (OSError, ValueError):
            return None  # not written yet, or torn: the next change brings it back
        parent = record.get("sessionId") if isinstance(record, dict) else None
        if not isinstance(parent, str):
            return None
        self._parents[path] = parent
        return parent


def _walk(directory: Path, prefix: str) -> list[tuple[str, Path]]:
    if not directory.is_dir() or directory.is_symlink():
        return []
    found = []
    for entry in os.scandir(directory):
        name = f"{prefix}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            found += _walk(Path(entry.path), name)
        elif entry.is_file(follow_symlinks=False):
            found.append((name, Path(entry.path)))
    return found


def _file(name: str, path: Path) -> SourceFile | None:
    """The file at `path`; None if it is gone or not a regular file (a link might lead away)."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if found.st_mode & 0o170000 != 0o100000:
        return None
    return SourceFile(name, path, Stat.of(found))
