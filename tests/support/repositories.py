"""Empty git repositories: git makes the first one of a process, and the others are copies."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_REMOTE = """[remote "origin"]
\turl = {url}
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""


def make_repository(place: Path, remote: str | None) -> None:
    """Make an empty repository in this directory, with that URL as `origin`, or with no remote."""
    for name, content in _made_by_git().items():
        path = place / ".git" / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.write_bytes(content)
    if remote:
        with (place / ".git" / "config").open("a") as config:
            config.write(_REMOTE.format(url=remote))


@cache
def _made_by_git() -> dict[str, bytes | None]:
    """The files that `git init` makes in `.git`: content by path, None for a directory.

    Directories come before what is in them.
    """
    with TemporaryDirectory() as folder:
        # an empty template: without it, git copies a dozen sample hooks
        subprocess.run(["git", "init", "--quiet", "--template=", folder], check=True)
        git = Path(folder, ".git")
        return {
            str(path.relative_to(git)): None if path.is_dir() else path.read_bytes()
            for path in sorted([git, *git.rglob("*")])
        }
