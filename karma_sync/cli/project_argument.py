"""Finds the project that an argument names: `.`, a unique ending, or the whole name."""

from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.errors import BadInput, NotFound
from karma_sync.paths import current_directory

if TYPE_CHECKING:
    from karma_sync.domain.access import AccessScope


def project_named(app: App, project: str) -> str:
    """Return the name to look for; for `.`, the project of this directory.

    Raises:
        NotFound: this directory is in no project, or in a fork whose upstream is shared.
    """
    if project != ".":
        return project
    from karma_sync.git.repository import other_identities, repository_at
    from karma_sync.service.projects import shared_names

    identity = project_here(app)
    repository = repository_at(current_directory())
    shared = shared_names(app.state)
    others = other_identities(repository.remotes()) if repository else {}
    for other, remote in others.items():
        if identity not in shared and other in shared:
            raise NotFound(
                f"no team of yours shares {identity}, the remote `origin` here; one shares {other},"
                f" the remote `{remote}`",
                hint=f"karma-sync accept {other}",
            )
    return identity


def project_here(app: App) -> str:
    """Return the project of this directory.

    Raises:
        NotFound: it is in no project.
    """
    from karma_sync.git.repository import identity_of

    here = current_directory()
    return app.matcher.places.of(str(here)).identity or identity_of(here)


def readable_named(app: App, scope: "AccessScope", project: str) -> str:
    """Return the project of which a person wants to read, among those in the scope.

    Raises:
        NotFound: `.` is in no project, or there is nothing to read of the project.
        BadInput: several fit.
    """
    from karma_sync.service.projects import other_names, readable_project

    wanted = project_here(app) if project == "." else project
    return readable_project(wanted, app.sessions.projects(scope), other_names(app.state))


def meant(app: App, project: str) -> str:
    """Return the identity of a project: a shared one by `.` or an ending, any by its whole name.

    Raises:
        NotFound: `.` is in no project.
        BadInput: it fits several projects, or none and has no host.
    """
    from karma_sync.domain.session.project import find_project
    from karma_sync.git.remote import typed_identity
    from karma_sync.service import projects

    if project == ".":
        return project_named(app, project)
    aliases = projects.other_names(app.state)
    shared = projects.shared_names(app.state) - aliases.keys()
    try:
        return find_project(project, shared, aliases)
    except NotFound as error:
        try:
            return typed_identity(project)
        except BadInput as neither:
            raise BadInput(f"{neither}, and {error}", hint=neither.hint) from None
