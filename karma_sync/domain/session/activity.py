"""The activity of a session, in numbers and paths: the facts behind `who` and `session stats`.

An agent's adapter finds them in the records; the facts of a record depend on that record alone.
"""

import posixpath
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

STRETCH_S = 300  # a session counts as active for each stretch in which something was written
HOUR_S = 3600

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
# Directories in which many repositories lie; a root that contains one of the others is none.
_SHARED = re.compile(r"/|/(home|Users)(/[^/]+)?|/root|/tmp|[A-Za-z]:/?|[A-Za-z]:/Users(/[^/]+)?")
# Where agents make work trees (docs/agent-files.md): everything up to the tree's own name.
_WORK_TREE = re.compile(r".*/(?:\.claude/worktrees|\.worktrees|\.claude-worktrees/[^/]+)/[^/]+")


class StatsBy(StrEnum):
    """The ways to group figures of sessions."""

    MEMBER = "member"
    TEAM = "team"
    PROJECT = "project"
    DAY = "day"
    AGENT = "agent"
    MODEL = "model"
    TOOL = "tool"


class Call(NamedTuple):
    """A use of a tool; `path` is the file that it reads or changes, as it was given."""

    id: str
    tool: str
    path: str = ""
    changes: bool = False


class Response(NamedTuple):
    """The tokens of one response of a model, as far as this record has them."""

    id: str
    model: str
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0


class Activity(NamedTuple):
    """The facts of one record; `results` are the ids of calls that ended, and whether they failed.

    `message` is the record's id, `is_turn` whether it is a prompt that a person typed.
    """

    message: str = ""
    cwd: str = ""
    is_turn: bool = False
    response: Response | None = None
    calls: tuple[Call, ...] = ()
    results: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class WantedFile:
    """A file or a directory that is asked for.

    - `path` lies in the repository of one of `projects`; of any project if that is None. "" is the
      repository itself.
    - `whole` is the same file as a path on this machine. It finds own sessions of no project too.
    - `since` (UTC) limits when, `changes_only` what was done.
    """

    path: str
    projects: Collection[str] | None = None
    whole: str = ""
    since: datetime | None = None
    changes_only: bool = False


def absolute(path: str, cwd: str) -> str:
    """A path as one that begins at the root, with slashes, seen from the directory `cwd`."""
    path, cwd = _slashed(path), _slashed(cwd)
    is_absolute = path.startswith("/") or _WINDOWS.match(path)
    whole = path if is_absolute or not cwd else f"{cwd}/{path}"
    return posixpath.normpath(whole)


def root_of(path: str, cwds: Iterable[str], project: str) -> str:
    """The directory of the repository that has an absolute path; "" if none of these can be it.

    `cwds` are the directories in which the session worked, and `project` its project. A work tree
    of an agent comes first, then a directory with the repository's name, then the directory that
    contains the others.
    """
    if tree := _WORK_TREE.match(path):
        return tree[0]
    known = [each for cwd in cwds if (each := posixpath.normpath(_slashed(cwd)))]
    name = project.rpartition("/")[2].lower()
    above = [each for each in known if _contains(each, path)]
    named = [each for each in above if name and posixpath.basename(each).lower() == name]
    parents = (parent for cwd in known for parent in _parents(cwd))
    named = named or [
        each
        for each in parents
        if name and posixpath.basename(each).lower() == name and _contains(each, path)
    ]
    own = [each for each in above if not _SHARED.fullmatch(each)]
    return min(named or own or above, key=len, default="")


def _contains(directory: str, path: str) -> bool:
    return path.startswith(directory if directory.endswith("/") else f"{directory}/")


def _parents(path: str) -> Iterable[str]:
    while (parent := posixpath.dirname(path)) != path:
        path = parent
        yield path


def _slashed(path: str) -> str:
    return path.replace("\\", "/") if _WINDOWS.match(path) else path
