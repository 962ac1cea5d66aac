"""Finds out to which project a working directory belongs, by asking git for the remote.

The name of a directory never decides. Directories that belong to projects are remembered, because
sessions mention directories that have vanished since.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain.session.project import Place, Where, identity_below, root_of
from karma_sync.errors import KarmaError
from karma_sync.git.repository import (
    GitMissing,
    Repository,
    identity_by_remote,
    other_identities,
    repository_at,
)

_FRESH_S = 60.0
# Folders in which agents make work trees inside of a repository (docs/agent-files.md).
_WORK_TREES = ("/.claude/worktrees/", "/.worktrees/")


@dataclass(frozen=True)
class _Known:
    """A place that was found, when (monotonic seconds), and the state of git's configuration.

    `changed_ns` is the time of the file `config` (Unix nanoseconds).
    """

    at: float
    place: Place
    config: Path | None = None
    changed_ns: int = 0

    def is_fresh(self) -> bool:
        """Whether the place is still valid: for a minute, unless git's configuration changed."""
        fresh = time.monotonic() - self.at < _FRESH_S
        return fresh and (self.config is None or _changed_ns(self.config) == self.changed_ns)


class Places:
    """Finds the places of directories; asks git at most once a minute for each directory.

    - `mapped` (path -> identity): directories that the person assigned to a project. This
      overrides git for the named repository, but not for another repository below it.
    - `learned` (path -> identity): directories that git assigned to a project. Directories below
      one of them still count after they vanished.
    - `former`: the identities that a learned directory had before.
    """

    def __init__(self) -> None:
        self.mapped: dict[str, str] = {}
        self.learned: dict[str, str] = {}
        self.former: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, _Known] = {}
        self._news: dict[str, str] = {}

    def of(self, cwd: str) -> Place:
        """The place of one working directory."""
        known = self._known.get(cwd)
        if known is None or not known.is_fresh():
            known = self._known[cwd] = self._find(cwd)
        return known.place

    def know(
        self,
        mapped: Mapping[str, str],
        learned: Mapping[str, str],
        former: Mapping[str, tuple[str, ...]] = {},
    ) -> bool:
        """Take over which directories belong to projects; returns whether anything changed."""
        is_news = dict(mapped) != self.mapped or any(
            self.former.get(path) != before for path, before in former.items() if before
        )
        if is_news:
            self.mapped = dict(mapped)
            self.former = {path: before for path, before in former.items() if before}
            self._known.clear()
        self.learned = {**learned, **self.learned}
        return is_news

    def with_mapped(self, mapped: Mapping[str, str]) -> "Places":
        """Places with the same learned directories, but with these mappings."""
        other = Places()
        other.know(mapped, self.learned, self.former)
        return other

    def take_news(self) -> dict[str, str]:
        """The directories that were learned since the last call (path -> identity)."""
        news, self._news = self._news, {}
        if news:  # a vanished directory may lie below one of them, so look again
            self._known = {
                cwd: known
                for cwd, known in self._known.items()
                if known.place.where is not Where.ELSEWHERE
            }
        return news

    def _find(self, cwd: str) -> _Known:
        at, path = time.monotonic(), Path(cwd)
        if path.is_absolute() and path.is_dir():
            return self._find_on_disk(at, path)
        if ".." in path.parts:
            cwd = real_path(cwd)  # a path with `..` may only seem to lie below a known directory
        identity = _below(cwd, {**self.learned, **self.mapped})
        if identity:
            return _Known(at, Place(Where.PROJECT, identity, former=self._former(cwd)))
        home = _home_of_work_tree(cwd)
        if home and (found := self._find_on_disk(at, home)).place.where is Where.PROJECT:
            return found
        return _Known(at, Place(Where.ELSEWHERE, why="the directory is gone"))

    def _find_on_disk(self, at: float, path: Path) -> _Known:
        try:
            repository = repository_at(path)
            if repository is None:
                mapped = _below(str(path), self.mapped)
                return _Known(at, Place(Where.PROJECT, mapped) if mapped else Place(Where.NEUTRAL))
            changed_ns = _changed_ns(repository.config)  # taken before git reads the file
            place = self._place_in(repository, path)
        except GitMissing:
            raise
        except KarmaError as error:
            return _Known(at, self._elsewhere(path, str(error)))
        return _Known(at, place, repository.config, changed_ns)

    def _place_in(self, repository: Repository, path: Path) -> Place:
        remotes = repository.remotes()
        mapped = _mapped_identity(path, repository, self.mapped)
        if mapped:
            return Place(Where.PROJECT, mapped)
        try:
            identity = identity_by_remote(repository, remotes)
        except KarmaError as error:
            others = tuple(other_identities(remotes))
            return self._elsewhere(path, str(error), others)
        self._learn(repository, path, identity)
        others = tuple(other_identities(remotes, identity))
        former = self._former(str(repository.tree))
        return Place(Where.PROJECT, identity, others=others, former=former)

    def _elsewhere(self, path: Path, why: str, others: tuple[str, ...] = ()) -> Place:
        mapped = _below(str(path), self.mapped)
        if mapped:
            return Place(Where.PROJECT, mapped)
        return Place(Where.ELSEWHERE, why=why, others=others)

    def _former(self, path: str) -> tuple[str, ...]:
        root = root_of(path, self.former) or root_of(real_path(path), self.former)
        return self.former[root] if root is not None else ()

    def _learn(self, repository: Repository, seen: Path, identity: str) -> None:
        """Remember the repository's directories, so that they still count after they vanished.

        This includes its other work trees, which agents make anywhere and delete again. If `seen`
        is a path through a link, that path is remembered too, because the link may vanish.
        """
        linked = {str(seen)} if real_path(str(seen)) != str(seen) else set[str]()
        if all(self.learned.get(p) == identity for p in (str(repository.tree), *linked)):
            return
        for path in filter(_is_text, linked | {str(root) for root in repository.roots()}):
            before = self.learned.get(path)
            if before == identity:
                continue
            if before is not None:
                self.former[path] = (*self.former.get(path, ()), before)
            self.learned[path] = self._news[path] = identity


