"""Commands about projects."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.consent import SharingOptions, consented
from karma_sync.cli.notices import say_if_down
from karma_sync.cli.options import (
    DirectionOption,
    DryRunOption,
    IdleOption,
    LastOption,
    ProfileOption,
    SinceOption,
    TeamOption,
    YesOption,
)
from karma_sync.cli.output import next_step, say
from karma_sync.cli.project.argument import meant
from karma_sync.cli.project.scan import scan
from karma_sync.errors import BadInput, NotFound
from karma_sync.sending import eligibility


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Projects: share one, say what belongs to it.")
    group.command()(share)
    group.command(name="map")(map_)
    group.command()(alias)
    group.command()(scan)
    app.add_typer(group, name="project")


def share(
    directory: Annotated[Path, typer.Argument(help="A directory of the repository.")] = Path(),
    team: TeamOption = None,
    direction: DirectionOption = None,
    since: SinceOption = None,
    last: LastOption = None,
    after_idle: IdleOption = None,
    profile: ProfileOption = None,
    dry_run: DryRunOption = False,
    remote: Annotated[str, typer.Option(help="The remote that names it.")] = "origin",
    yes: YesOption = False,
) -> None:
    """Share a directory's project with a team that you lead. You accept it, too.

    It is named by the remote `origin`. Example: karma-sync project share .
    """
    from karma_sync.service import directories, projects

    app = App.from_environment()
    identity, root = _of_remote(app, directory.absolute(), remote)
    standing = projects.prepare_share(app.state, app.me, identity, team)
    wishes = SharingOptions(direction, since, last, after_idle, profile, yes, dry_run)
    terms = consented(app, standing, wishes)
    if terms is None:
        return
    projects.share(app.state, app.me, standing, terms, utc_now())
    if root:
        directories.map_directory(app.state, str(root), identity)
    say(f"{identity} is shared with {standing.team.name}.")
    say_if_down(app)
    next_step("karma-sync session list")


def _of_remote(app: App, directory: Path, remote: str) -> tuple[str, Path | None]:
    """What a remote names; and the clone's root, where it has to be said that this is meant.

    Other remotes are proposed, never taken.
    """
    from karma_sync.git.repository import ORIGIN, identity_of, other_identities, repository_at

    if not directory.is_dir():
        raise NotFound(f"there is no directory {directory}", hint="karma-sync project share .")
    said = app.matcher.places.of(str(directory)).identity if remote == ORIGIN else ""
    identity = said or identity_of(directory, remote)
    repository = repository_at(directory)
    if repository is None or remote != ORIGIN:
        if repository:  # what would leave is shown as it will be
            app.matcher.places.mapped[str(repository.top)] = identity
        return identity, repository.top if repository else None
    for other, name in other_identities(repository.remotes(), identity).items():
        say(f"`{name}` is {other}; to share that instead: karma-sync project share --remote {name}")
    return identity, None


def alias(
    name: Annotated[
        str, typer.Argument(metavar="NEW", help="The new name: `.`, host/owner/repo, or its URL.")
    ],
    project: Annotated[
        str | None, typer.Option(help="The project, where your clones do not tell it.")
    ] = None,
    team: TeamOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take that back.")] = False,
) -> None:
    """Say that a project has another name. Its repository was renamed, or moved.

    The leader tells the team; others agree. Example: karma-sync project alias github.com/acme/web2
    """
    from karma_sync.git.remote import named
    from karma_sync.git.repository import identity_of
    from karma_sync.service import projects

    app = App.from_environment()
    new = identity_of(Path().absolute()) if name == "." else named(name)
    old = project or _renamed(app, new)
    standing = projects.find(app.state, app.me, old, team)
    if remove:
        if projects.unalias(app.state, app.me, standing, new):
            say(f"{new} is no name of {standing.project} in {standing.team.name} any more.")
        else:
            say(f"You do not agree to {new} as a name of {standing.project} any more.")
        say("What has left stays; to call it back: karma-sync session unshare ID")
    elif projects.alias(app.state, app.me, standing, new):
        say(f"{standing.project} is {new} too, for everybody in {standing.team.name}.")
    else:
        say(f"{standing.project} is {new} too: you send from there.")
    say_if_down(app)
    next_step("karma-sync project scan")


def _renamed(app: App, new: str) -> str:
    """The one project that a directory named `new` was before, or that has this name."""
    from karma_sync.service import projects

    if new in projects.shared_names(app.state):
        return new
    found = projects.renamed_to(app.state, new)
    if len(found) != 1:
        fits = f"several projects were {new} before" if found else f"no project is known as {new}"
        raise BadInput(fits, hint=f"karma-sync project alias {new} --project HOST/OWNER/REPO")
    return found[0]


def map_(
    directory: Annotated[str, typer.Argument(help="The directory; it need not exist any more.")],
    project: Annotated[
        str | None,
        typer.Argument(help="The project: a unique ending such as `web`, host/owner/repo, a URL."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take that back.")] = False,
) -> None:
    """Say that a directory belongs to a project. It may be without git, vanished, or a fork's.

    Example: karma-sync project map /home/alice/old-clone github.com/acme/web
    """
    from karma_sync.service import directories

    if remove == (project is not None):
        raise BadInput(
            "name a directory and its project, or a directory and --remove",
            hint="karma-sync project map DIRECTORY PROJECT",
        )
    app = App.from_environment()
    cwds = [app.matcher.facts(session).cwds for session in app.source.sessions()]
    named = {*eligibility.known_roots(app.state)[0], *chain.from_iterable(cwds)}
    place = directories.place_of(directory, Path().absolute(), Path.home(), named)
    if project is None:
        directories.unmap_directory(app.state, place)
        say(f"Of {place} only git tells from now on to which project it belongs.")
        say("What has left stays; to call it back: karma-sync session unshare ID")
    else:
        identity = meant(app, project)
        directories.map_directory(app.state, place, identity)
        say(f"Sessions in {place} belong to {identity}.")
        _say_what_leaves(app, place, identity, cwds)
    say_if_down(app)
    next_step("karma-sync project scan")


def _say_what_leaves(app: App, place: str, identity: str, cwds: Iterable[list[str]]) -> None:
    """How many of the sessions that worked in these are concerned, and who gets them."""
    from karma_sync.domain.session.project import below
    from karma_sync.service import projects

    count = sum(any(below(cwd, {place: identity}) for cwd in each) for each in cwds)
    say(f"  sessions:    {count}")
    for standing in projects.standings(app.state, app.me):
        if standing.project == identity and standing.mine.sends:
            recipients = ", ".join(m.tag for m in standing.recipients)
            say(
                f"  go to:       {recipients or 'nobody yet'}, in team {standing.team.name},"
                " within your limits"
            )
