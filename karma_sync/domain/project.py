"""Projects are named by their git remote, whatever its spelling: `host/owner/repo`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

from karma_sync.errors import BadInput, NotFound

_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?(?P<host>\[[^\]]+\]|[^:/\s]+):(?P<path>(?!//).+)")
_SEGMENT = re.compile(r"[a-z0-9_~+.@-]+")
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"ssh": 22, "https": 443, "http": 80, "git": 9418}


class SharedProject(BaseModel):
    """A project on a team's roster; `incarnation` grows when it is shared again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    incarnation: int


def git_identity(remote: str) -> str:
    """`host/owner/repo` of a git remote in any spelling, in lower case.

    Host and owner stay in it, so `org/team-repo` and `org-team/repo`, and the same path on two
    hosts, never meet. A port that is not the scheme's own stays too: another port is another
    server. Spellings: git-fetch(1), section "Git URLs".

    Raises:
        BadInput: a local path, or no remote at all.
    """
    text = remote.strip()
    host, path = _split_remote(text)
    segments = [s for s in unquote(path).lower().removesuffix(".git").split("/") if s]
    identity = "/".join([host.lower(), *segments])
    if not is_identity(identity):
        raise BadInput(
            f"{_without_password(text)!r} does not name a repository on a host",
            hint="git remote set-url origin https://HOST/OWNER/REPO",
        )
    return identity


def is_identity(text: str) -> bool:
    """Whether `text` has the form that `git_identity` gives: a host, then at least one name."""
    host, *segments = text.split("/")
    names = all(_SEGMENT.fullmatch(s) and s not in {".", ".."} for s in segments)
    return _HOST.fullmatch(host) is not None and bool(segments) and names


def _split_remote(text: str) -> tuple[str, str]:
    if "://" in text:
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            return "", ""
        if parts.scheme not in {"ssh", "https", "http", "git", "git+ssh", "ssh+git"}:
            return "", ""
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        if port and port != _DEFAULT_PORTS.get(parts.scheme.replace("git+", "").split("+")[0]):
            host = f"{host}:{port}"
        return host, parts.path.rstrip("/")
    scp = _SCP_LIKE.fullmatch(text)
    if scp and "\\" not in text:
        return scp["host"], scp["path"].rstrip("/")
    return "", ""


def _without_password(text: str) -> str:
    return re.sub(r"//[^@/]*@", "//", text)


def find_project(wanted: str, known: Iterable[str]) -> str:
    """The one known identity that equals `wanted` or ends in `/wanted`.

    Raises:
        NotFound: none does.
        BadInput: more than one does; the hint names them.
    """
    names = sorted(set(known))
    if wanted.lower() in names:
        return wanted.lower()
    endings = [name for name in names if name.endswith("/" + wanted.lower().strip("/"))]
    if len(endings) == 1:
        return endings[0]
    if endings:
        raise BadInput(f"{wanted!r} fits several projects", hint=" or ".join(endings))
    raise NotFound(
        f"no team of yours shares a project {wanted!r}", hint="karma-sync subscription list"
    )


class Where(StrEnum):
    """What a directory is, seen from projects."""

    PROJECT = "project"
    NEUTRAL = "neutral"  # in no repository: home, a temporary directory
    ELSEWHERE = "elsewhere"  # a repository without a usable remote, or a vanished directory


@dataclass(frozen=True)
class Place:
    """Where one working directory lies; `identity` is set for projects, `why` for elsewhere."""

    where: Where
    identity: str = ""
    why: str = ""


@dataclass(frozen=True)
class Belonging:
    """To which project a session belongs, or why it belongs to none.

    A session that worked in a project and somewhere else belongs to none: then `mixed` names
    the projects, and `elsewhere` the directories that lie in none.
    """

    project: str = ""
    mixed: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def other_than(self, project: str) -> str:
        """One place that is not this project."""
        return next(p for p in (*self.elsewhere, *self.mixed) if p != project)


def belongs(places: Mapping[str, Place]) -> Belonging:
    """A session belongs to a project only if no directory in it lies anywhere else.

    `places` maps each working directory of the session to its place.
    """
    projects = sorted({p.identity for p in places.values() if p.where is Where.PROJECT})
    elsewhere = sorted(cwd for cwd, p in places.items() if p.where is Where.ELSEWHERE)
    if len(projects) == 1 and not elsewhere:
        return Belonging(project=projects[0])
    return Belonging(mixed=tuple(projects), elsewhere=tuple(elsewhere))


def below(path: str, roots: Mapping[str, str]) -> str | None:
    """The identity of the longest root that `path` equals or lies below; None if there is none."""
    found = [root for root in roots if path == root or path.startswith(root.rstrip("/\\") + "/")]
    found += [root for root in roots if path.startswith(root.rstrip("/\\") + "\\")]
    return roots[max(found, key=len)] if found else None
