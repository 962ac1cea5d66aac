"""Finds subagents in the old layout of Claude Code and the sessions that they belong to.

Their transcripts lie beside the session's transcript and name the session in their records
(docs/agent-files.md, "Subagents").
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from karma_sync.agents.claude.records import parse_record
from karma_sync.agents.growing_file import open_source
from karma_sync.agents.listing import file_at
from karma_sync.domain import limits
from karma_sync.domain.session.source_files import SourceFile, Stat
from karma_sync.files import is_open

_NAME = re.compile(r"agent-[0-9A-Za-z_-]+\.jsonl")
# A summary, a comment or an incomplete line may come before the first record with the session.
_LINES = 20


class LegacySubagents:
    """Finds and remembers the sessions of subagents.

    A file is opened once; again only if it named no session and changed since. `known` returns the
    session that a file named when it was read before, perhaps by an earlier process; "" if it was
    never read.
    """

    def __init__(self, known: Callable[[Path], str]) -> None:
        self._known = known
        self._parents: dict[Path, str] = {}
        self._without_parent: dict[Path, Stat] = {}

    def of(self, directory: Path) -> list[tuple[str, Path]]:
        """The subagents in one project directory: (session id, path of the file)."""
        names = (e.name for e in os.scandir(directory)) if is_open(directory) else ()
        paths = (directory / name for name in names if is_legacy(name))
        return [(parent, path) for path in paths if (parent := self.parent_of(path))]

    def parent_of(self, path: Path) -> str | None:
        """The session that a subagent belongs to; None as long as the file does not name it."""
        known = self._parents.get(path) or self._known(path)
        if known:
            self._parents[path] = known
            return known
        file = file_at(path.name, path)
        if file is None or self._without_parent.get(path) == file.stat:
            return None
        try:
            parent = _read_parent(file)
        except OSError:
            return None  # vanished, or unreadable; the next scan tries again
        if parent is None:
            self._without_parent[path] = file.stat
        else:
            self._parents[path] = parent
            self._without_parent.pop(path, None)
        return parent


def is_legacy(name: str) -> bool:
    """Whether a file in a project directory has the name of a subagent in the old layout."""
    return _NAME.fullmatch(name) is not None


def _read_parent(file: SourceFile) -> str | None:
    with open_source(file) as source:
        for _ in range(_LINES):
            record = parse_record(source.readline(limits.LINE_BYTES))
            if record and record.sessionId is not None:
                return record.sessionId
    return None
