"""Projects are named by their git remote, whatever its spelling: `host/owner/repo`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

from karma_sync.domain import limits
from karma_sync.errors import BadInput, NotFound

_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?(?P<host>\[[^\]]+\]|[^:/\s]+):(?P<path>(?!//).+)")
_SEGMENT = re.compile(r"[a-z0-9_~+.@-]+")
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_DEFAULT_PORTS = {"ssh": 22, "https": 443, "http": 80, "git": 9418}
# Where a forge takes ssh on the port of https, for networks that let nothing else out.
_SAME_HOST = {
    "ssh.github.com:443": "github.com",  # docs.github.com, "Using SSH over the HTTPS port"
    "altssh.gitlab.com:443": "gitlab.com",  # docs.gitlab.com, "GitLab.com settings"
    "altssh.bitbucket.org:443": "bitbucket.org",  # support.atlassian.com, "port 443"
}


class SharedProject(BaseModel):
    """A project on a team's roster; `incarnation` grows when it is shared again.

    `aliases` are other names of the same repository: it was renamed, or moved.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    incarnation: int
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All its names, the one it was shared under first."""
        return (self.identity, *self.aliases)

    def also(self, name: str) -> "SharedProject":
        """The project with one more name.

        Raises:
            BadInput: it has as many as it can.
        """
        if name in self.names:
            return self
        if len(self.aliases) >= limits.ALIASES:
            raise BadInput(f"{self.identity} has {limits.ALIASES} other names, the most it can")
        return self.model_copy(update={"aliases": tuple(sorted((*self.aliases, name)))})

    def without(self, name: str) -> "SharedProject":
        """The project with this one not among its other names."""
        kept = tuple(alias for alias in self.aliases if alias != name)
        return self.model_copy(update={"aliases": kept})


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
    host = host.lower()
    identity = "/".join([_SAME_HOST.get(host, host), *segments])
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
    if scp and "\\" not in text and not _DRIVE.match(text):
        return scp["host"], scp["path"].rstrip("/")
    return "", ""


def _without_password(text: str) -> str:
    return re.sub(r"//[^@/]*@", "//", text)


def find_project(wanted: str, known: Iterable[str], aliases: Mapping[str, str] = {}) -> str:
    """The one known identity that equals `wanted` or ends in `/wanted`, or that has such an alias.

    Raises:
        NotFound: none does.
        BadInput: more than one does; the hint names them.
    """
    names = {**aliases, **{name: name for name in known}}
    if wanted.lower() in names:
        return names[wanted.lower()]
    ending = "/" + wanted.lower().strip("/")
    endings = sorted({names[name] for name in names if name.endswith(ending)})
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
    """Where one working directory lies; `identity` is set for projects, `why` for elsewhere.

    `others` are the identities of the repository's other remotes: proposed, never taken.
    `former` are identities that the same directory had before: its repository was renamed.
    """

    where: Where
    identity: str = ""
    why: str = ""
    others: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """Under which names I take a directory for one project's.

    `aliases` are what the roster says. That alone sends nothing of mine: an alias counts where I
    agreed to it, or where the same directory bore a name before that I did agree to.
    """

    project: str
    aliases: frozenset[str] = frozenset()
    agreed: frozenset[str] = frozenset()

    def of(self, place: Place) -> str:
        """The identity of a place, the project's own where it goes under another name."""
        if place.identity not in self.aliases:
            return place.identity
        renamed = bool({self.project, *self.agreed} & set(place.former))
        return self.project if renamed or place.identity in self.agreed else place.identity


@dataclass(frozen=True)
class Belonging:
    """To which project a session belongs, or why it belongs to none.

    A session that worked in a project and somewhere else belongs to none: then `mixed` names
    the projects, and `elsewhere` the directories that lie in none.
    """

    project: str = ""
    mixed: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def others(self, project: str) -> tuple[str, ...]:
        """All places in which it worked beside this project: directories, then projects."""
        return tuple(p for p in (*self.elsewhere, *self.mixed) if p != project)


def belongs(places: Mapping[str, Place], names: Names | None = None) -> Belonging:
    """A session belongs to a project only if no directory in it lies anywhere else.

    `places` maps each working directory of the session to its place; `names` are those of the
    project that is asked for.
    """
    known = names or Names("")
    projects = sorted({known.of(p) for p in places.values() if p.where is Where.PROJECT})
    elsewhere = sorted(cwd for cwd, p in places.items() if p.where is Where.ELSEWHERE)
    if len(projects) == 1 and not elsewhere:
        return Belonging(project=projects[0])
    return Belonging(mixed=tuple(projects), elsewhere=tuple(elsewhere))


def below(path: str, roots: Mapping[str, str]) -> str | None:
    """The identity of the longest root that `path` equals or lies below; None if there is none."""
    root = root_of(path, roots)
    return None if root is None else roots[root]


def root_of(path: str, roots: Iterable[str]) -> str | None:
    """The longest root that `path` equals or lies below; None if there is none."""
    found = [
        root
        for root in roots
        if path == root or path.startswith(tuple(root.rstrip("/\\") + s for s in "/\\"))
    ]
    return max(found, key=len, default=None)
