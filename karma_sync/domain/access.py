"""Access to projects: the one rule for reading and writing that every library query follows."""

from dataclasses import dataclass, replace

ADMIN = "admin"
READ, WRITE = "read", "write"


def project_id(team: str, project: str) -> str:
    """A project of one team: `TEAM-ID/host/owner/repo`.

    The team is part of it: what one team may see of a project, another team that shares the same
    project does not.
    """
    return f"{team}/{project}"


def admin_of(team: str) -> str:
    """The role of a team's leader."""
    return f"{team}:{ADMIN}"


def reading(project: str) -> str:
    """The scope that lets a reader read one project; `project` is an id as `project_id` makes."""
    return f"{project}:{READ}"


def writing(project: str) -> str:
    """The scope that lets a reader write one project, and read it."""
    return f"{project}:{WRITE}"


@dataclass(frozen=True)
class AccessScope:
    """A reader, and what the reader may see; without rights it sees nothing.

    - `user`: the reader's tag. A session that the reader wrote is the reader's own.
    - `teams`: the IDs of the reader's teams. Nothing of another team is visible.
    - `projects`: projects that the reader reads and writes, as `project_id` names them.
    - `roles`: `TEAM-ID:admin` opens every project of that team.
    - `scopes`: `PROJECT-ID:read` and `PROJECT-ID:write` open one project.
    - `agents`: the agents whose sessions are visible, such as `claude-code/reviewer`; None for all.
    - `only`: names of projects beyond which the reader does not look now; None for no such limit.
    - `sees_own`: whether the reader looks at own sessions that belong to no team, in the archive.
    """

    user: str
    teams: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    agents: frozenset[str] | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    sees_own: bool = True

    def can_access_project(self, project: str, write: bool = False) -> bool:
        """Whether the reader may read a project, or write it; `project` as `project_id` names it.

        The rule, the first that fits:
        1. Nothing of a team that is not the reader's, and nothing beyond `only`.
        2. A team's admin reads and writes all its projects.
        3. A project of the reader's own (`projects`) is read and written.
        4. `PROJECT:write` lets it be written and read, `PROJECT:read` lets it be read.
        """
        team, _, name = project.partition("/")
        if team not in self.teams or not self._looks_at(name):
            return False
        if admin_of(team) in self.roles or project in self.projects:
            return True
        return writing(project) in self.scopes or (not write and reading(project) in self.scopes)

    def can_read(self, team: str, project: str, author: str, agent: str) -> bool:
        """Whether the reader may see a session: its own, or one of a project that it may read."""
        if self.agents is not None and agent not in self.agents:
            return False
        if author == self.user:
            return team in self.teams and self._looks_at(project)
        return self.can_access_project(project_id(team, project))

    def within(
        self,
        team: str | None = None,
        project: str | None = None,
        agent: str | None = None,
    ) -> "AccessScope":
        """The same reader, limited to this team, project and agent.

        It never allows more than before. `project` is a name, without the team.
        """
        kept = self
        if team is not None:
            kept = replace(kept, teams=kept.teams & {team}, sees_own=False)
        if project is not None:
            kept = replace(kept, only=_narrowed(kept.only, project))
        if agent is not None:
            kept = replace(kept, agents=_narrowed(kept.agents, agent))
        return kept

    @property
    def open_teams(self) -> frozenset[str]:
        """The teams of which the reader is the admin."""
        return frozenset(team for team in self.teams if admin_of(team) in self.roles)

    @property
    def readable_projects(self) -> frozenset[str]:
        """The projects that `projects` and `scopes` let the reader read, by `project_id`."""
        named = {s.rpartition(":")[0] for s in self.scopes if s.endswith((f":{READ}", f":{WRITE}"))}
        return self.projects | named

    def _looks_at(self, name: str) -> bool:
        return self.only is None or name in self.only


def _narrowed(known: frozenset[str] | None, name: str) -> frozenset[str]:
    return frozenset({name}) if known is None else known & {name}
