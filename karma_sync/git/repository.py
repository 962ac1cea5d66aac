"""Asks git about the repository that contains a directory: its roots, remotes and work trees."""

import os
import re
import subprocess  # noqa: S404 it runs git only, with a list of arguments, never a shell
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from karma_sync.errors import BadInput, KarmaError, NotFound
from karma_sync.files import is_open
from karma_sync.git.remote import expanded, git_identity
from karma_sync.git.ssh import behind_alias

ORIGIN = "origin"
_WHERE = ("--git-common-dir", "--show-toplevel")
_TIMEOUT_S = 10
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


class GitMissing(NotFound):
    """git is not installed, so nobody can find out where a directory lies."""


@dataclass(frozen=True)
class Repository:
    """A repository, seen from the directory `seen`, in which git is asked.

    `top` is the root of the main work tree (of this one, if nothing tells where the main one lies),
    `tree` the root of this work tree, `config` the file with the repository's configuration.
    """

    top: Path
    tree: Path
    config: Path
    seen: Path

    def remotes(self) -> dict[str, str]:
        """The URL from which git fetches each remote, by the remote's name.

        Shorthands are replaced as git does it (`expanded`), aliases of ssh by the real host. A
        remote counts only if a file names it: one from the environment would be that of every
        repository.

        Raises:
            KarmaError: git cannot read the configuration.
        """
        pattern = r"^(remote\..*\.url|url\..*\.insteadof)$"
        question = ("config", "-z", "--show-origin", "--get-regexp", pattern)
        code, out, complaint = _git(self.seen, *question)
        if code not in {0, 1}:
            raise KarmaError(
                f"git cannot read the remotes of {self.tree}: {complaint}",
                hint=f"git -C {self.tree} remote -v",
            )
        found: dict[str, str] = {}
        shorthands: dict[str, str] = {}
        origins, entries = out.split("\0")[:-1:2], out.split("\0")[1::2]
        for origin, entry in zip(origins, entries, strict=True):
            key, _, value = entry.partition("\n")
            if key.startswith("url."):
                shorthands[value] = key.removeprefix("url.").removesuffix(".insteadof")
            elif origin.startswith("file:"):
                found.setdefault(key.removeprefix("remote.").removesuffix(".url"), value)
        return {name: behind_alias(expanded(url, shorthands)) for name, url in found.items()}

    def roots(self) -> set[Path]:
        """The roots of all work trees, including those whose directories have vanished.

        A directory that holds nothing of the repository but its git directory is none of them: it
        may hold anything else.
        """
        listed = _work_trees(self.seen)
        linked = set(listed[1:])  # git takes the first from the place of the git directory
        return linked | {root for root in (self.top, self.tree) if _has_work_tree(root)}


def repository_at(path: Path) -> Repository | None:
    """The repository that contains a directory; None if none does.

    Raises:
        KarmaError: git fails for another reason, so there may be a repository it cannot read.
    """
    # without --path-format, which needs git 2.31
    code, out, complaint = _git(path, "rev-parse", *_WHERE)
    if "must be run in a work tree" in complaint:  # a bare repository, or within `.git`
        code, out, complaint = _git(path, "rev-parse", _WHERE[0])
    if code:
        if "not a git repository (or any" not in complaint:
            raise KarmaError(
                f"git cannot read the repository at {path}: {complaint}",
                hint=f"git -C {path} status",
            )
        damaged = _damaged_repository(path)
        if damaged:
            raise KarmaError(
                f"git does not recognise {damaged} as a repository",
                hint=f"git -C {path} status",
            )
        return None
    first, *more = _without_end(out).split("\n")
    tree = more[0] if more else ""
    if len(more) > 1:  # a name holds a line end, so ask for each by itself
        first, tree = (_without_end(_git(path, "rev-parse", q)[1]) for q in _WHERE)
    # relative to the directory in which git ran
    common = Path(os.path.realpath(Path(os.path.realpath(path), first)))
    top = _main_work_tree(common, tree)
    return Repository(top, Path(tree) if tree else top, common / "config", path)


def _without_end(out: str) -> str:
    """An answer of git without its line end; a name may end with a blank, or with a line end."""
    return out.removesuffix("\n")


def _work_trees(path: Path) -> list[Path]:
    """The roots of all work trees of a repository, the main one first."""
    command = ("worktree", "list", "--porcelain")
    code, out, _ = _git(path, *command, "-z")
    if code == 0:
        parts = out.split("\0")
        return [Path(part[9:]) for part in parts if part.startswith("worktree ")]
    code, out, _ = _git(path, *command)  # git before 2.36 does not know -z
    entries = [entry.split("\n") for entry in out.split("\n\n")] if code == 0 else []
    return [
        Path(lines[0][9:])
        for lines in entries
        # of a name that holds a line end, the rest would stand in place of this
        if len(lines) > 1 and (lines[1].startswith("HEAD ") or lines[1] == "bare")
    ]


