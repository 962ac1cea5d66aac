"""Claude Code's own memory of a project: `projects/DIRECTORY/memory/*.md`, a file an observation.

It is what the agent keeps for one person, so it leaves only where that person asked for it by name.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.agents.access import listed
from karma_sync.agents.observations import SourceContent, label, observed, text
from karma_sync.domain.session.observation import SourceObservation, moment_text
from karma_sync.files import is_open, open_unlinked

MEMORY = "claude-memory"
_AGENT = "claude-code"
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class ClaudeMemory:
    """The memory files below Claude Code's directories.

    `worked_in` returns the directories in which the sessions of a project directory worked, from
    their records. `owner` is this member's tag: the same file of two members is two observations.
    """

    homes: Sequence[Path]
    owner: str
    worked_in: Callable[[Path], Sequence[str]]
    name: str = field(default=MEMORY, init=False)

    def stamp(self) -> Hashable:
        """As `ObservationSource`."""
        return tuple(
            (str(path), found.st_size, found.st_mtime_ns)
            for path in self._files()
            if (found := path.stat())
        )

    def directories(self) -> Sequence[Path]:
        """As `ObservationSource`: Claude Code's directories are watched anyway."""
        return []

    def read(self) -> SourceContent:
        """As `ObservationSource`."""
        problems: list[str] = []
        found = [each for path in self._files() if (each := self._of_file(path, problems))]
        return SourceContent(found, not problems, problems)

    def _files(self) -> Iterator[Path]:
        for home in self.homes:
            for directory in listed(home / "projects"):
                place = directory / "memory"
                # a link may lead to texts that are nobody's memory of this project
                is_own = not directory.is_symlink() and not place.is_symlink()
                if is_own and is_open(directory) and place.is_dir() and is_open(place):
                    files = (p for p in sorted(place.glob("*.md")) if not p.is_symlink())
                    yield from (path for path in files if path.is_file())

    def _of_file(self, path: Path, problems: list[str]) -> SourceObservation | None:
        try:
            found = path.stat()
            with open_unlinked(path) as opened:
                raw = opened.read(_MOST_BYTES)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
            return None
        content = text(raw.decode(errors="replace"))
        at = moment_text(datetime.fromtimestamp(found.st_mtime, UTC))
        project = path.parent.parent
        named = "\0".join((self.owner, project.name, path.name)).encode(errors="replace")
        heading = next((line for line in content.splitlines() if line.startswith("#")), "")
        fields = {
            "id": f"m-{hashlib.sha256(named).hexdigest()[:32]}",
            "version": max(1, found.st_mtime_ns // 10**6),
            "type": "memory",
            "title": label(heading.lstrip("# ")) or label(path.stem),
            "content": content,
            "agent": _AGENT,
            "created": at,
            "updated": at,
        }
        return observed(fields, project="", directories=tuple(self.worked_in(project)))
