"""The command that plays the whole story on this machine."""

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo() -> None:
    """Play the story with two members on this machine."""
