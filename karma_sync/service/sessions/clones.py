"""Finds the clones on this machine in which an agent can go on with a session."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from karma_sync.domain.session.project import Where
from karma_sync.errors import BadInput, Conflict, KarmaError, NotFound
from karma_sync.git.places import Places
from karma_sync.git.repository import repository_at


@dataclass(frozen=True)
class Clone:
    """A directory in which the agent is started, and the root of the work tree around it."""

    start: Path
    root: Path


@dataclass(frozen=True)
class Clones:
    """Finds clones by git identity.

    `known` are directories by the project that git, or the person, named there; `other_names` maps
    other names of shared projects to their present ones.
    """

    places: Places
    known: Mapping[str, str]
    other_names: Mapping[str, str]

    def at(self, directory: Path, project: str) -> Clone:
        """The clone at a directory that the person named, for a session of this project.

        Raises:
            BadInput: it is no directory.
            Conflict: it belongs to another project, or to none.
        """
        if not directory.is_dir():
            raise BadInput(f"{directory} is not a directory", hint="--into DIR, an existing clone")
        place = self.places.of(str(directory))
        if project and (place.where is not Where.PROJECT or self._name(place.identity) != project):
            what = place.identity or place.why or "in no repository"
            raise Conflict(
                f"{directory} is no clone of {project}: it is {what}",
                hint=f"karma-sync project map {quote(str(directory))} {project}",
            )
        return Clone(directory, _root_of(directory))

    def fitting(self, project: str, here: Path) -> list[Clone]:
        """The clones of a project; only the one around `here`, if that is one.

        Raises:
            NotFound: there is none.
        """
        if project and self._is_of(here, project):
            root = _root_of(here)
            return [Clone(root, root)]
        found = (path for path, name in sorted(self.known.items()) if self._name(name) == project)
        roots = [root for root in _main_trees(found) if self._is_of(root, project)]
        if not roots:
            raise NotFound(
                f"no clone of {project or 'its project'} is known on this machine",
                hint="--into DIR, or change to the clone",
            )
        return [Clone(root, root) for root in roots]

    def _is_of(self, directory: Path, project: str) -> bool:
        place = self.places.of(str(directory))
        return place.where is Where.PROJECT and self._name(place.identity) == project

    def _name(self, project: str) -> str:
        return self.other_names.get(project, project)


def the_clone(found: Sequence[Clone]) -> Clone:
    """The one clone.

    Raises:
        BadInput: there are several.
    """
    if len(found) > 1:
        some = " or ".join(f"--into {quote(str(each.start))}" for each in found[:5])
        raise BadInput("several clones of the project are on this machine", hint=some)
    return found[0]


def _root_of(directory: Path) -> Path:
    """The root of the work tree around a directory; itself where there is none."""
    try:
        repository = repository_at(directory)
    except KarmaError:
        return directory
    return repository.tree if repository else directory


def _main_trees(directories: Iterable[str]) -> list[Path]:
    """The main work trees of the repositories that exist, each once."""
    found: dict[Path, None] = {}
    for each in directories:
        path = Path(each)
        if not path.is_dir():
            continue
        try:
            repository = repository_at(path)
        except KarmaError:
            continue
        root = repository.top if repository and repository.top.is_dir() else path
        found[Path(os.path.realpath(root))] = None
    return list(found)
