"""Use case of whatever gives an agent sessions: how far that agent may look."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.project import Place, Where, find_project
from karma_sync.errors import NoProject
from karma_sync.service.projects import other_names
from karma_sync.store import state
from karma_sync.store.database import Database


@dataclass(frozen=True)
class AgentReach:
    """The reach that a person allows an agent: by default, the project of its directory.

    - `project`: this one instead, by its name or the end of it.
    - `everything`: all projects.
    - `private`: also own sessions that stay on this machine.
    """

    project: str = ""
    everything: bool = False
    private: bool = False


@dataclass(frozen=True)
class AgentScope:
    """The access of an agent, and the project to which it is bound; "" if to none."""

    scope: AccessScope
    project: str = ""


def agent_scope(
    states: Database, scope: AccessScope, key: str, reach: AgentReach, here: Callable[[], Place]
) -> AgentScope:
    """The access of an agent, given the access of the member with this key (`scope`).

    An agent's own transcript may be sent, so own sessions that stay here are left out, unless no
    project is shared at all. `here` returns the place of the agent's working directory.

    Raises:
        NoProject: the directory is in no project, or nobody knows the project that was named.
        BadInput: several projects have the name that the person typed.
    """
    names = other_names(states)
    with states.reading() as tx:
        mine = [s for s in state.subscriptions.all(tx) if s.member == key]
        known = {p.identity for team in state.teams.all(tx) for p in team.projects}
    alone = not any(each.engaged for each in mine)
    scope = scope if alone or reach.private else replace(scope, sees_own=False)
    if reach.everything:
        return AgentScope(scope)
    if reach.project:
        project = find_project(reach.project, known | {s.project for s in mine}, names)
        return AgentScope(scope.within(project=project), project)
    place = here()
    if place.where is not Where.PROJECT:
        raise NoProject(
            "the directory in which the agent works belongs to no project"
            + (f": {place.why}" if place.why else ""),
            hint="ask the person to start karma-sync mcp in a project's directory, or with"
            " --project NAME or --all-projects",
        )
    project = names.get(place.identity, place.identity)
    return AgentScope(scope.within(project=project), project)
