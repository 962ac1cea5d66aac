"""The commands `mute` and `unmute`."""

from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.output import print_line, print_next
from karma_sync.runtime.timing import utc_now

TagArgument = Annotated[
    str,
    typer.Argument(
        metavar="TAG", help="The member, whole: bob.desk.", autocompletion=completion.members
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(mute)
    app.command()(unmute)


def mute(tag: TagArgument) -> None:
    """Mute a member.

    You read nothing of it any more, in any team, and search does not find it. It still comes to
    this machine, which serves the other members.

    Example: karma-sync mute bob.desk
    """
    from karma_sync.service import machines

    app = App.from_environment()
    found = machines.find(app.state, app.me, tag, hint="karma-sync team show")
    machines.mute(app.state, found, utc_now())
    print_line(f"{found.tag} is muted.")
    print_if_down(app)
    print_next(f"karma-sync unmute {found.tag}, to read it again")


def unmute(tag: TagArgument) -> None:
    """Unmute a member.

    Everything that it sent, and did not take back, can be read again.

    Example: karma-sync unmute bob.desk
    """
    from karma_sync.service import machines

    app = App.from_environment()
    unmuted = machines.unmute(app.state, tag)
    print_line(f"{unmuted} is not muted any more.")
    print_if_down(app)
    print_next("karma-sync session list")
