"""The commands `up` and `down`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.notices import print_next_step
from karma_sync.cli.output import print_error, print_line, print_next
from karma_sync.cli.progress import waiting
from karma_sync.errors import BadInput, Conflict, KarmaError, RedactionFailed, TimedOut
from karma_sync.runtime.timing import Deadline

_UP_S = 120.0

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
    app = App.from_environment()
    if background:
        _up_in_background(app)
        return
    import gc

    from karma_sync.daemon.log_setup import log_daemon
    from karma_sync.daemon.main import Daemon

    gc.set_threshold(700, 10, 10)  # Python's own: a daemon does make garbage
    log_daemon(app.paths.log if log_to_file and app.settings else None)

    def ready(version: str) -> None:
        print(f"{app.me.tag} is up, {_on(version)}.", flush=True)

    try:
        Daemon(app).run(ready)
    finally:
        app.close()


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


def _up_in_background(app: App) -> None:
    """Start `up` as another process, and wait until it is ready or has failed."""
    import subprocess  # noqa: S404 our own program, a list of arguments
    import time

    from karma_sync.daemon.lock import running

    tag = app.settings.tag  # it raises NotInitialised before a file is made
    if running(app.paths):
        raise Conflict(f"{tag} is already up", hint="karma-sync status")
    app.paths.create()
    log = app.paths.log
    with Path(log).open("ab") as out:
        log.chmod(0o600)
        start = out.tell()
        child = subprocess.Popen(  # noqa: S603 see above
            # -P: Python imports nothing from the working directory
            [sys.executable, "-P", "-m", "karma_sync", "up", "--log-to-file"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = Deadline(_UP_S)
    with waiting("starting the daemon"):
        while (daemon := running(app.paths)) is None or daemon.pid != child.pid:
            if child.poll() is not None:
                raise _failure(log, start, child.returncode)
            if deadline.is_over:
                raise TimedOut(f"the daemon is not up after {_UP_S:g} seconds", hint=f"see {log}")
            time.sleep(0.05)
    print_line(f"{app.settings.tag} is up, {_on(daemon.syncthing)}; its log is {log}.")
    if not daemon.syncthing:
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


def _failure(log: Path, start: int, code: int) -> KarmaError:
    """Return the error that the daemon logged after byte `start` of its log."""
    logged = log.read_bytes()
    logged = logged[start:] if start <= len(logged) else logged  # the log may have been rotated
    _, found, text = f"\n{logged.decode(errors='replace')}".rpartition("\nkarma-sync: ")
    message, _, hint = text.strip().partition("\n  try: ")
    if not found:
        message, hint = "the daemon ended at once", ""
    error = KarmaError(message, hint=hint or f"see {log}")
    error.exit_code = code  # type: ignore[misc] # as in the foreground
    return error
