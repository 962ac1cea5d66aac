"""The commands `up` and `down`."""

from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.beginning import start_daemon
from karma_sync.cli.notices import print_next_step
from karma_sync.cli.output import print_error, print_line, print_next
from karma_sync.cli.progress import waiting
from karma_sync.errors import BadInput, RedactionFailed, TimedOut

_DOWN_S = 30.0


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(up)
    app.command()(down)


def up(
    background: Annotated[
        bool, typer.Option("-d", "--background", help="Start it in the background.")
    ] = False,
    log_to_file: Annotated[
        bool, typer.Option("--log-to-file", hidden=True, help="Log to the file.")
    ] = False,
) -> None:
    """Start the daemon.

    It runs in the foreground, with a Syncthing of its own.

    Example: karma-sync up -d
    """
    if background:
        _up_in_background(App.from_environment())
        return
    import gc

    from karma_sync.daemon.log_setup import log_daemon
    from karma_sync.daemon.main import Daemon
    from karma_sync.daemon.renewal import Renewal
    from karma_sync.runtime.installation import this_program

    installation = this_program()
    app = App.from_environment(installation.is_replaced)
    gc.set_threshold(700, 10, 10)  # Python's own: a daemon does make garbage
    log_daemon(app.paths.log if log_to_file and app.settings else None)

    def ready(version: str) -> None:
        print(f"{app.me.tag} is up, {_on(version)}.", flush=True)

    try:
        starts_again = Daemon(app, Renewal(installation)).run(ready)
    finally:
        app.close()
    if starts_again:
        _start_again()


def down() -> None:
    """Stop the daemon.

    Its Syncthing stops too.

    Example: karma-sync down
    """
    import psutil

    from karma_sync.daemon.lock import running

    app = App.from_environment()
    daemon = running(app.paths)
    if daemon is None:
        print_line(f"The daemon of {app.settings.tag} is not running.")
        return
    process = psutil.Process(daemon.pid)
    process.terminate()
    try:
        with waiting("stopping the daemon"):
            process.wait(_DOWN_S)
    except psutil.TimeoutExpired:
        raise TimedOut(
            f"the daemon, process {daemon.pid}, did not stop within {_DOWN_S:g} seconds",
            hint=f"see {app.paths.log}",
        ) from None
    print_line(f"{app.settings.tag} is down.")


def _start_again() -> None:
    """Become the program that was installed meanwhile, in the same process."""
    import os
    import sys

    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 no shell


def _up_in_background(app: App) -> None:
    """Start `up` as another process, and wait until it is ready or has failed."""
    version = start_daemon(app)
    print_line(f"{app.settings.tag} is up, {_on(version)}; its log is {app.paths.log}.")
    if not version:
        from karma_sync.service.setup import how_to_install_syncthing

        print_next(f"{how_to_install_syncthing()}, to share; karma-sync session list, to read")
        return
    try:
        app.redactions.redactor()
    except (BadInput, RedactionFailed) as error:
        print_error(f"nothing is sent: {error}", "correct it, then karma-sync down and up -d")
    print_next_step(app)


def _on(version: str) -> str:
    """Return what the daemon runs on: Syncthing's version, or none."""
    if version:
        return f"on Syncthing {version}"
    return "without Syncthing: your sessions are archived, and nothing is shared"
