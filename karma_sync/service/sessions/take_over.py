"""Use case of `observation import`: takes over what the person saved with Engram elsewhere."""

from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from karma_sync.agents.engram.chunks import ChunkStore
from karma_sync.agents.engram.taking import ImportResult, TakenOver, taken
from karma_sync.agents.observations import OWN, OwnObservations, SourceContent
from karma_sync.domain.session.observation import SourceObservation
from karma_sync.domain.team.subscription import Content
from karma_sync.sending.observation_selection import projects_by_name
from karma_sync.service.projects import ProjectAnswers
from karma_sync.service.sessions.observations import (
    LeavingObservations,
    ObservationSurvey,
    require_on,
    require_subscription,
)
from karma_sync.service.sessions.preview import Outlet


@dataclass(frozen=True)
class _Pending:
    """A source with the observations that would be taken over."""

    content: SourceContent
    name: str = field(default=OWN, init=False)

    def stamp(self) -> Hashable:
        """A constant: the observations never change."""
        return None

    def directories(self) -> Sequence[Path]:
        """Nothing is watched."""
        return []

    def read(self) -> SourceContent:
        """The observations that would be taken over."""
        return self.content


@dataclass(frozen=True)
class TakeOver:
    """The new observations of a store, for the project with this identity."""

    project: str
    new: TakenOver

    def leaving(self, outlet: Outlet, survey: ObservationSurvey) -> LeavingObservations:
        """The new observations that would leave for a project that is sent."""
        found = [SourceObservation(each, self.project) for each in self.new.found]
        pending = _Pending(SourceContent([each for each in found if not each.record.deleted]))
        only = replace(survey, parts=replace(survey.parts, sources=[pending]))
        return only.leaving(outlet, [Content.OBSERVATIONS], outlet[0].mine.limits)

    def carry_out(self, own: OwnObservations) -> ImportResult:
        """Save it beside what `observation add` saved."""
        if self.new.found:
            own.add_all(self.new.found, self.project)
        return self.new.result


def require_importing(answers: Sequence[ProjectAnswers], *, is_on: bool) -> None:
    """Refuse before anything is opened where no observations are shared.

    Raises:
        Conflict: the message begins with the reason code.
    """
    require_on(is_on=is_on)
    require_subscription(answers)


def take_over(
    store: ChunkStore, authors: Set[str], project: str, survey: ObservationSurvey
) -> TakeOver:
    """Find the observations of a store that are new here; nothing is written.

    Raises:
        BadChunk: its manifest is damaged.
    """
    roots = survey.parts.selector.roots()
    names = {name for name, those in projects_by_name(roots).items() if those == {project}}
    names.add(project.rpartition("/")[2].lower())
    return TakeOver(project, taken(store, authors, names, survey.parts.own.versions()))
