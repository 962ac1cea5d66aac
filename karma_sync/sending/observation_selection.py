"""Decides which observations of this machine leave for a project, and why each other one stays.

The same decision serves the sender, and what a person is shown before consenting.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

from karma_sync.agents.observations import OWN
from karma_sync.domain.session.observation import (
    Observation,
    SourceObservation,
    StayReason,
    moment_text,
)
from karma_sync.domain.session.project import Names, Place, Where
from karma_sync.domain.session.selection import Choices, Limits, Unshared, Whose
from karma_sync.git.places import real_path

# Reasons of observations that have nothing to do with the project: nobody needs to be told.
_UNCONCERNED = frozenset({StayReason.OTHER_PROJECT, StayReason.NO_PROJECT})
# Of observations held back for these reasons, earlier versions stay with the others as they were.
_FROZEN = frozenset(
    {StayReason.WITHHELD, StayReason.EARLIER, StayReason.EXCLUDED, StayReason.TOO_LARGE}
)


@dataclass(frozen=True)
class Rules:
    """Everything that the person decided about the observations of one project.

    `author` is the tag under which they leave. `received` are the ids that came from others.
    """

    names: Names
    limits: Limits
    choices: Choices
    author: str
    unshared: Set[Unshared] = frozenset()
    received: Set[str] = frozenset()

    @cached_property
    def since(self) -> str:
        """The first moment that counts, as records have it; "" if all do."""
        return moment_text(self.limits.since) if self.limits.since is not None else ""

    @cached_property
    def withdrawn(self) -> frozenset[str]:
        """The ids of the observations that were unshared."""
        return frozenset(
            each.name
            for each in self.unshared
            if each.whose is Whose.OBSERVATION and not each.lifted
        )


@dataclass(frozen=True)
class Selected:
    """The observations of a source that leave, and those that stay, each with the reason."""

    leaves: list[Observation] = field(default_factory=list)
    stays: list[tuple[SourceObservation, StayReason]] = field(default_factory=list)

    @property
    def frozen(self) -> frozenset[str]:
        """The ids of those that stay at the receivers as they left."""
        return frozenset(each.record.id for each, why in self.stays if why in _FROZEN)

    @property
    def removed(self) -> frozenset[str]:
        """The ids of those that are deleted at the receivers if they left before."""
        return frozenset(each.record.id for each, why in self.stays if why not in _FROZEN)

    @property
    def concerning(self) -> list[tuple[SourceObservation, StayReason]]:
        """The observations that stay although they belong, or may belong, to this project."""
        return [(each, why) for each, why in self.stays if why not in _UNCONCERNED]


class ObservationSelector:
    """Selects observations; `place_of` returns where a directory lies, `roots` the known projects.

    `roots` maps directories to the identities of their projects.
    """

    def __init__(
        self,
        place_of: Callable[[str], Place],
        roots: Callable[[], Mapping[str, str]],
    ) -> None:
        self._place_of = place_of
        self.roots = roots

    def stamp(self) -> int:
        """A value that changes whenever a project's directories do."""
        return hash(frozenset(self.roots().items()))

    def select(self, source: str, found: Iterable[SourceObservation], rules: Rules) -> Selected:
        """Split a source's observations into those that leave for one project and the others."""
        selected = Selected()
        known = projects_by_name(self.roots())
        for each in found:
            why = self._why(source, each, rules, known)
            if why is None:
                record = each.record.changed(author=rules.author, scope="project", project="")
                selected.leaves.append(record)
            else:
                selected.stays.append((each, why))
        return selected

    def _why(
        self,
        source: str,
        each: SourceObservation,
        rules: Rules,
        known: Mapping[str, Set[str]],
    ) -> StayReason | None:
        """The reason why an observation stays; None if it leaves."""
        concerned = self._project(source, each, rules, known)
        if concerned in _UNCONCERNED:
            return concerned
        return each.stays or _chosen(each, rules) or concerned or _limited(each, rules)

    def _project(
        self,
        source: str,
        each: SourceObservation,
        rules: Rules,
        known: Mapping[str, Set[str]],
    ) -> StayReason | None:
        """The reason why an observation does not belong to the project; None if it does."""
        names = rules.names
        mine = {names.project, *names.agreed}
        if source == OWN:
            return None if each.project in mine else StayReason.OTHER_PROJECT
        named = known.get(each.project.lower(), frozenset())
        places = [self._place_of(path) for path in each.directories]
        projects = {names.of(place) for place in places if place.where is Where.PROJECT}
        if projects:
            fits = projects == {names.project} and (not named or bool(mine & named))
            return None if fits else StayReason.OTHER_PROJECT
        if not named:
            return StayReason.NO_PROJECT
        if not mine & named:
            return StayReason.OTHER_PROJECT
        return None if named <= mine else StayReason.AMBIGUOUS


def _chosen(each: SourceObservation, rules: Rules) -> StayReason | None:
    """The reason why an observation stays, if the person's choice or its origin gives one."""
    if each.record.id in rules.received:
        return StayReason.FOREIGN
    if each.record.id in rules.withdrawn:
        return StayReason.UNSHARED
    return StayReason.WITHHELD if each.record.id in rules.choices.observations else None


def _limited(each: SourceObservation, rules: Rules) -> StayReason | None:
    """The reason why an observation stays, if the limits of the project give one."""
    choices = rules.choices
    if (choices.exclusions or choices.behind) and choices.excluded(
        {path: real_path(path) for path in each.directories}
    ):
        return StayReason.EXCLUDED
    changed = each.record.updated or each.record.created
    return StayReason.EARLIER if changed < rules.since else None


def projects_by_name(roots: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The identities of projects by the names that Engram may give them, in lower case.

    Engram names a project after its remote or its directory.
    """
    found: dict[str, set[str]] = {}
    for path, identity in roots.items():
        for name in (identity.rpartition("/")[2], path.rstrip("/").rpartition("/")[2]):
            if name:
                found.setdefault(name.lower(), set()).add(identity)
    return {name: frozenset(identities) for name, identities in found.items()}
