"""Subagents in the old layout: beside their session, naming it inside.

See docs/agent-files.md, "Subagents".
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
# A summary, a comment or a torn line may stand before the first record that names the session.
_LINES = 20


class LegacySubagents:
    """Keeps in mind whose they are: a file is opened once, and again only if it named nobody.

    `known` says what one told that was read before, by an earlier process perhaps; "" if none was.
    """

    def __init__(self, known: Callable[[Path], str]) -> None:
        self._known = known
        self._parents: dict[Path, str] = {}
        self._nobodys: dict[Path, Stat] = {}

    def of(self, directory: Path) -> list[tuple[str, Path]]:
        """Those of one project directory: the session that each belongs to, and where it lies."""
        names = (e.name for e in os.scandir(directory)) if is_open(directory) else ()
        paths = (directory / name for name in names if is_legacy(name))
        return [(parent, path) for path in paths if (parent := self.parent_of(path))]

    def parent_of(self, path: Path) -> str | None:
        """The session that a subagent belongs to; None as long as it does not say."""
        known = self._parents.get(path) or self._known(path)
        if known:
            self._parents[path] = known
            return known
        file = file_at(path.name, path)
        if file is None or self._nobodys.get(path) == file.stat:
            return None
        try:
            parent = _named_in(file)
        except OSError:
            return None  # gone, or not ours to read: the next look will see
        if parent is None:
            self._nobodys[path] = file.stat
        else:
            self._parents[path] = parent
            self._nobodys.pop(path, None)
        return parent


def is_legacy(name: str) -> bool:
    """Whether a file in a project directory is called as a subagent in the old layout."""
    return _NAME.fullmatch(name) is not None


def _named_in(file: SourceFile) -> str | None:
    with open_source(file) as source:
        for _ in range(_LINES):
            record = parse_record(source.readline(limits.LINE_BYTES))
            if record and record.sessionId is not None:
                return record.sessionId
    return None
