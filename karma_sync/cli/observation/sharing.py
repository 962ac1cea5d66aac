"""The group `observation`, and its commands that share observations, add and delete them."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_unless, confirm, is_terminal
from karma_sync.cli.consent import counts_text, receivers, show_observations
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.observation import engram, reading
from karma_sync.cli.observation.reading import OfProjectOption
from karma_sync.cli.options import (
    DryRunOption,
    JsonOption,
    PrivateOption,
    ProjectArgument,
    TeamOption,
    YesOption,
)
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.project_argument import meant, project_named
from karma_sync.domain.session.observation import StayReason
from karma_sync.domain.text import printable
from karma_sync.errors import BadInput, NotFound
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.service.projects import ProjectAnswers
    from karma_sync.service.sessions.observations import ObservationSurvey, Verb

_HELD = frozenset({StayReason.WITHHELD, StayReason.UNSHARED})
OwnArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The beginning of the id of an observation here.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage observations.")
    reading.add_to(group)
    for command in (add, delete, preview, share, withhold, unshare):
        group.command()(command)
    engram.add_to(group)
    app.add_typer(group, name="observation")


def add(
    title: Annotated[str, typer.Option(help="One line that says what was learned.")],
    content: Annotated[str, typer.Option(help="The text.")],
    type_: Annotated[str, typer.Option("--type", help="bugfix, decision, …")] = "discovery",
    topic: Annotated[str, typer.Option(help="A key for what it is about.")] = "",
    project: OfProjectOption = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="It is for you alone, and never leaves.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add an observation.

    It belongs to the project of this directory, and leaves where you share observations of it.

    Example: karma-sync observation add --type bugfix --title "Fixed N+1" --content "…"
    """
    from karma_sync.agents.observations import NewObservation
    from karma_sync.cli.ask import is_under_agent

    app = App.from_environment()
    if not title.strip() or not content.strip():
        raise BadInput("an observation needs a title and a text", hint="--title … --content …")
    identity = meant(app, project if project is not None else ".")
    scope = "personal" if personal else "project"
    agent = "claude-code" if is_under_agent() else ""
    record = NewObservation(type_, title, content, topic, agent, scope).saved(utc_now())
    app.observations.own.add(record, identity)
    if as_json:
        print_json(id=record.id, project=identity)
        return
    print_line(f"{record.id} is saved for {identity}.")
    print_if_down(app)


def delete(wanted: OwnArgument) -> None:
    """Delete an observation that you added.

    It is deleted at every member who has it.

    Example: karma-sync observation delete k-3a78
    """
    app = App.from_environment()
    gone = app.observations.own.delete(wanted, utc_now())
    print_line(f"{gone.id} is deleted.")
    print_if_down(app)


def preview(
    wanted: OwnArgument, as_json: JsonOption = False, private: PrivateOption = False
) -> None:
    """Preview an observation.

    It shows the text as it would leave, the receivers, and why it stays where it stays.

    Example: karma-sync observation preview obs-3a78
    """
    from karma_sync.service.sessions.preview import outlets

    app = App.from_environment()
    found = app.observation_survey.one(outlets(app.state, app.me), wanted)
    leaves = any(way.stays is None and way.agreed for way in found.ways)
    if as_json:
        if not leaves:
            require_private(private, "the observation stays here")
        print_json(
            observation=found.record.to_fields(),
            source=found.source,
            cuts=dict(found.cuts),
            ways=[
                {
                    "project": way.answers.project,
                    "team": way.answers.team.name,
                    "stays": way.stays or ("not-asked" if not way.agreed else None),
                    "receivers": [member.tag for member in way.answers.recipients],
                }
                for way in found.ways
            ],
        )
        return
    record = found.record
    print_line(printable(f"[{record.type}] {record.title}  ({found.source}, {record.id})"))
    for line in record.content.splitlines():
        print_line(printable(f"  {line}"))
    print_line(f"  cut out:     {counts_text(found.cuts) or 'nothing'}")
    if not found.ways:
        print_line("  stays:       you send no project")
    for way in found.ways:
        where = f"{way.answers.project} in team {way.answers.team.name}"
        if way.stays:
            print_line(f"  {where}: stays, {way.stays}")
        elif not way.agreed:
            print_line(f"  {where}: stays until you agree")
            print_next(f"karma-sync observation share {way.answers.named}")
        else:
            print_line(f"  {where}: leaves to {receivers(way.answers)}")


