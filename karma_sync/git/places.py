"""Where a working directory lies: git is asked for the remote, names are never guessed from."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain.session.project import Place, Where, below, root_of
from karma_sync.errors import KarmaError
from karma_sync.git.repository import (
    GitMissing,
    Repository,
    named_by,
    other_identities,
    repository_at,
)

_FRESH_S = 60.0
# Where agents make work trees inside of a repository (docs/agent-files.md).
_WORK_TREES = ("/.claude/worktrees/", "/.worktrees/")


@dataclass(frozen=True)
class _Known:
    """What was found, when (monotonic seconds), and the state of the repository's configuration."""

    at: float
    place: Place
    config: Path | None = None
    changed_ns: int = 0

    def holds(self) -> bool:
        """Whether it still does: for a minute, and not after a remote was changed."""
        fresh = time.monotonic() - self.at < _FRESH_S
        return fresh and (self.config is None or _changed_ns(self.config) == self.changed_ns)


class Places:
    """Answers where directories lie, asking git at most once a minute for each.

    `mapped` directories (path -> identity) belong to a project because the person said so; that
    beats git for the very repository that was named, and never for one below it. `learned` ones
    belong because git did say so: what lay below one of them counts after it vanished. `former`
    are identities that a learned directory had before.
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
        if known is None or not known.holds():
            known = self._known[cwd] = self._look(cwd)
        return known.place

    def know(
        self,
        mapped: Mapping[str, str],
        learned: Mapping[str, str],
        former: Mapping[str, tuple[str, ...]] = {},
    ) -> bool:
        """Take over what is known about directories that belong to projects; whether it is news."""
        news = dict(mapped) != self.mapped or any(
            self.former.get(path) != before for path, before in former.items() if before
        )
        if news:
            self.mapped = dict(mapped)
            self.former = {path: before for path, before in former.items() if before}
            self._known.clear()
        self.learned = {**learned, **self.learned}
        return news

    def take_news(self) -> dict[str, str]:
        """What git said since the last call that was not known (path -> identity)."""
        news, self._news = self._news, {}
        if news:  # a vanished directory may lie below one of these
            kept = {c: k for c, k in self._known.items() if k.place.where is not Where.ELSEWHERE}
            self._known = kept
        return news

    def _look(self, cwd: str) -> _Known:
        at, path = time.monotonic(), Path(cwd)
        if path.is_absolute() and path.is_dir():
            return self._look_on_disk(at, path)
        if ".." in path.parts:
            cwd = _real(cwd)  # as it is written it may seem to lie in a repository
        identity = _below(cwd, {**self.learned, **self.mapped})
        if identity:
            return _Known(at, Place(Where.PROJECT, identity, former=self._former(cwd)))
        home = _home_of_work_tree(cwd)
        if home and (found := self._look_on_disk(at, home)).place.where is Where.PROJECT:
            return found
        return _Known(at, Place(Where.ELSEWHERE, why="the directory is gone"))

    def _look_on_disk(self, at: float, path: Path) -> _Known:
        try:
            repository = repository_at(path)
            if repository is None:
                mapped = _below(str(path), self.mapped)
                return _Known(at, Place(Where.PROJECT, mapped) if mapped else Place(Where.NEUTRAL))
            changed_ns = _changed_ns(repository.config)  # before it is read
            place = self._place_in(repository, path)
        except GitMissing:
            raise
        except KarmaError as error:
            return _Known(at, self._elsewhere(path, str(error)))
        return _Known(at, place, repository.config, changed_ns)

    def _place_in(self, repository: Repository, path: Path) -> Place:
        remotes = repository.remotes()
        said = _said_of(path, repository, self.mapped)
        if said:
            return Place(Where.PROJECT, said)
        try:
            identity = named_by(repository, remotes)
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
        root = root_of(path, self.former) or root_of(_real(path), self.former)
        return self.former[root] if root is not None else ()

    def _learn(self, repository: Repository, seen: Path, identity: str) -> None:
        """Remember where the repository lies, so that it counts after it vanished.

        So do its other work trees: agents make them anywhere, and delete them. A directory that
        was `seen` behind a link is remembered too, because the link may vanish.
        """
        linked = {str(seen)} if _real(str(seen)) != str(seen) else set[str]()
        if all(self.learned.get(p) == identity for p in (str(repository.tree), *linked)):
            return
        roots = {repository.top, repository.tree, *repository.work_trees()}
        for path in linked | {str(root) for root in roots}:
            before = self.learned.get(path)
            if before == identity:
                continue
            if before is not None:
                self.former[path] = (*self.former.get(path, ()), before)
            self.learned[path] = self._news[path] = identity


def _below(cwd: str, roots: Mapping[str, str]) -> str | None:
    """The identity of the root that a directory lies below, as it is named or where it leads."""
    return below(cwd, roots) or below(_real(cwd), roots)


def _real(cwd: str) -> str:
    """Where a directory leads, if there are links in its name; the name itself if it is none."""
    try:
        return os.path.realpath(cwd) if cwd.startswith("/") else cwd
    except ValueError:
        return cwd


def _said_of(path: Path, repository: Repository, mapped: Mapping[str, str]) -> str | None:
    """What the person said of this repository, or of a directory in it."""
    if str(repository.top) in mapped:
        return mapped[str(repository.top)]
    root = root_of(str(path), mapped) or root_of(_real(str(path)), mapped)
    if root is None or not Path(os.path.realpath(root)).is_relative_to(repository.tree):
        return None
    return mapped[root]


def _home_of_work_tree(cwd: str) -> Path | None:
    """The repository in which a vanished work tree lay; None if it was none, or that is gone too.

    Its directory must be a repository's very root: a parent that happens to be in one says
    nothing.
    """
    for mark in _WORK_TREES:
        root, found, name = cwd.partition(mark)
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
