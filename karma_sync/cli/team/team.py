"""Commands about teams."""

from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.notices import say_if_down
from karma_sync.cli.output import next_step, say
from karma_sync.cli.team.setup import read_code


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Teams: create one, add members.")
    group.command()(create)
    group.command()(add)
    app.add_typer(group, name="team")


def create(name: Annotated[str, typer.Argument(help="Such as: backend")]) -> None:
    """Found a team; you lead it.

    Example: karma-sync team create backend
    """
    from karma_sync.service import teams

    app = App.from_environment()
    team = teams.create(app.state, app.me, name)
    say(f"You lead team {team.name}.")
    say_if_down(app)
    next_step("karma-sync team add CODE, with the other's pairing code")


def add(
    code: Annotated[
        list[str] | None, typer.Argument(help="The newcomer's pairing code; else standard input.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="The team, if you are in several.")] = None,
) -> None:
    """Put somebody on a team's roster; they still have to say yes.

    Example: karma-sync team add AEAGQNA-4GGC73T-…
    """
    from karma_sync.service import teams

    app = App.from_environment()
    newcomer = read_code(app, code)
    say(f"Adding {newcomer.tag}, key {newcomer.fingerprint}.")
    found = teams.add_member(app.state, app.me, newcomer, team)
    say(f"{newcomer.tag} is on the roster of {found.name}.")
    say_if_down(app)
    next_step("karma-sync project share . in a project's directory")
