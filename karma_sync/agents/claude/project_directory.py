"""Names the directory in which Claude Code looks for the sessions of a working directory.

docs/agent-files.md, "Project directories".
"""

import os
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_MOST = 200  # of UTF-16 units; a longer name is cut there, and a hash follows
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SAFE_NAME = re.compile(r"[0-9A-Za-z._-]{1,255}")
_WORK_TREE = re.compile(r"(.*?)[/\\](?:\.claude[/\\]worktrees|\.worktrees)[/\\][^/\\]+(?=[/\\]|$)")
_DESKTOP_TREE = re.compile(r"(.*?)[/\\]\.claude-worktrees[/\\][^/\\]+[/\\][^/\\]+(?=[/\\]|$)")


def directory_name(path: str) -> str:
    """The name below `projects` for the real path of a working directory."""
    units = _units(path)
    name = "".join(chr(u) if u < 128 and chr(u).isalnum() else "-" for u in units)
    if len(name) <= _MOST:
        return name
    value = 0
    for unit in units:
        value = (value * 31 + unit) & 0xFFFFFFFF
    signed = value - (1 << 32) if value >> 31 else value
    return f"{name[:_MOST]}-{_base36(abs(signed))}"


def project_directory(home: Path, path: Path, environ: Mapping[str, str]) -> Path:
    """Claude Code's directory for sessions that begin in `path`; `home` is its own directory.

    `CLAUDE_CODE_PROJECT_DIR_NAME` names it, if `CLAUDE_CONFIG_DIR` is set too.
    """
    named = environ.get("CLAUDE_CODE_PROJECT_DIR_NAME", "")
    is_named = environ.get("CLAUDE_CONFIG_DIR") and _SAFE_NAME.fullmatch(named)
    if is_named and named.strip("."):
        return home / "projects" / named
    return home / "projects" / directory_name(os.path.realpath(path))


def _units(text: str) -> Sequence[int]:
    raw = text.encode("utf-16-le", "surrogatepass")
    return struct.unpack(f"<{len(raw) // 2}H", raw)


def _base36(value: int) -> str:
    digits = ""
    while True:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
        if not value:
            return digits


class PlacesHere:
    """Maps the directories of a session's author to a clone here.

    `directories` are the author's, the one in which the session began first; `name` is that of
    the repository. `has` returns whether the clone has a directory, by its path below the root.
    """

    def __init__(
        self, directories: Sequence[str], name: str, here: Path, has: Callable[[str], bool]
    ) -> None:
        self._here = here
        self._has = has
        self.root = self._root(directories, name.lower())

    def of(self, path: str) -> str:
        """The directory here for one of the author's.

        A work tree is mapped to the clone itself, and so is what lies outside of the repository.
        """
        tree = _WORK_TREE.match(path) or _DESKTOP_TREE.match(path)
        root = tree[0] if tree else self.root
        below = [part for part in re.split(r"[/\\]", path[len(root) :]) if part not in ("", ".")]
        is_below = path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/", "\\")
        if not root or not is_below or ".." in below or not all(map(str.isprintable, below)):
            return str(self._here)
        return str(self._here.joinpath(*below))

    def _root(self, directories: Sequence[str], name: str) -> str:
        for path in directories:
            if tree := _WORK_TREE.match(path):
                return tree[1]
        outside = [path for path in directories if not _DESKTOP_TREE.match(path)]
        for path in outside:
            ends = [m.start() for m in re.finditer(r"[/\\]|$", path) if m.start()]
            named = [end for end in ends if re.split(r"[/\\]", path[:end])[-1].lower() == name]
            for end in (*named, *ends):
                if self._has(path[end:].replace("\\", "/").strip("/")):
                    return path[:end]
        return outside[0] if outside else ""