def share(
    project: ProjectArgument,
    team: TeamOption = None,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Also what Claude Code keeps in memory/*.md for you."),
    ] = False,
    author: Annotated[
        list[str] | None,
        typer.Option("--author", help="A name under which your Engram creates chunks; repeatable."),
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Share the observations of a project.

    It shows how many would leave, of which types, with which cuts and to whom, and asks. With
    --memory each of your memory files is shown.

    Example: karma-sync observation share repo
    """
    from karma_sync.domain.team.subscription import Content
    from karma_sync.service import projects
    from karma_sync.service.sessions import observations
    from karma_sync.settings import add_authors

    app = App.from_environment()
    observations.require_on(is_on=app.observation_settings().share)
    answers = projects.find(app.state, app.me, project_named(app, project), team)
    contents = [Content.OBSERVATIONS, *([Content.MEMORY] if memory else [])]
    projects.moved(answers, lambda mine: observations.agree(mine, contents))  # before it asks
    names = frozenset(author or ()) or _ask_for_authors(app, yes=yes)
    names -= app.observation_settings().authors
    survey = app.observation_survey.with_authors(names)
    print_line(f"Observations of {answers.project} in team {answers.team.name}.")
    outlet = observations.outlet_of(app.state, app.me, answers)
    leaving = survey.leaving(outlet, contents, answers.mine.limits)
    show_observations(answers, leaving, whole=memory)
    if names:
        _show_elsewhere(app, survey, answers)
    if dry_run:
        print_line("Nothing was changed.")
        return
    ask_unless(yes, "--yes")
    if names:
        add_authors(app.paths, names)
    where = answers.project, answers.team.id
    projects.move(app.state, app.me, *where, lambda mine: observations.agree(mine, contents))
    print_line(f"Observations of {answers.project} are shared.")
    print_if_down(app)
    print_next("karma-sync observation status")


def withhold(
    wanted: OwnArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Allow it to be sent again.")] = False,
    yes: YesOption = False,
) -> None:
    """Withhold an observation.

    It stays on this machine. A copy that left before stays with the others as it is.

    Example: karma-sync observation withhold obs-3a78
    """
    from karma_sync.service.sessions import observations

    _hold(wanted, undo=undo, yes=yes, verb=observations.withhold, done="stays on this machine")


def unshare(
    wanted: OwnArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Allow it to be sent again.")] = False,
    yes: YesOption = False,
) -> None:
    """Withdraw an observation.

    Every member deletes it, and it is not sent again.

    Example: karma-sync observation unshare obs-3a78
    """
    from karma_sync.service.sessions import observations

    _hold(wanted, undo=undo, yes=yes, verb=observations.unshare, done="is withdrawn")


def _show_elsewhere(app: App, survey: "ObservationSurvey", but: "ProjectAnswers") -> None:
    """Show what would leave of the other projects whose observations are shared already."""
    from karma_sync.domain.team.subscription import Content
    from karma_sync.service.sessions.preview import outlets

    for outlet in outlets(app.state, app.me):
        answers = outlet[0]
        if answers.is_same(but) or not answers.mine.agreed(Content.OBSERVATIONS):
            continue
        print_line(f"Observations of {answers.project} in team {answers.team.name}, shared before.")
        leaving = survey.leaving(outlet, [Content.OBSERVATIONS], answers.mine.limits)
        show_observations(answers, leaving)


def _ask_for_authors(app: App, *, yes: bool) -> frozenset[str]:
    """The names in `.engram` folders that this person says are theirs; none if some are known."""
    if app.observation_settings().authors:
        return frozenset()
    names = app.observations.engram.created_by()
    if not names:
        return frozenset()
    listed = ", ".join(names)
    print_line(printable(f"Chunks in .engram were created by: {listed}."))
    if yes or not is_terminal():
        print_line("  none of these counts as you; --author NAME says which do")
        return frozenset()
    return frozenset(name for name in names if confirm(printable(f"Is {name} you?")))


def _hold(wanted: str, *, undo: bool, yes: bool, verb: "Verb", done: str) -> None:
    from karma_sync.service.sessions import observations
    from karma_sync.service.sessions.preview import outlets

    app = App.from_environment()
    if not undo:
        found = app.observation_survey.one(outlets(app.state, app.me), wanted).record
        verb(app.state, found.id)
        print_line(f"{found.id} {done}.")
        print_if_down(app)
        return
    held = observations.held(app.state, wanted)
    if held is None:
        raise NotFound(
            f"you withhold no observation {wanted!r}", hint="karma-sync observation list"
        )
    if _show_again(app, held):
        ask_unless(yes, "--yes")
    observations.release(app.state, held)
    print_line(f"{held} can be sent again.")
    print_if_down(app)


def _show_again(app: App, held: str) -> bool:
    """Show where an observation would leave again; whether it would anywhere."""
    from karma_sync.service.sessions.observations import LeavingObservations
    from karma_sync.service.sessions.preview import outlets

    try:
        found = app.observation_survey.one(outlets(app.state, app.me), held)
    except NotFound:
        return False  # its source deleted it
    ways = [way for way in found.ways if way.agreed and way.stays in _HELD]
    for way in ways:
        print_line(f"It would be sent again for {way.answers.project}.")
        show_observations(way.answers, LeavingObservations([found.record], found.cuts, []))
    return bool(ways)
