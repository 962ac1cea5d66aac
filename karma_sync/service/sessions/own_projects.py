"""Finds a person's own projects on this machine, and what of them a team would receive."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from karma_sync.domain.session.project import belonging_of
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Team
from karma_sync.sending.eligibility import ProjectMatcher
from karma_sync.service.projects import ProjectAnswers


def own_projects(
    matcher: ProjectMatcher, sessions: Iterable[SourceSession], home: Path
) -> list[str]:
    """The projects to which sessions here belong, sorted; not one that takes all of `home`."""
    found = set()
    for session in sessions:
        try:
            places = matcher.places_of(session, matcher.facts(session))
        except OSError:
            continue  # it disappeared meanwhile
        found.add(belonging_of(places).project)
    return sorted(found - {"", matcher.places.of(str(home)).identity})


def as_offered(
    team: Team, me: PairingCode, projects: Collection[str], receivers: Sequence[Member]
) -> list[ProjectAnswers]:
    """These projects as if the team shared them with these members, and I had not answered."""

    def unanswered(project: str, key: str) -> Subscription:
        return Subscription(team=team.id, project=project, member=key)

    return [
        ProjectAnswers(
            team,
            unanswered(project, me.key),
            [(m, unanswered(project, m.key)) for m in receivers],
        )
        for project in projects
    ]