def _main_work_tree(common: Path, tree: str) -> Path:
    """The root of the main work tree, from the common git directory and a work tree ("": none).

    A linked work tree shares its git directory with the main one, which holds it. But a git
    directory may also lie apart from its only work tree (`git init --separate-git-dir`).
    """
    if common.name != ".git":
        return Path(tree or common)
    if not tree or Path(tree) == common.parent:
        return common.parent
    code, own, _ = _git(Path(tree), "rev-parse", "--git-dir")
    is_linked = code == 0 and os.path.realpath(Path(tree, _without_end(own))) != os.path.realpath(
        common
    )
    return common.parent if is_linked and _has_work_tree(common.parent) else Path(tree)


def _has_work_tree(root: Path) -> bool:
    """Whether a directory may be the root of a work tree.

    It is none if it holds a git directory, and of the files in the last commit not a single one.
    """
    if not (root / ".git").is_dir():
        return True
    code, out, _ = _git(root, "ls-tree", "-z", "--name-only", "HEAD")
    names = [name for name in out.split("\0") if name] if code == 0 else []
    return not names or any(os.path.lexists(root / name) for name in names)


def _damaged_repository(path: Path) -> Path | None:
    """The nearest `.git` above a directory that git skipped, so it must be damaged; None if none.

    Its repository may be of any project, so the directory must not count as outside of any.
    """
    for directory in (path, *path.parents):
        dot_git = directory / ".git"
        if dot_git.is_file() or (dot_git.is_dir() and not _is_empty(dot_git)):
            return dot_git
    return None


def _is_empty(folder: Path) -> bool:
    return is_open(folder) and not list(folder.iterdir())


def toplevel(path: Path) -> Path | None:
    """The root of the main work tree of the repository that contains `path`; None if none does.

    Raises:
        KarmaError: git fails for another reason, so there may be a repository it cannot read.
    """
    found = repository_at(path)
    return found.top if found else None


def has_branch(path: Path, branch: str) -> bool:
    """Whether the repository at `path` has a branch of this name, its own or a remote's."""
    code, out, _ = _git(path, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")
    if code:
        return False
    names = (ref.split("/", 3) for ref in out.splitlines())
    return any(
        branch == "/".join(parts[2:]) or (parts[1] == "remotes" and branch == parts[-1])
        for parts in names
    )


def has_commit(path: Path, commit: str) -> bool:
    """Whether the repository at `path` has a commit; `commit` begins its hash."""
    if not _COMMIT.fullmatch(commit):
        return False
    return _git(path, "cat-file", "-e", f"{commit}^{{commit}}")[0] == 0


def identity_of(path: Path, remote: str = ORIGIN) -> str:
    """The project identity of a directory, by a remote of its repository.

    Raises:
        NotFound: `path` is not in a repository, or the repository has no such remote.
        BadInput: the remote does not name a repository on a host.
        KarmaError: git cannot read the repository.
    """
    found = repository_at(path)
    if found is None:
        step = f"karma-sync project map {quote(str(path))} PROJECT"
        raise NotFound(
            f"{path} is not in a git repository",
            hint=f"change to the project's directory, or {step}",
        )
    return identity_by_remote(found, found.remotes(), remote)


def identity_by_remote(
    repository: Repository, remotes: dict[str, str], remote: str = ORIGIN
) -> str:
    """The project identity of a repository, by one of its remotes.

    Raises:
        NotFound: the repository has no such remote.
        BadInput: the remote does not name a repository on a host.
    """
    if remote not in remotes:
        raise NotFound(
            f"{repository.tree} has no remote `{remote}`",
            hint=f"git remote add {remote} https://HOST/OWNER/REPO",
        )
    return git_identity(remotes[remote])


def other_identities(remotes: dict[str, str], identity: str = "") -> dict[str, str]:
    """The identities other than `identity` that remotes name, each with its remote's name."""
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
    """Run git in `path`; returns its exit code, exact output, and error output on one line.

    Of the GIT_* variables only those that name configuration are kept, such as `safe.directory`:
    others can make git answer for another repository. A directory on another file system, mounted
    into a work tree, belongs to it. The language is English, because callers read the error output.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or _configures(k)}
    ours = {"LC_ALL": "C", "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1"}
    try:
        done = subprocess.run(  # noqa: S603 see above
            ["git", "-C", str(path), *arguments],  # noqa: S607 the user's own git
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=kept | ours,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise GitMissing("git is not installed", hint="install git") from None
    except subprocess.TimeoutExpired:
        raise KarmaError(
            f"git did not answer for {path} within {_TIMEOUT_S} seconds",
            hint=f"git -C {path} status",
        ) from None
    complaint = done.stderr.decode(errors="replace")
    return done.returncode, os.fsdecode(done.stdout), " ".join(complaint.split())


def _configures(variable: str) -> bool:
    """Whether a variable names configuration (git-config(1), "Environment").

    `GIT_CONFIG` is none of them: it names the one file that `git config` reads.
    """
    return variable.startswith("GIT_CONFIG_")
