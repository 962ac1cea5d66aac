"""What git says of the repository around a directory: its roots, its remotes, its work trees."""

import os
import subprocess  # noqa: S404 git is the one to ask; a list of arguments, never a shell
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from karma_sync.errors import BadInput, KarmaError, NotFound
from karma_sync.files import is_open
from karma_sync.git.remote import effective, git_identity

ORIGIN = "origin"
_TIMEOUT_S = 10


class GitMissing(NotFound):
    """Without git nobody can tell where a directory lies."""


@dataclass(frozen=True)
class Repository:
    """A repository: the root of its main work tree, that of this one, and its configuration."""

    top: Path
    tree: Path
    config: Path

    def remotes(self) -> dict[str, str]:
        """The URL by name of each remote; of several URLs the one that is fetched from.

        As git would take it: with what its configuration puts for a shorthand.

        Raises:
            KarmaError: git cannot read them.
        """
        pattern = r"^(remote\..*\.url|url\..*\.insteadof)$"
        code, out, said = _git(self.tree, "config", "-z", "--get-regexp", pattern)
        if code not in {0, 1}:
            raise KarmaError(
                f"git cannot read the remotes of {self.tree}: {said}",
                hint=f"git -C {self.tree} remote -v",
            )
        found: dict[str, str] = {}
        shorthands: dict[str, str] = {}
        for entry in filter(None, out.split("\0")):
            key, _, value = entry.partition("\n")
            if key.startswith("url."):
                shorthands[value] = key.removeprefix("url.").removesuffix(".insteadof")
            else:
                found.setdefault(key.removeprefix("remote.").removesuffix(".url"), value)
        return {name: effective(url, shorthands) for name, url in found.items()}

    def work_trees(self) -> list[Path]:
        """The roots of all its work trees, those included whose directory vanished meanwhile."""
        code, out, _ = _git(self.tree, "worktree", "list", "--porcelain")
        lines = out.splitlines() if code == 0 else []
        return [Path(line[9:]) for line in lines if line.startswith("worktree ")]


def repository_at(path: Path) -> Repository | None:
    """The repository that a directory is in; None outside of any.

    Raises:
        KarmaError: git fails for another reason: there may be a repository it cannot read.
    """
    where = ("rev-parse", "--path-format=absolute", "--git-common-dir")
    code, out, said = _git(path, *where, "--show-toplevel")
    if "must be run in a work tree" in said:  # a bare repository, or within `.git`
        code, out, said = _git(path, *where)
    if code:
        if "not a git repository (or any" not in said:
            raise KarmaError(
                f"git cannot read the repository at {path}: {said}", hint=f"git -C {path} status"
            )
        damaged = _looks_like_one(path)
        if damaged:
            raise KarmaError(f"git takes {damaged} for no repository", hint=f"git -C {path} status")
        return None
    common, _, tree = out.partition("\n")
    # a linked work tree shares its repository's directory: it belongs to the repository
    top = Path(common).parent if Path(common).name == ".git" else Path(tree or common)
    return Repository(top, Path(tree) if tree else top, Path(common) / "config")


def _looks_like_one(path: Path) -> Path | None:
    """What git would have looked into, were it not damaged: it may be anybody's repository."""
    for each in (path, *path.parents):
        place = each / ".git"
        if place.is_file() or (place.is_dir() and not _is_empty(place)):
            return place
    return None


def _is_empty(folder: Path) -> bool:
    return is_open(folder) and not list(folder.iterdir())


def toplevel(path: Path) -> Path | None:
    """The root of the repository's main work tree that `path` is in; None outside of any.

    Raises:
        KarmaError: git fails for another reason: there may be a repository it cannot read.
    """
    found = repository_at(path)
    return found.top if found else None


def identity_of(path: Path, remote: str = ORIGIN) -> str:
    """The project identity that a remote gives, `origin` unless another is asked for.

    Raises:
        NotFound: `path` is in no repository, or the repository has no such remote.
        BadInput: the remote names no repository on a host.
        KarmaError: git cannot read the repository.
    """
    found = repository_at(path)
    if found is None:
        step = f"karma-sync project map {quote(str(path))} PROJECT"
        raise NotFound(
            f"{path} is in no git repository", hint=f"change to the project's directory, or {step}"
        )
    return named_by(found, found.remotes(), remote)


def named_by(repository: Repository, remotes: dict[str, str], remote: str = ORIGIN) -> str:
    """The identity that one of a repository's remotes gives.

    Raises:
        NotFound: it has no such remote.
        BadInput: the remote names no repository on a host.
    """
    if remote not in remotes:
        raise NotFound(
            f"{repository.tree} has no remote `{remote}`",
            hint=f"git remote add {remote} https://HOST/OWNER/REPO",
        )
    return git_identity(remotes[remote])


def other_identities(remotes: dict[str, str], identity: str = "") -> dict[str, str]:
    """What the remotes name besides `identity`: the remote's name by identity, sorted."""
    found: dict[str, str] = {}
    for name, url in sorted(remotes.items()):
        try:
            other = git_identity(url)
        except BadInput:
            continue
        if other != identity:
            found.setdefault(other, name)
    return found


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
        raise KarmaError(
            f"git did not answer for {path} within {_TIMEOUT_S} seconds",
            hint=f"git -C {path} status",
        ) from None
    return done.returncode, done.stdout.strip(), " ".join(done.stderr.split())
