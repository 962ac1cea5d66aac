"""The command line: `karma-sync`. Every error a person can cause ends here, in one place."""

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.main import get_command

from karma_sync import __version__
from karma_sync.cli.commands import NO_HELP, Commands
from karma_sync.cli.output import complain, open_streams
from karma_sync.errors import KarmaError

PROGRAM = "karma-sync"
_COMPLETE = "_KARMA_SYNC_COMPLETE"  # set by the shell that asks what could be typed next

app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    no_args_is_help=True,
    # typer's own two options have None where nothing was typed, for which it loads pydantic
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], **NO_HELP},
    epilog="Exit codes: 0 done, 1 failed, 2 not usable as typed, 3 run `init` first,"
    " 4 Syncthing, 5 not found, 6 not as things stand, 7 stuck, 8 needs --yes, 9 timed out,"
    " 10 not verified, 11 redaction failed. docs/exit-codes.md tells more.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _install_completion(wanted: bool) -> None:
    if wanted:
        from typer.completion import install  # type: ignore[attr-defined]

        shell, path = install(prog_name=PROGRAM)
        print(f"{shell} completes {PROGRAM} once it is started anew; see {path}")
        raise typer.Exit


def _show_completion(wanted: bool) -> None:
    if wanted:
        import shellingham  # type: ignore[import-untyped]
        from typer.completion import get_completion_script  # type: ignore[attr-defined]

        try:
            shell, _ = shellingham.detect_shell()
        except shellingham.ShellDetectionFailure:
            shell = "bash"
        print(get_completion_script(prog_name=PROGRAM, complete_var=_COMPLETE, shell=shell))
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            is_eager=True,
            help="Have your shell complete what you type.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=_show_completion,
            is_eager=True,
            help="Print the completion for your shell.",
        ),
    ] = False,
) -> None:
    """Your coding agents' sessions on your other machine and at your teammates'."""


def load() -> Callable[[], object]:
    """Everything that can be typed, ready to be run."""
    open_streams()
    if _COMPLETE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
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
