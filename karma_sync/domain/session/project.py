"""Defines projects, and decides to which project a session belongs.

A project is named by its git remote as `host/owner/repo` (`git/remote.py`). Where a working
directory lies (`Place`) is found out by `git/places.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from karma_sync.domain import limits
from karma_sync.domain.ids import next_version
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, IllegalMove, NotFound


class SharingStatus(StrEnum):
    SHARED = "shared"
    UNSHARED = "unshared"  # nothing new is sent; what was exchanged stays


PROJECT_MOVES: Mapping[tuple[SharingStatus, str], SharingStatus] = {
    (SharingStatus.SHARED, "unshare"): SharingStatus.UNSHARED,
    (SharingStatus.UNSHARED, "share"): SharingStatus.SHARED,
}


class SharedProject(Value, frozen=True, kw_only=True):
    """A project on a team's roster.

    `incarnation` grows when the project is shared again: an answer to an earlier incarnation is no
    answer to the present one. `aliases` are other names of the same repository, which was renamed
    or moved.
    """

    identity: str
    incarnation: int
    aliases: tuple[str, ...] = ()
    status: SharingStatus = SharingStatus.SHARED

    def share(self, now_ms: int) -> "SharedProject":
        """The project after it was shared again.

        Raises:
            IllegalMove: it is shared already.
        """
        return self._move("share", incarnation=next_version(self.incarnation, now_ms))

    def unshare(self) -> "SharedProject":
        """The project after the leader took it off the roster.

        Raises:
            IllegalMove: it is not shared.
        """
        return self._move("unshare")

    def _move(self, verb: str, **changes: int) -> "SharedProject":
        try:
            status = PROJECT_MOVES[self.status, verb]
        except KeyError:
            raise IllegalMove(f"cannot {verb} {self.identity}: it is {self.status}") from None
        return self.changed(status=status, **changes)

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the project, first the one under which it was shared."""
        return (self.identity, *self.aliases)

    def with_alias(self, name: str) -> "SharedProject":
        """The project with one more name.

        Raises:
            BadInput: the project has the largest possible number of names.
        """
        if name in self.names:
            return self
        if len(self.aliases) >= limits.ALIASES:
            raise BadInput(
                f"{self.identity} already has {limits.ALIASES} other names, the most a project"
                " can have"
            )
        return self.changed(aliases=tuple(sorted((*self.aliases, name))))

    def without_alias(self, name: str) -> "SharedProject":
        """The project without this other name."""
        kept = tuple(alias for alias in self.aliases if alias != name)
        return self.changed(aliases=kept)


def find_project(wanted: str, known: Iterable[str], aliases: Mapping[str, str] = {}) -> str:
    """The one known project whose identity or alias equals `wanted` or ends in `/wanted`.

    `aliases` maps other names to identities.

    Raises:
        NotFound: no project fits.
        BadInput: several projects fit; the hint names them.
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
    """Whether a directory belongs to a project."""

    PROJECT = "project"
    NEUTRAL = "neutral"  # in no repository: a home directory, a temporary directory
    ELSEWHERE = "elsewhere"  # in a repository without a usable remote, or the directory vanished


@dataclass(frozen=True)
class Place:
    """The place of one working directory.

    `identity` is set in a project; `why` gives the reason for `Where.ELSEWHERE`. `others` are the
    identities of the repository's other remotes; they are proposed to the person, never used.
    `former` are identities that the same directory had before its repository was renamed.
    """

    where: Where
    identity: str = ""
    why: str = ""
    others: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """The names under which a directory counts as part of one project.

    `aliases` are the other names on the roster. The roster alone must not make me send more, so
    an alias counts only if I agreed to it, or if the same directory formerly had the project's
    name or a name that I agreed to.
    """

    project: str
    aliases: frozenset[str] = frozenset()
    agreed: frozenset[str] = frozenset()

    def of(self, place: Place) -> str:
        """The identity of a place; the project's identity if the place has another name of it."""
        if place.identity not in self.aliases:
            return place.identity
        renamed = bool({self.project, *self.agreed} & set(place.former))
        return self.project if renamed or place.identity in self.agreed else place.identity


@dataclass(frozen=True)
class Belonging:
    """The project to which a session belongs, or the reasons why it belongs to none.

    A session that worked in a project and in another place belongs to no project. Then `mixed`
    names the projects in which it worked, and `elsewhere` the directories outside of projects.
    """

    project: str = ""
    mixed: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def others(self, project: str) -> tuple[str, ...]:
        """All other places in which the session worked: directories first, then projects."""
        return tuple(p for p in (*self.elsewhere, *self.mixed) if p != project)


def belonging_of(places: Mapping[str, Place], names: Names | None = None) -> Belonging:
    """The project of a session that worked in these places.

    A session belongs to a project only if none of its directories lies in another project or
    elsewhere. `places` maps each working directory of the session to its place; `names` are the
    names of the project in question.
    """
    known = names or Names("")
    projects = sorted({known.of(p) for p in places.values() if p.where is Where.PROJECT})
    elsewhere = sorted(cwd for cwd, p in places.items() if p.where is Where.ELSEWHERE)
    if len(projects) == 1 and not elsewhere:
        return Belonging(project=projects[0])
    return Belonging(mixed=tuple(projects), elsewhere=tuple(elsewhere))


def identity_below(path: str, roots: Mapping[str, str]) -> str | None:
    """The identity of the longest root that contains `path`, or equals it; None if none does.

    `roots` maps directories to identities.
    """
    root = root_of(path, roots)
    return None if root is None else roots[root]


def root_of(path: str, roots: Iterable[str]) -> str | None:
    """The longest root that contains `path`, or equals it; None if none does."""
    found = [
        root
        for root in roots
        if path == root or path.startswith(tuple(root.rstrip("/\\") + s for s in "/\\"))
    ]
    return max(found, key=len, default=None)
