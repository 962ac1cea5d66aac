"""The commands that start and end the daemon."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.output import complain, next_step, say
from karma_sync.errors import BadInput, Conflict, KarmaError, RedactionFailed, TimedOut

_UP_S = 120.0

_DOWN_S = 30.0


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(up)
    app.command()(down)


def up(
    background: Annotated[bool, typer.Option("-d", "--background", help="Return at once.")] = False,
    log_to_file: Annotated[
        bool, typer.Option("--log-to-file", hidden=True, help="Where nobody watches.")
    ] = False,
) -> None:
    """Run the daemon, with its own Syncthing, in the foreground.

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
        print(f"{app.me.tag} is up, on Syncthing {version}.", flush=True)

    try:
        Daemon(app).run(ready)
    finally:
        app.close()


def down() -> None:
    """Stop the daemon, and its Syncthing with it.

    Example: karma-sync down
    """
    import psutil

    from karma_sync.daemon.lock import running

    app = App.from_environment()
    daemon = running(app.paths)
    if daemon is None:
        say(f"No daemon runs for {app.settings.tag}.")
        return
    process = psutil.Process(daemon.pid)
    process.terminate()
    try:
        process.wait(_DOWN_S)
    except psutil.TimeoutExpired:
        raise TimedOut(
            f"the daemon, process {daemon.pid}, did not stop within {_DOWN_S:g} seconds",
            hint=f"see {app.paths.log}",
        ) from None
    say(f"{app.settings.tag} is down.")


def _up_in_background(app: App) -> None:
    """Start `up` as a process of its own, and wait until it is ready or has failed."""
    import subprocess  # noqa: S404 our own program, a list of arguments
    import time

    from karma_sync.daemon.lock import running

    tag = app.settings.tag  # before `init` nothing is made
    if running(app.paths):
        raise Conflict(f"{tag} is up already", hint="karma-sync status")
    app.paths.create()
    log = app.paths.log
    with Path(log).open("ab") as out:
        log.chmod(0o600)
        start = out.tell()
        child = subprocess.Popen(  # noqa: S603 see above
            # -P: nothing is imported from wherever it was typed
            [sys.executable, "-P", "-m", "karma_sync", "up", "--log-to-file"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + _UP_S
    while (daemon := running(app.paths)) is None or daemon.pid != child.pid:
        if child.poll() is not None:
            raise _failure(log, start, child.returncode)
        if time.monotonic() > deadline:
            raise TimedOut(f"the daemon is not up after {_UP_S:g} seconds", hint=f"see {log}")
        time.sleep(0.05)
    say(f"{app.settings.tag} is up, on Syncthing {daemon.syncthing}; its log is {log}.")
    try:
        app.redactions.redactor()
    except (BadInput, RedactionFailed) as error:
        complain(f"nothing is sent: {error}", "karma-sync down, then up -d, once it is corrected")
    next_step("karma-sync code")


def _failure(log: Path, start: int, code: int) -> KarmaError:
    """The error that a daemon ended with, as its log has it behind byte `start`."""
    said = log.read_bytes()
    said = said[start:] if start <= len(said) else said  # it may have been rotated
    _, complained, text = f"\n{said.decode(errors='replace')}".rpartition("\nkarma-sync: ")
    message, _, hint = text.strip().partition("\n  try: ")
    if not complained:
        message, hint = "the daemon ended at once", ""
    error = KarmaError(message, hint=hint or f"see {log}")
    error.exit_code = code  # type: ignore[misc] # as in the foreground
    return error
