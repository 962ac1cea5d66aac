"""Commands about projects."""

from pathlib import Path
from typing import Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.consent import DirectionOption, SinceOption, TeamOption, YesOption, consented
from karma_sync.cli.output import next_step, say
from karma_sync.cli.setup import say_if_down


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Projects: share one, map a directory to one.")
    group.command()(share)
    group.command(name="map")(map_)
    app.add_typer(group, name="project")


def share(
    directory: Annotated[Path, typer.Argument(help="A directory of the repository.")] = Path(),
    team: TeamOption = None,
    direction: DirectionOption = None,
    since: SinceOption = None,
    yes: YesOption = False,
) -> None:
    """Share the project of a directory with a team that you lead, and accept it yourself.

    It is named by the remote `origin`. Example: karma-sync project share .
    """
    from karma_sync.service import projects
    from karma_sync.sources.git import identity_of

    app = App.from_environment()
    identity = identity_of(directory.absolute())
    standing = projects.prepare_share(app.state, app.me, identity, team)
    terms = consented(app, standing, direction, since, yes)
    projects.share(app.state, app.me, standing, terms, utc_now())
    say(f"{identity} is shared with {standing.team.name}.")
    say_if_down(app)
    next_step("karma-sync session list")


def map_(
    directory: Annotated[str, typer.Argument(help="The directory; it need not exist any more.")],
    project: Annotated[str, typer.Argument(help="The project: host/owner/repo, or its URL.")],
) -> None:
    """Say that a directory without a git remote, or a vanished one, belongs to a project.

    Example: karma-sync project map /home/alice/old-clone github.com/acme/web
    """
    from karma_sync.domain.project import git_identity
    from karma_sync.service import projects

    app = App.from_environment()
    identity = git_identity(project if "://" in project or "@" in project else f"https://{project}")
    projects.map_directory(app.state, directory, identity)
    say(f"Sessions in {directory} belong to {identity}.")
    say_if_down(app)
