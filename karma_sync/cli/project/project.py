"""The commands `project share`, `unshare`, `propose`, `map` and `alias`."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless, is_terminal
from karma_sync.cli.beginning import (
    AddressOption,
    DiscoveryOption,
    MachineOption,
    NewIdentity,
    UserOption,
    begun,
    has_team,
    team_to_lead,
)
from karma_sync.cli.consent import ConsentOptions, consented
from karma_sync.cli.consent_all import consented_to_all
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import (
    DirectionOption,
    DryRunOption,
    IdleOption,
    LastOption,
    ProfileOption,
    SinceOption,
    TeamOption,
    WholeHomeOption,
    YesOption,
    typed_directory,
)
from karma_sync.cli.output import print_line, print_next
from karma_sync.cli.project.listing import list_projects
from karma_sync.cli.project.scan import scan
from karma_sync.cli.project_argument import meant
from karma_sync.cli.widening import consent_to_more, never
from karma_sync.domain.team.direction import Direction
from karma_sync.errors import BadInput, NeedsConsent, NotFound
from karma_sync.paths import current_directory, directory_at, user_home
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.service.projects import ProjectAnswers

_SENT_STAYS = (
    "Sent sessions stay with the receivers. To withdraw one: karma-sync session unshare ID"
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage projects.")
    group.command()(share)
    group.command()(unshare)
    group.command()(propose)
    group.command(name="map")(map_)
    group.command()(alias)
    group.command(name="list")(list_projects)
    group.command()(scan)
    app.add_typer(group, name="project")


def share(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIRECTORY",
            parser=typed_directory,
            help="A directory of each repository. Default: `.`",
        ),
    ] = None,
    team: TeamOption = None,
    direction: DirectionOption = None,
    since: SinceOption = None,
    last: LastOption = None,
    after_idle: IdleOption = None,
    profile: ProfileOption = None,
    dry_run: DryRunOption = False,
    remote: Annotated[str, typer.Option(help="The remote that names the project.")] = "origin",
    whole_home: WholeHomeOption = None,
    user: UserOption = None,
    machine: MachineOption = None,
    address: AddressOption = None,
    discovery: DiscoveryOption = True,
    yes: YesOption = False,
) -> None:
    """Share a project.

    The team must be one that you lead. The remote `origin` of the directory names the project. You
    accept the project too: the command shows what would be sent, and asks. Without an identity, a
    daemon or a team it makes these first. Of several directories it shows the sum, and asks once.

    Example: karma-sync project share .
    """
    from karma_sync.service import directories as mapping
    from karma_sync.service import policies, projects

    app = _ready(NewIdentity(user, machine, address or (), discovery, at_once=True), dry_run)
    if not dry_run and (is_terminal() or team) and not has_team(app):
        team_to_lead(app, team)
    given = directories or [Path()]
    if len(given) > 1:
        _share_all(app, given, remote, team, direction, yes=yes)
        return
    identity, root = _of_remote(app, directory_at(given[0]), remote)
    standing = projects.prepare_share(app.state, app.me, identity, team)
    wishes = ConsentOptions(
        direction, since, last, after_idle, profile, yes, dry_run, whole_home=whole_home
    )
    usual = policies.of_team(app.state, standing.team.id)
    terms = consented(app, standing, wishes.or_usual(usual))
    if terms is None:
        return
    projects.share(app.state, app.me, standing, terms, utc_now())
    if root:
        mapping.map_directory(app.state, str(root), identity)
    print_line(f"{identity} is shared with {standing.team.name}.")
    print_if_down(app)
    alone = len(standing.team.members) == 1
    print_next("karma-sync invite" if alone else "karma-sync session list")


def _ready(wishes: NewIdentity, dry_run: bool) -> App:
    """Return the app; a person at a terminal also gets an identity and a daemon if there is none.

    So does a script that names the new member. Any other is told what is missing.
    """
    app = App.from_environment()
    is_new = not app.paths.settings.exists() and bool(wishes.user)
    return begun(wishes) if not dry_run and (is_new or is_terminal()) else app


def _share_all(
    app: App,
    given: list[Path],
    remote: str,
    team: str | None,
    direction: Direction | None,
    *,
    yes: bool,
) -> None:
    """Share several projects after one question about all of them.

    Raises:
        NeedsConsent: the answer was no; nothing was changed.
    """
    from karma_sync.service import directories as mapping
    from karma_sync.service import projects

    clones = [directory_at(each) for each in given]
    named = [_of_remote(app, clone, remote) for clone in clones]
    standings = [projects.prepare_share(app.state, app.me, name, team) for name, _ in named]
    agreed = consented_to_all(app, standings, direction, yes=yes, clones=clones)
    if direction is None and all(t.direction is Direction.RECEIVE for _, t in agreed):
        raise NeedsConsent("nothing was changed")
    for (standing, terms), (identity, root) in zip(agreed, named, strict=True):
        projects.share(app.state, app.me, standing, terms, utc_now())
        if root:
            mapping.map_directory(app.state, str(root), identity)
        print_line(f"{identity} is shared with {standing.team.name}.")
    print_if_down(app)
    print_next("karma-sync session list")


def _of_remote(app: App, directory: Path, remote: str) -> tuple[str, Path | None]:
    """Return the project that a remote names; and the root of the clone, if it must be mapped.

    Other remotes are printed as proposals.
    """
    from karma_sync.git.remote import other_spellings
    from karma_sync.git.repository import ORIGIN, identity_of, other_identities, repository_at

    if not directory.is_dir():
        raise NotFound(f"there is no directory {directory}", hint="karma-sync project share .")
    mapped = app.matcher.places.of(str(directory)).identity if remote == ORIGIN else ""
    identity = mapped or identity_of(directory, remote)
    repository = repository_at(directory)
    if repository is None or remote != ORIGIN:
        if repository:  # so that the preview counts the sessions of this clone
            app.matcher.places.mapped[str(repository.top)] = identity
        return identity, repository.top if repository else None
    remotes = repository.remotes()
    for spelling in other_spellings(remotes.get(ORIGIN, "")):
        print_line(
            f"Other clones may have this repository as {spelling}, which is another project to"
            f" karma-sync. If it is the same: karma-sync project alias {spelling}"
        )
    for other, name in other_identities(remotes, identity).items():
        print_line(
            f"The remote `{name}` is {other}. To share it instead:"
            f" karma-sync project share --remote {name}"
        )
    return identity, None


def unshare(
    project: Annotated[
        str,
        typer.Argument(
            help="The project: a unique ending such as `web`, or host/owner/repo.",
            autocompletion=completion.projects,
        ),
    ],
    team: TeamOption = None,
    yes: YesOption = False,
) -> None:
    """Unshare a project.

    Only the leader can. Nothing more of it is exchanged. Sessions exchanged before stay, and each
    member can still withdraw its own.

    Example: karma-sync project unshare web
    """
    from karma_sync.service import membership, projects

    app = App.from_environment()
    standing = projects.find(app.state, app.me, project, team)
    standing.team.lead_by(app.me.key)
    print_line(f"{standing.team.name} would share {standing.project} no longer, at any member.")
    ask_unless(yes, hint=f"karma-sync project unshare {standing.named} --yes")
    membership.unshare(app.state, app.me, standing.team.id, standing.project)
    print_line(f"{standing.project} is no longer shared with {standing.team.name}.")
    print_if_down(app)
    print_next(f"karma-sync decline {standing.named}, to withdraw what you sent")


def propose(
    directory: Annotated[Path, typer.Argument(help="A directory of the repository.")] = Path(),
    team: TeamOption = None,
    remote: Annotated[str, typer.Option(help="The remote that names the project.")] = "origin",
) -> None:
    """Propose a project.

    It asks the leader of a team to share it: the leader's `inbox` shows it. Nothing is sent.

    Example: karma-sync project propose .
    """
    from karma_sync.service import membership

    app = App.from_environment()
    identity, _ = _of_remote(app, directory_at(directory), remote)
    found = membership.propose(app.state, app.me, identity, team)
    leader = found.member(found.leader)
    print_line(f"{identity} is proposed to {leader.tag if leader else 'the leader'}.")
    print_if_down(app)
    print_next(f"karma-sync accept {identity} --wait")


def alias(
    name: Annotated[
        str, typer.Argument(metavar="NEW", help="The new name: `.`, host/owner/repo, or its URL.")
    ],
    project: Annotated[
        str | None,
        typer.Option(
            help="The project, if your clones do not show it.", autocompletion=completion.projects
        ),
    ] = None,
    team: TeamOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it.")] = False,
    yes: YesOption = False,
) -> None:
    """Add a name to a project.

    It is for a repository that was renamed or moved. The leader adds the name for the team; the
    other members agree to it. The command shows which sessions would be sent, and asks.

    Example: karma-sync project alias github.com/acme/web2
    """
    from karma_sync.git.remote import typed_identity
    from karma_sync.git.repository import identity_of
    from karma_sync.service import projects
    from karma_sync.service.sessions.widening import SendingRules

    app = App.from_environment()
    new = identity_of(current_directory()) if name == "." else typed_identity(name)
    old = project or _renamed(app, new)
    standing = projects.find(app.state, app.me, old, team)
    if remove:
        now = SendingRules.stored(app.state, app.me)
        after = now.named(standing, new, known=False)
        consent_to_more(app, now, after, yes=yes, concerns=never)
        if projects.unalias(app.state, app.me, standing, new):
            print_line(f"{new} is no longer a name of {standing.project} in {standing.team.name}.")
        else:
            print_line(f"You no longer agree to {new} as a name of {standing.project}.")
        print_line(_SENT_STAYS)
    else:
        _consent_to_name(app, standing, new, yes=yes)
        is_new = projects.alias(app.state, app.me, standing, new)
        whose = f" for the whole team {standing.team.name}"
        print_line(
            f"{new} is a name of {standing.project}"
            f"{whose if is_new else ': you send sessions from there'}."
        )
    print_if_down(app)
    print_next("karma-sync project scan")


def _consent_to_name(app: App, standing: "ProjectAnswers", name: str, *, yes: bool) -> None:
    from karma_sync.service import projects
    from karma_sync.service.sessions.widening import SendingRules

    projects.require_alias(app.state, app.me, standing, name)
    now = SendingRules.stored(app.state, app.me)
    after = now.named(standing, name, known=True)
    consent_to_more(app, now, after, yes=yes, concerns=lambda w: w.answers.is_same(standing))


def _renamed(app: App, new: str) -> str:
    """Return the project that has the name `new`, or whose directories were renamed to it."""
    from karma_sync.service import projects

    if new in projects.shared_names(app.state):
        return new
    found = projects.renamed_to(app.state, new)
    if len(found) != 1:
        fits = f"several projects were {new} before" if found else f"no project is known as {new}"
        raise BadInput(fits, hint=f"karma-sync project alias {new} --project HOST/OWNER/REPO")
    return found[0]


def map_(
    directory: Annotated[str, typer.Argument(help="The directory; it may be deleted.")],
    project: Annotated[
        str | None,
        typer.Argument(
            help="The project: a unique ending such as `web`, host/owner/repo, or a URL.",
            autocompletion=completion.projects,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it.")] = False,
    yes: YesOption = False,
) -> None:
    """Map a directory to a project.

    It is for a directory without git, a deleted one, or a clone of a fork. Sessions that worked
    there or below belong to the project. If you send it, the command shows what would be sent, and
    asks.

    Example: karma-sync project map /home/alice/old-clone github.com/acme/web
    """
    from karma_sync.domain.session.project import identity_below
    from karma_sync.service import directories
    from karma_sync.service.sessions.widening import SendingRules

    if remove == (project is not None):
        raise BadInput(
            "type a directory and its project, or a directory and --remove",
            hint="karma-sync project map DIRECTORY PROJECT",
        )
    app = App.from_environment()
    cwds = [app.matcher.facts(session).cwds for session in app.source.sessions()]
    now = SendingRules.stored(app.state, app.me)
    named = {*now.mapped, *chain.from_iterable(cwds)}
    place = directories.place_of(directory, current_directory(), user_home(), named)
    if project is None:
        mapped = directories.mapped_without(now.mapped, place)
        consent_to_more(app, now, now.mapping(mapped), yes=yes, concerns=never)
        directories.unmap_directory(app.state, place)
        print_line(f"{place} is no longer mapped: its git remote names its project.")
        print_line(_SENT_STAYS)
    else:
        identity = meant(app, project)
        mapped = directories.mapped_with(now.mapped, place, identity)
        after = now.mapping(mapped)
        consent_to_more(app, now, after, yes=yes, concerns=lambda w: w.answers.project == identity)
        directories.map_directory(app.state, place, identity)
        count = sum(any(identity_below(cwd, {place: identity}) for cwd in each) for each in cwds)
        print_line(f"Sessions in {place} belong to {identity}: {count} now.")
    print_if_down(app)
    print_next("karma-sync project scan")
