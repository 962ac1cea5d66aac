"""The command line `karma-sync`: its options, and the errors of all its commands."""

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from karma_sync import __version__
from karma_sync.cli.commands import NO_HELP, Commands
from karma_sync.cli.output import drop_output, flush, open_streams, print_error
from karma_sync.errors import BadInput, KarmaError
from karma_sync.files import give_back

PROGRAM = "karma-sync"
_INTERRUPTED = 130  # the code of a command that Ctrl-C ended
_COMPLETE = "_KARMA_SYNC_COMPLETE"  # the shell sets it to ask for completions
_ZSH = "zsh"

app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    no_args_is_help=True,
    # typer's own two options default to None, for which it loads pydantic
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], **NO_HELP},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong input, 3 run `init` first, 4 Syncthing failed,"
    " 5 not found, 6 not possible now, 7 stuck, 8 needs --yes, 9 timed out, 10 not verified,"
    " 11 redaction failed, 12 not the leader. See docs/exit-codes.md.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _install_completion(wanted: bool) -> None:
    if wanted:
        from typer.completion import install  # type: ignore[attr-defined]

        from karma_sync.cli.completion import in_zsh_at_first_tab

        shell, path = install(prog_name=PROGRAM)
        if shell == _ZSH:
            path.write_text(in_zsh_at_first_tab(path.read_text("utf-8")), "utf-8")
        print(f"{shell} completes {PROGRAM} after you start it again; the script is {path}.")
        raise typer.Exit


def _show_completion(wanted: bool) -> None:
    if wanted:
        import shellingham  # type: ignore[import-untyped]
        from typer.completion import get_completion_script  # type: ignore[attr-defined]

        from karma_sync.cli.completion import in_zsh_at_first_tab

        try:
            shell, _ = shellingham.detect_shell()
        except shellingham.ShellDetectionFailure:
            shell = "bash"
        script = get_completion_script(prog_name=PROGRAM, complete_var=_COMPLETE, shell=shell)
        print(in_zsh_at_first_tab(script) if shell == _ZSH else script)
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
            help="Install completion for your shell.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=_show_completion,
            is_eager=True,
            help="Print the completion script for your shell.",
        ),
    ] = False,
) -> None:
    """Share the sessions of your coding agents with your machines and your teammates."""


def load() -> Callable[[], object]:
    """Return the whole command line, ready to run."""
    open_streams()
    if _COMPLETE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    # `python -m karma_sync` too: a shell completes what it finds under this name
    return partial(get_command(app), prog_name=PROGRAM)


def run(command: Callable[[], object]) -> None:
    """Run the command that was typed; print its error and the next step, and exit with its code.

    The output is written out before the end, so that a full disk can still be reported.
    """
    try:
        try:
            _run(command)
        finally:
            flush()
    except BrokenPipeError:  # the reader went away, as `head` does
        drop_output()
        sys.exit(1)
    except OSError as error:
        drop_output()
        _print_failure(error)
        sys.exit(1)


def _run(command: Callable[[], object]) -> None:
    try:
        _require_text(sys.argv[1:])
        command()
    except KarmaError as error:
        print_error(str(error), error.hint)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED and sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal shows ^C, and the shell's prompt would follow it
        raise


def _print_failure(error: OSError) -> None:
    # our own files have mode 0600: somebody else closed them, or the disk is full
    where = error.filename or "the system"
    hint = give_back(Path(str(error.filename))) if error.filename else ""
    print_error(f"{where}: {error.strerror or error}", hint or "correct that, then run it again")


def _require_text(arguments: Iterable[str]) -> None:
    """Raises BadInput if an argument has bytes that are no UTF-8: nothing could store it."""
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError:
            raise BadInput(
                f"the argument {os.fsencode(each)!r} is not UTF-8",
                hint="for a directory with such a name: change to it, and type a dot",
            ) from None
