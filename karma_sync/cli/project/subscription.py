"""The commands `subscription …`, `accept` and `decline`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.consent import ConsentOptions, consented
from karma_sync.cli.consent_all import consented_to_all
from karma_sync.cli.notices import print_if_down, warn_if_down
from karma_sync.cli.options import (
    AnyProjectArgument,
    ContentOption,
    DirectionOption,
    DryRunOption,
    IdleOption,
    LastOption,
    ProfileOption,
    ProjectArgument,
    SinceOption,
    TeamOption,
    WholeHomeOption,
    YesOption,
)
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.project.wait import offered, require_daemon, wait_for_session
from karma_sync.cli.project_argument import project_named
from karma_sync.cli.screen import Line, Tone, print_table
from karma_sync.cli.widening import consent_to_more
from karma_sync.domain.team.direction import Direction
from karma_sync.errors import BadInput
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.selection import Limits
    from karma_sync.domain.team.subscription import Subscription
    from karma_sync.service.projects import ProjectAnswers, Verb

_TONES = {
    "offered": Tone.WAITS,
    "accepted": Tone.CONFIRMED,
    "paused": Tone.WAITS,
    "declined": Tone.SECONDARY,
}


def add_to(app: typer.Typer) -> None:
    """Register the commands, with their aliases."""
    for name, hidden in (("subscription", False), ("sub", True)):
        group = typer.Typer(no_args_is_help=True, help="Manage subscriptions.")
        group.command(name="list")(list_)
        group.command()(accept)
        for command in (decline, pause, resume, reopen, change):
            group.command()(command)
        app.add_typer(group, name=name, hidden=hidden)
    app.command()(accept)
    app.command()(decline)


def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List subscriptions.

    It lists each shared project, your answer, and the answers of the other members.

    Example: karma-sync subscription list
    """
    from karma_sync.service import projects

    app = App.from_environment()
    warn_if_down(app)
    found = projects.all_answers(app.state, app.me)
    if as_json:
        print_json(subscriptions=[_as_json(s) for s in found])
        return
    if not found:
        print_line(
            "No team shares a project with you yet. A leader types: karma-sync project share ."
        )
        return
    rows = [
        (
            s.project,
            s.team.name,
            Line(s.mine.status.value, _TONES[s.mine.status]),
            s.mine.direction.value if s.mine.engaged else "-",
            ", ".join(f"{m.tag} {o.status.value}" for m, o in s.others) or "-",
        )
        for s in found
    ]
    print_table(("PROJECT", "TEAM", "YOU", "DIRECTION", "OTHERS"), rows)
    open_ = [s for s in found if s.mine.status == "offered"]
    if open_:
        print_next(f"karma-sync accept {open_[0].named}")


def accept(
    project: AnyProjectArgument = None,
    team: TeamOption = None,
    direction: DirectionOption = None,
    content: ContentOption = None,
    since: SinceOption = None,
    last: LastOption = None,
    after_idle: IdleOption = None,
    profile: ProfileOption = None,
    dry_run: DryRunOption = False,
    whole_home: WholeHomeOption = None,
    yes: YesOption = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Accept all offered projects, after one question.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a team shares it, then for a first session.")
    ] = False,
) -> None:
    """Accept a project.

    The command shows which sessions would be sent, and to whom, and asks.

    Example: karma-sync accept repo --wait
    """
    from karma_sync.domain.session.selection import Limits
    from karma_sync.domain.team.subscription import USUAL, parse_content
    from karma_sync.service import policies, projects

    app = App.from_environment()
    if all_ or project is None:
        _accept_all(app, project, team, direction, all_=all_, yes=yes)
        return
    contents = parse_content(content) if content is not None else USUAL
    named = project_named(app, project)
    if wait:
        require_daemon(app)
    standing = offered(app, named, team, wait)
    if standing.is_guest and direction is None:
        direction = Direction.RECEIVE
    way = direction or Direction.BOTH
    # raises before the command asks
    projects.moved(standing, lambda mine: mine.accept(0, way, contents, Limits()))
    wishes = ConsentOptions(
        *(direction, since, last, after_idle, profile, yes, dry_run),
        whole_home=whole_home,
        contents=contents,
    )
    usual = policies.of_team(app.state, standing.team.id)
    terms = consented(app, standing, wishes.or_usual(usual))
    if terms is None:
        return
    projects.accept(app.state, app.me, standing, terms, utc_now())
    print_line(f"{standing.project} is accepted.")
    print_if_down(app)
    if wait and terms.direction != "send":
        wait_for_session(app, standing)
    print_next("karma-sync session list")


