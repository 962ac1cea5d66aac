"""Projects are named by their git remote, whatever its spelling: `host/owner/repo`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from karma_sync.domain import limits
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, NotFound


class SharedProject(Value, frozen=True, kw_only=True):
    """A project on a team's roster; `incarnation` grows when it is shared again.

    `aliases` are other names of the same repository: it was renamed, or moved.
    """

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
        return self.changed(aliases=tuple(sorted((*self.aliases, name))))

    def without(self, name: str) -> "SharedProject":
        """The project with this one not among its other names."""
        kept = tuple(alias for alias in self.aliases if alias != name)
        return self.changed(aliases=kept)


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
