"""The group `observation`."""

import typer

from karma_sync.cli.observation import engram, reading, sharing


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage observations.")
    reading.add_to(group)
    sharing.add_to(group)
    engram.add_to(group)
    app.add_typer(group, name="observation")