def _accept_all(
    app: App,
    project: str | None,
    team: str | None,
    direction: Direction | None,
    *,
    all_: bool,
    yes: bool,
) -> None:
    """Accept every offered project, after one question about all of them."""
    from karma_sync.service import projects

    if project is not None or not all_:
        raise BadInput("name one project, or type --all", hint="karma-sync accept --all")
    offered = [
        each
        for each in projects.all_answers(app.state, app.me)
        if each.mine.status == "offered" and team in {None, each.team.name, each.team.id}
    ]
    if not offered:
        print_line("No team offers you a project that you did not answer.")
        return
    for answers, terms in consented_to_all(app, offered, direction, yes=yes):
        projects.accept(app.state, app.me, answers, terms, utc_now())
        print_line(f"{answers.project} is accepted, direction {terms.direction}.")
    print_if_down(app)
    print_next("karma-sync session list")


def decline(
    project: ProjectArgument,
    team: TeamOption = None,
    purge: Annotated[bool, typer.Option("--purge", help="Also delete what you received.")] = False,
    yes: YesOption = False,
) -> None:
    """Decline a project.

    Other members remove the sessions that you sent: if you sent any, the command prints how many,
    and asks. Sessions that you received stay; with `--purge` they are deleted, also if you declined
    before.

    Example: karma-sync decline repo
    """
    from karma_sync.service import projects
    from karma_sync.service.sessions.departures import departures

    app = App.from_environment()
    named = project_named(app, project)
    standing = projects.find(app.state, app.me, named, team)

    def verb(mine: "Subscription") -> "Subscription":
        declined = mine if purge and mine.status == "declined" else mine.decline()
        return declined.purge() if purge else declined

    projects.moved(standing, verb)  # raises before the command asks
    place = standing.team.name, standing.project
    out = departures(app.state, app.work, app.me, utc_now())
    count = sum((s.team, s.project) == place and s.state != "withdrawn" for s in out)
    if count:
        sessions = "1 session" if count == 1 else f"{count} sessions"
        print_line(f"{sessions} of {standing.project} that you sent will be withdrawn everywhere.")
    if purge:
        print_line(f"What you received of {standing.project} will be deleted on this machine.")
    if count or purge:
        more = (" --purge" if purge else "") + (f" --team {team}" if team else "")
        ask_unless(yes, hint=f"karma-sync decline {project}{more} --yes")
    projects.move(app.state, app.me, standing.project, standing.team.id, verb)
    sent = " The other members remove the sessions that you sent." if count else ""
    sent += " What you received is deleted." if purge else ""
    again = f"karma-sync subscription reopen {standing.named}, if you change your mind"
    _moved(app, standing, f"is declined.{sent}", again)


def pause(project: ProjectArgument, team: TeamOption = None) -> None:
    """Pause a project.

    No session of it leaves this machine or arrives, until you resume it.

    Example: karma-sync subscription pause repo
    """
    app, standing = _move(project, team, lambda mine: mine.pause())
    _moved(app, standing, "is paused.", f"karma-sync subscription resume {standing.named}")


def resume(project: ProjectArgument, team: TeamOption = None, yes: YesOption = False) -> None:
    """Resume a project.

    If its limits were lost, or it never had any, the command shows which sessions would be sent,
    and asks.

    Example: karma-sync subscription resume repo
    """
    from karma_sync.service import projects
    from karma_sync.service.sessions.widening import SendingRules

    app = App.from_environment()
    standing = projects.find(app.state, app.me, project_named(app, project), team)
    projects.moved(standing, lambda mine: mine.resume())  # raises before the command asks
    if standing.mine.sends and _has_none(standing.mine.limits):
        print_line(f"{standing.project} has no limits: none were set, or they were lost.")
        after = SendingRules.stored(app.state, app.me).only(standing)
        consent_to_more(app, after.nothing_yet(), after, yes=yes)
    projects.move(app.state, app.me, standing.project, standing.team.id, lambda mine: mine.resume())
    _moved(app, standing, "is resumed.", "karma-sync status")


