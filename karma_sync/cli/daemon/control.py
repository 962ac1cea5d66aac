"""The commands `pause`, `resume`, `rename` and `events`."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.notices import print_if_down, warn_if_down
from karma_sync.cli.options import YesOption
from karma_sync.cli.output import flush, print_json, print_line, print_next
from karma_sync.cli.screen import Line, Tone, print_drawn
from karma_sync.cli.widening import consent_to_more
from karma_sync.errors import Conflict
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.events import Event

_LOOK_S = 0.2


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(pause)
    app.command()(resume)
    app.command()(rename)
    app.command()(events)


def pause(
    for_: Annotated[str | None, typer.Option("--for", help="How long: 30m, 2h, 3d.")] = None,
) -> None:
    """Pause all projects.

    No session leaves this machine and none arrives, until you type `resume`.

    Example: karma-sync pause --for 2h
    """
    from karma_sync.service import pause as control

    app = App.from_environment()
    until = control.pause_all(app.state, utc_now(), for_)
    print_line(f"All sync is paused{f' until {until:%Y-%m-%d %H:%M} UTC' if until else ''}.")
    print_if_down(app)
    print_next("karma-sync resume")


def resume(yes: YesOption = False) -> None:
    """Resume all projects.

    A project that you paused by itself stays paused. If karma-sync paused all because the limits
    were lost, the command shows which sessions would be sent, and asks.

    Example: karma-sync resume
    """
    from karma_sync.service import pause as control
    from karma_sync.service.sessions.widening import SendingRules

    app = App.from_environment()
    why = control.why_lost(app.state, utc_now())
    if why:
        print_line(f"All sync was paused: {why}.")
        after = SendingRules.stored(app.state, app.me).running()
        consent_to_more(app, after.nothing_yet(), after, yes=yes)
    control.resume_all(app.state, utc_now())
    print_line("Sync is resumed.")
    print_if_down(app)
    print_next("karma-sync status")


def rename(
    user: Annotated[str | None, typer.Option(help="Your new name in teams.")] = None,
    machine: Annotated[str | None, typer.Option(help="The new name of this machine.")] = None,
) -> None:
    """Rename this machine.

    It changes your name or the name of the machine, while you are in no team and the daemon is
    down.

    Example: karma-sync rename --machine desktop
    """
    from karma_sync import settings
    from karma_sync.daemon.lock import locked, running
    from karma_sync.domain.ids import member_tag
    from karma_sync.service import setup

    app = App.from_environment()
    old_user, old_machine = app.settings.tag.split(".")
    tag = member_tag(user or old_user, machine or old_machine)
    setup.require_no_team(app.state)
    if tag == app.settings.tag:
        raise Conflict(f"you are already {tag}", hint="karma-sync rename --machine NAME")
    if running(app.paths):  # it would keep the old name
        raise Conflict(
            f"the daemon of {app.settings.tag} is up, and keeps the name until it ends",
            hint="karma-sync down, then this command again",
        )
    with locked(app.paths):
        settings.save(app.paths, tag, app.settings.network)
    print_line(
        f"You are {tag} now. Pairing codes that you sent before still name {app.settings.tag}."
    )
    print_next("karma-sync code")


def events(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new events as they happen.")
    ] = False,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="A word such as joined or `item refused`, or a group: team, member, leader,"
            " project, subscription, session, fault. Repeatable.",
        ),
    ] = None,
    team: Annotated[
        str | None, typer.Option(help="Events of this team.", autocompletion=completion.teams)
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Events of this project.", autocompletion=completion.projects),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(help="What this member did.", autocompletion=completion.members),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Events since then: 14d, 2026-05-31.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
) -> None:
    """Show the events.

    An event is a change, a refusal or a fault. Each is shown once.

    Example: karma-sync events --type member --team backend --since 7d
    """
    from karma_sync.domain.events import EventFilter
    from karma_sync.domain.timespan import parse_since
    from karma_sync.service.events import events_after, types_named

    app = App.from_environment()
    wanted = EventFilter(
        types=types_named(types or ()),
        team=team or "",
        project=project or "",
        member=member or "",
        since=parse_since(since, utc_now()) if since else None,
    )
    warn_if_down(app)
    last = 0
    while True:
        found = events_after(app.work, last, wanted)
        for event in found:
            last = event.id
            _show(event, as_json)
        if not follow:
            if not found and not as_json:
                print_line("There are no events yet.")
            return
        flush()
        time.sleep(_LOOK_S)


def _show(event: "Event", as_json: bool) -> None:
    from karma_sync.domain.text import printable

    if as_json:
        fields = asdict(event)
        print_json(**(fields | fields.pop("about")))
    else:
        text = f"{event.at:%Y-%m-%d %H:%M:%S} UTC  {event.type}: {event.subject}: {event.payload}"
        print_drawn([Line(printable(text), Tone.STUCK if event.bad else None)])