def _is_text(path: str) -> bool:
    """Whether a path is UTF-8: no record and no database can hold another one."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _below(cwd: str, roots: Mapping[str, str]) -> str | None:
    """The identity of the root that contains a directory, by its path or by its real path."""
    return identity_below(cwd, roots) or identity_below(real_path(cwd), roots)


def real_path(cwd: str) -> str:
    """The real path of a directory, with links resolved; a relative path stays as it is."""
    try:
        return os.path.realpath(cwd) if cwd.startswith("/") else cwd
    except ValueError:
        return cwd


def _mapped_identity(path: Path, repository: Repository, mapped: Mapping[str, str]) -> str | None:
    """The identity that the person assigned to this repository, or to a directory in it."""
    if str(repository.top) in mapped:
        return mapped[str(repository.top)]
    root = root_of(str(path), mapped) or root_of(real_path(str(path)), mapped)
    if root is None or not Path(os.path.realpath(root)).is_relative_to(repository.tree):
        return None
    return mapped[root]


def _home_of_work_tree(cwd: str) -> Path | None:
    """The root of the repository in which a vanished work tree lay.

    None if the path is not that of a work tree, or the repository has vanished too. The part of
    the path before the work trees' folder must be the root of a repository; that it lies somewhere
    in a repository proves nothing.
    """
    for folder in _WORK_TREES:
        root, found, name = cwd.partition(folder)
        if found and name and Path(root).is_dir():
            try:
                repository = repository_at(Path(root))
            except GitMissing:
                raise
            except KarmaError:
                continue
            if repository and repository.tree == Path(os.path.realpath(root)):
                return repository.tree
    return None


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