def _has_none(limits: "Limits") -> bool:
    """Whether there are no limits, apart from what the person agreed to beyond sessions."""
    return limits.changed(observations=False, memory=False) == type(limits)()


def reopen(project: ProjectArgument, team: TeamOption = None) -> None:
    """Reopen a declined project.

    It is offered to you again.

    Example: karma-sync subscription reopen repo
    """
    app, standing = _move(project, team, lambda mine: mine.reopen())
    _moved(app, standing, "is offered again.", f"karma-sync accept {standing.named}")


def change(
    project: ProjectArgument,
    direction: DirectionOption = None,
    team: TeamOption = None,
    content: ContentOption = None,
    since: SinceOption = None,
    last: LastOption = None,
    after_idle: IdleOption = None,
    profile: ProfileOption = None,
    retract: Annotated[
        bool,
        typer.Option(
            "--retract", help="With --direction receive: withdraw the sessions that you sent."
        ),
    ] = False,
    dry_run: DryRunOption = False,
    whole_home: WholeHomeOption = None,
    yes: YesOption = False,
) -> None:
    """Change a subscription.

    The options that you type are changed. Sessions that were sent stay with their receivers, unless
    you type --retract.

    Example: karma-sync subscription change repo --direction receive
    """
    from karma_sync.domain.team.subscription import parse_content
    from karma_sync.service import projects

    app = App.from_environment()
    standing = projects.find(app.state, app.me, project_named(app, project), team)
    mine = standing.mine
    chosen = direction or mine.direction
    _require_end_of_sending(retract, chosen)
    contents = parse_content(content) if content is not None else mine.content
    wishes = ConsentOptions(
        *(direction, since, last, after_idle, profile, yes, dry_run, mine.limits, whole_home),
        contents=contents,
    )
    if not retract and content is None:
        wishes.require_some(standing)
    limits = wishes.limits
    # raises before the command asks
    changed = projects.moved(standing, lambda now: now.change(chosen, contents, limits))
    more = not mine.sends or last is not None or not limits.within(mine.limits)
    more = more or not set(contents) <= set(mine.content)
    if dry_run or (changed.sends and more):
        terms = consented(app, standing, replace(wishes, yes=yes or not more))
        if terms is None:
            return
        limits = terms.limits

    def verb(now: "Subscription") -> "Subscription":
        changed = now.change(chosen, contents, limits)
        return changed.retract(int(utc_now().timestamp() * 1000)) if retract else changed

    projects.move(app.state, app.me, standing.project, standing.team.id, verb)
    _moved(
        app,
        standing,
        f"has direction {chosen} and content {', '.join(contents)} now."
        f"{_what_left(mine, chosen, retract)}",
        "karma-sync status",
    )


def _require_end_of_sending(retract: bool, chosen: Direction) -> None:
    if retract and chosen is not Direction.RECEIVE:
        raise BadInput(
            "--retract withdraws the sessions that you sent, but you would still send",
            hint="add --direction receive; for one session: karma-sync session unshare ID",
        )


def _what_left(before: "Subscription", now: Direction, retract: bool) -> str:
    """Return the fate of the sessions that were sent, where a person may expect another one."""
    if retract:
        return " The sessions that you sent are withdrawn from every member."
    narrowed = before.sends and now is Direction.RECEIVE
    return " Sent sessions stay with their receivers; --retract withdraws them." if narrowed else ""


def _move(project: str, team: str | None, verb: "Verb") -> "tuple[App, ProjectAnswers]":
    from karma_sync.service import projects

    app = App.from_environment()
    return app, projects.move(app.state, app.me, project_named(app, project), team, verb)


def _moved(app: App, standing: "ProjectAnswers", what: str, after: str) -> None:
    print_line(f"{standing.project} {what}")
    print_if_down(app)
    print_next(after)


def _as_json(standing: "ProjectAnswers") -> dict[str, object]:
    mine = standing.mine
    return {
        "project": standing.project,
        "team": standing.team.name,
        "team_id": standing.team.id,
        "status": mine.status,
        "direction": mine.direction,
        "content": mine.content,
        **mine.limits.to_fields(),
        "others": [
            {"member": m.tag, "active": m.active, "status": s.status, "direction": s.direction}
            for m, s in standing.others
        ],
    }
