"""Commands about everything at once: pause, resume, rename, events."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import say_if_down, warn_if_down
from karma_sync.cli.output import next_step, said, say, say_json
from karma_sync.errors import Conflict

if TYPE_CHECKING:
    from karma_sync.store.events import Event
from karma_sync.service import setup

_LOOK_S = 0.2


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(pause)
    app.command()(resume)
    app.command()(rename)
    app.command()(events)


def pause(
    for_: Annotated[str | None, typer.Option("--for", help="Such as 30m, 2h, 3d.")] = None,
) -> None:
    """Let nothing leave and nothing arrive, in any project.

    Example: karma-sync pause --for 2h
    """
    from karma_sync.service import pause as control

    app = App.from_environment()
    until = control.pause_all(app.state, utc_now(), for_)
    say(f"Everything is paused{f' until {until:%Y-%m-%d %H:%M} UTC' if until else ''}.")
    say_if_down(app)
    next_step("karma-sync resume")


def resume() -> None:
    """Go on after `pause`. Projects that were paused one by one stay paused.

    Example: karma-sync resume
    """
    from karma_sync.service import pause as control

    app = App.from_environment()
    control.resume_all(app.state, utc_now())
    say("Everything goes on.")
    say_if_down(app)


def rename(
    user: Annotated[str | None, typer.Option(help="Your new name in teams.")] = None,
    machine: Annotated[str | None, typer.Option(help="This machine's new name.")] = None,
) -> None:
    """Change your name, while you are in no team.

    Example: karma-sync rename --machine desktop
    """
    from karma_sync import settings
    from karma_sync.daemon.lock import locked
    from karma_sync.domain.ids import member_tag

    app = App.from_environment()
    old_user, old_machine = app.settings.tag.split(".")
    tag = member_tag(user or old_user, machine or old_machine)
    setup.require_no_team(app.state)
    if tag == app.settings.tag:
        raise Conflict(f"you are {tag} already", hint="karma-sync rename --machine NAME")
    with locked(app.paths):  # a daemon would go on under the old name
        settings.save(app.paths, tag, app.settings.network)
    say(f"You are {tag} now; codes you gave away before name you {app.settings.tag}.")
    next_step("karma-sync code")


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they happen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show every change, refusal and fault, once.

    Example: karma-sync events --follow
    """
    from karma_sync.store import events as store

    app = App.from_environment()
    warn_if_down(app)
    last = 0
    while True:
        with app.work.reading() as tx:
            found = store.after(tx, last)
        for event in found:
            last = event.id
            _show(event, as_json)
        if not follow:
            if not found and not as_json:
                say("Nothing happened yet.")
            return
        said()
        time.sleep(_LOOK_S)


def _show(event: "Event", as_json: bool) -> None:
    from karma_sync.domain.text import printable

    if as_json:
        say_json(**asdict(event))
    else:
        say(printable(f"{event.at:%Y-%m-%d %H:%M:%S}  {event.what}: {event.who}: {event.why}"))
