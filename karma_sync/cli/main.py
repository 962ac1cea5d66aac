"""The command line: `karma-sync`. Every error a person can cause ends here, in one place."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.main import get_command

from karma_sync import __version__
from karma_sync.cli.daemon import autostart, control, demo, status
from karma_sync.cli.daemon import run as daemon_run
from karma_sync.cli.output import complain, open_streams
from karma_sync.cli.project import project, subscription
from karma_sync.cli.session import read, redact, sent
from karma_sync.cli.team import inbox, setup, team
from karma_sync.errors import KarmaError

app = typer.Typer(
    name="karma-sync",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 not usable as typed, 3 run `init` first,"
    " 4 Syncthing, 5 not found, 6 not as things stand, 7 stuck, 8 needs --yes, 9 timed out,"
    " 10 not verified, 11 redaction failed. docs/exit-codes.md tells more.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"karma-sync {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Your coding agents' sessions on your other machine and at your teammates'."""


setup.add_to(app)
daemon_run.add_to(app)
team.add_to(app)
inbox.add_to(app)
project.add_to(app)
subscription.add_to(app)
read.add_to(app)
sent.add_to(app)
redact.add_to(app)
status.add_to(app)
control.add_to(app)
autostart.add_to(app)
demo.add_to(app)


def load() -> Callable[[], object]:
    """Everything that can be typed, ready to be run."""
    open_streams()
    return get_command(app)


def run(command: Callable[[], object]) -> None:
    """Run what was typed; say what went wrong and what to type next."""
    try:
        command()
    except KarmaError as error:
        complain(str(error), error.hint)
        sys.exit(error.exit_code)
    except OSError as error:
        # our own files are 0600: what closed them, or filled the disk, is not our doing
        where = error.filename or "the system"
        complain(f"{where}: {error.strerror or error}", "put that right, then type it again")
        sys.exit(1)
