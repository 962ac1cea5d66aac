"""The commands `observation list`, `show`, `search` and `status`."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.observed import (
    observation_fields,
    observation_line,
    print_observations,
    require_private_of,
)
from karma_sync.cli.options import JsonOption, PrivateOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.domain.text import printable
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.observation import ObservationFilter
    from karma_sync.library.observations import ReadObservation

ProjectsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--project",
        help="Only this project; may be repeated.",
        autocompletion=completion.projects,
    ),
]
AuthorsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--author",
        help="Only by this member: alice, alice.mbp, or me; repeatable.",
        autocompletion=completion.members,
    ),
]
TypesOption = Annotated[
    list[str] | None, typer.Option("--type", help="Only of this type, such as bugfix; repeatable.")
]
ChangedOption = Annotated[
    str, typer.Option("--since", help="Changed since then: 14d, 2h, today, 2026-05-31.")
]
OfProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        help="The project; else that of this directory.",
        autocompletion=completion.projects,
    ),
]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="Print at most this many.")]


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    for command in (show, search, status):
        group.command()(command)
    group.command(name="list")(list_)


def list_(
    project: ProjectsOption = None,
    author: AuthorsOption = None,
    type_: TypesOption = None,
    since: ChangedOption = "",
    limit: LimitOption = 50,
    cursor: Annotated[str, typer.Option(help="Go on where the last answer ended.")] = "",
    mine: Annotated[
        bool, typer.Option("--mine", help="Those on this machine, also those that stay here.")
    ] = False,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """List observations.

    The latest changed come first, each with the name of who wrote it; yours have no name.

    Example: karma-sync observation list --type bugfix --author bob
    """
    from karma_sync.service.sessions.observations import own_observations

    app = App.from_environment()
    warn_if_down(app)
    if mine:
        found, after = own_observations(app.observations, app.settings.tag), ""
    else:
        wanted = _filter(app, project, author, type_, since)
        page = app.read_observations.page(app.scope, wanted, limit, cursor)
        found, after = list(page.found), page.cursor
    _print(app, found, after, as_json=as_json, private=private)


def show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The beginning of an id.")],
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Show an observation.

    Example: karma-sync observation show obs-3a78
    """
    app = App.from_environment()
    found = app.read_observations.one(app.scope, wanted)
    if as_json:
        require_private_of([found], app.settings.tag, private=private)
        print_json(observation=observation_fields(found))
        return
    record = found.record
    print_line(printable(observation_line(app, found)))
    about = [found.project, record.agent, record.topic, record.updated or record.created]
    print_line(printable("  " + ", ".join(each for each in about if each)))
    print_line("")
    for line in record.content.splitlines():
        print_line(printable(line))


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="Words.")],
    project: ProjectsOption = None,
    author: AuthorsOption = None,
    type_: TypesOption = None,
    since: ChangedOption = "",
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Search observations.

    It finds those that have all words, by the same index as `karma-sync search`.

    Example: karma-sync observation search retry backoff --type decision
    """
    from karma_sync.library.observations import search as find

    app = App.from_environment()
    warn_if_down(app)
    wanted = _filter(app, project, author, type_, since)
    found = find(app.read_observations, app.scope, " ".join(words), wanted, limit)
    _print(app, found, "", as_json=as_json, private=private)


def status(
    project: ProjectsOption = None, as_json: JsonOption = False, private: PrivateOption = False
) -> None:
    """Count observations.

    `local` are yours on this machine, `remote` those by others, `pending` those of yours that would
    leave and have not.

    Example: karma-sync observation status
    """
    from karma_sync.service.sessions.observations import ObservationCounter

    app = App.from_environment()
    warn_if_down(app)
    counter = ObservationCounter(app.observation_survey, app.read_observations, app.scope, app.me)
    counts = counter.counts(project or ())
    if as_json:
        if counts.unasked:
            require_private(private, "it names your projects")
        print_json(**counts.to_fields())
        return
    print_line(f"local {counts.local}, remote {counts.remote}, pending {counts.pending}")
    for code, number in counts.imports.items():
        print_line(f"  {code}: {number}")
    for waiting in counts.unasked:
        print_line(f"  {waiting}: you have not seen yet what would leave")
        print_next(f"karma-sync observation share {waiting}")


def _filter(
    app: App,
    project: list[str] | None,
    author: list[str] | None,
    type_: list[str] | None,
    since: str,
) -> "ObservationFilter":
    from karma_sync.cli.project_argument import project_here
    from karma_sync.domain.session.observation import ObservationFilter, moment_text
    from karma_sync.domain.session.query import moment
    from karma_sync.errors import BadInput

    authors = [app.settings.tag if name in ("me", "you") else name for name in author or ()]
    try:
        moved = moment_text(moment(since, utc_now())) if since else ""
    except ValueError:
        raise BadInput(
            f"--since {since!r} is no moment", hint="2026-05-31, 14d, 2h, today or yesterday"
        ) from None
    projects = tuple(project_here(app) if name == "." else name for name in project or ())
    return ObservationFilter(tuple(authors), projects, tuple(type_ or ()), moved)


def _print(
    app: App, found: "list[ReadObservation]", cursor: str, *, as_json: bool, private: bool
) -> None:
    if as_json:
        require_private_of(found, app.settings.tag, private=private)
        print_json(observations=[observation_fields(each) for each in found], cursor=cursor or None)
        return
    if not found:
        print_line("There are no observations that fit.")
        print_next("karma-sync observation list --mine, for those that stay on this machine")
        return
    print_observations(app, found)
    if cursor:
        print_next(f"karma-sync observation list --cursor {cursor}")
