"""Directories whose repository goes under another name than the one a project was shared under."""

from dataclasses import dataclass, field

from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.project import Place, Where
from karma_sync.store import state
from karma_sync.store.database import Database


@dataclass(frozen=True)
class Renames:
    """Directories from which a project's sessions do not leave, by the name that git gives now.

    `moved` had one of the project's names before. `told` have one that the team knows, and I did
    not agree to.
    """

    moved: dict[str, list[str]] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)


def renames(store: Database, box: Channel) -> Renames:
    """What keeps sessions from going into this outbox of mine, as far as it was noticed."""
    with store.reading() as tx:
        roots = [root for root in state.roots.all(tx) if not root.mapped]
        shared = {name for t in state.teams.all(tx) for p in t.projects for name in p.names}
    names, found = box.names, Renames()
    for root in roots:
        place = Place(Where.PROJECT, root.project, former=root.former)
        if names.of(place) == names.project:
            continue
        if root.project in names.aliases:
            found.told.setdefault(root.project, []).append(root.path)
        elif root.project not in shared and {names.project, *names.aliases} & set(root.former):
            found.moved.setdefault(root.project, []).append(root.path)
    return found
