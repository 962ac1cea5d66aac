"""Where a working directory lies: git is asked for the remote, names are never guessed from."""

import os
import subprocess  # noqa: S404 git is the one to ask; a list of arguments, never a shell
import time
from collections.abc import Mapping
from pathlib import Path

from karma_sync.domain.project import Place, Where, below, git_identity
from karma_sync.errors import KarmaError, NotFound

_TIMEOUT_S = 10
_FRESH_S = 60.0


class GitMissing(NotFound):
    """Without git nobody can tell where a directory lies."""


class Places:
    """Answers where directories lie, asking git at most once a minute for each.

    `mapped` directories (path -> identity) belong to a project because the person said so,
    `learned` ones because git did: what lay below one of them counts after it vanished.
    """

    def __init__(self) -> None:
        self.mapped: dict[str, str] = {}
        self.learned: dict[str, str] = {}
        self._known: dict[str, tuple[float, Place]] = {}
        self._news: dict[str, str] = {}

    def of(self, cwd: str) -> Place:
        """The place of one working directory."""
        known = self._known.get(cwd)
        if known and time.monotonic() - known[0] < _FRESH_S:
            return known[1]
        place = self._look(cwd)
        self._known[cwd] = time.monotonic(), place
        return place

    def know(self, mapped: Mapping[str, str], learned: Mapping[str, str]) -> bool:
        """Take over what is known about directories that belong to projects; whether it is news."""
        news = dict(mapped) != self.mapped
        if news:
            self.mapped = dict(mapped)
            self._known.clear()
        self.learned = {**learned, **self.learned}
        return news

    def take_news(self) -> dict[str, str]:
        """What git said since the last call that was not known (path -> identity)."""
        news, self._news = self._news, {}
        return news

    def _look(self, cwd: str) -> Place:
        path = Path(cwd)
        if path.is_absolute() and path.is_dir():
            return self._look_on_disk(path)
        identity = below(cwd, {**self.learned, **self.mapped})
        if identity:
            return Place(Where.PROJECT, identity)
        return Place(Where.ELSEWHERE, why="the directory is gone")

    def _look_on_disk(self, path: Path) -> Place:
        mapped = below(str(path), self.mapped)
        try:
            top = toplevel(path)
            if top is None:
                return Place(Where.PROJECT, mapped) if mapped else Place(Where.NEUTRAL)
            identity = identity_of(top)
        except GitMissing:
            raise
        except KarmaError as error:
            if mapped:
                return Place(Where.PROJECT, mapped)
            return Place(Where.ELSEWHERE, why=str(error))
        if self.learned.get(str(top)) != identity:
            self.learned[str(top)] = self._news[str(top)] = identity
        return Place(Where.PROJECT, identity)


def toplevel(path: Path) -> Path | None:
    """The root of the repository's main work tree that `path` is in; None outside of any.

    Raises:
        KarmaError: git fails for another reason: there may be a repository it cannot read.
    """
    code, out, said = _git(
        path, "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel"
    )
    if code:
        if "not a git repository (or any" in said:
            return None
        raise KarmaError(f"git cannot read the repository at {path}: {said}")
    common, _, top = out.partition("\n")
    # a linked work tree shares its repository's directory: it belongs to the repository
    return Path(common).parent if Path(common).name == ".git" else Path(top)


def identity_of(path: Path) -> str:
    """The project identity that the remote `origin` gives.

    Raises:
        NotFound: `path` is in no repository, or the repository has no such remote.
        BadInput: the remote names no repository on a host.
        KarmaError: git cannot read the repository.
    """
    if toplevel(path) is None:
        raise NotFound(
            f"{path} is in no git repository", hint="change to the project's directory first"
        )
    code, remote, _ = _git(path, "config", "--get", "remote.origin.url")
    if code or not remote:
        raise NotFound(
            f"the repository at {path} has no remote `origin`",
            hint="git remote add origin https://HOST/OWNER/REPO",
        )
    return git_identity(remote)


def _git(path: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and complaint of git, run in `path`.

    GIT_* variables are left out: they would make git answer for another repository. It speaks
    English, because we read what it complains about.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 see above
            ["git", "-C", str(path), *arguments],  # noqa: S607 the user's own git
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            env=environment | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise GitMissing("git is not installed", hint="install git") from None
    except subprocess.TimeoutExpired:
        raise KarmaError(f"git did not answer for {path} within {_TIMEOUT_S} seconds") from None
    return done.returncode, done.stdout.strip(), done.stderr.strip()
