"""Use case of `project list`: my projects and my teams', whether they lie here or not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from karma_sync.domain.access import AccessScope
from karma_sync.service.projects import ProjectAnswers
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.store import state, usage
from karma_sync.store.database import Database


@dataclass(frozen=True)
class Standing:
    """A team that shares a project, and my answer to it; `members` are those who take part."""

    team: str
    answer: str
    members: tuple[str, ...]


@dataclass
class ListedProject:
    """A project, and the sessions of it that I can read.

    `clones` are its directories on this machine. `members` have sessions here: tags, the one with
    most first. `last` (UTC) is the last activity in any of them.
    """

    project: str
    teams: list[Standing] = field(default_factory=list)
    clones: list[str] = field(default_factory=list)
    mine: int = 0
    sessions: int = 0
    members: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)
    last: datetime | None = None

    @property
    def is_offered(self) -> bool:
        """Whether a team shares it and waits for my answer."""
        return any(standing.answer == "offered" for standing in self.teams)

    def see(self, branches: Iterable[str], active: datetime | None) -> None:
        """Note the branches of one more session, and when it was active."""
        self.branches += [branch for branch in branches if branch not in self.branches]
        self.last = max(filter(None, (self.last, active)), default=None)


def project_list(
    states: Database,
    sessions: ReadableSessions,
    scope: AccessScope,
    answers: Iterable[ProjectAnswers],
) -> list[ListedProject]:
    """Every project, the last active first, then those without sessions by name."""
    found: dict[str, ListedProject] = {}
    for each in answers:
        taking = tuple(member.tag for member, theirs in each.others if theirs.engaged)
        standing = Standing(each.team.name, each.mine.status.value, taking)
        found.setdefault(each.project, ListedProject(each.project)).teams.append(standing)
    _add_sessions(found, sessions, scope)
    with states.reading() as tx:
        for root in state.roots.all(tx):
            name = sessions.other_names.get(root.project, root.project)
            if name in found and Path(root.path).is_dir():
                found[name].clones.append(root.path)
    recent = sorted((p for p in found.values() if p.last), key=_last, reverse=True)
    return [*recent, *sorted((p for p in found.values() if not p.last), key=lambda p: p.project)]


def _last(project: ListedProject) -> tuple[float, str]:
    return (project.last.timestamp() if project.last else 0.0, project.project)


def _add_sessions(
    found: dict[str, ListedProject], sessions: ReadableSessions, scope: AccessScope
) -> None:
    """Count the sessions of the library, and own ones that only the archive has."""
    with sessions.library.store.reading() as tx:
        rows = usage.with_branches(tx, scope)
    known = {(row.agent.partition("/")[0], row.session) for row in rows if row.member == scope.user}
    once = {(row.project, row.member, row.session): row for row in reversed(rows)}
    counted: dict[str, Counter[str]] = {}
    for row in once.values():
        project = found.setdefault(row.project, ListedProject(row.project))
        counted.setdefault(row.project, Counter())[row.member] += 1
        project.see(row.branches, datetime.fromisoformat(row.active))
    for archived in sessions.only_archived(scope):
        facts, name = archived.manifest.session, archived.manifest.project
        if name and (facts.agent, facts.session_id) not in known:
            project = found.setdefault(name, ListedProject(name))
            counted.setdefault(name, Counter())[scope.user] += 1
            project.see(facts.branches, facts.last_activity)
    for name, members in counted.items():
        project = found[name]
        found[name] = ListedProject(
            name,
            project.teams,
            mine=members[scope.user],
            sessions=members.total(),
            members=[tag for tag, count in members.most_common() if count],
            branches=project.branches,
            last=project.last,
        )
