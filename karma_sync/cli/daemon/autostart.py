"""The commands `service …`: the system starts the daemon at login and after a failure."""

import os
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from karma_sync.app import App
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.progress import waiting
from karma_sync.errors import NotFound, TimedOut
from karma_sync.paths import Paths
from karma_sync.runtime.timing import poll

if TYPE_CHECKING:
    from karma_sync.daemon.autostart import Autostart, State
    from karma_sync.daemon.lock import Running

_UP_S = 120.0
_POLL_S = 0.1
_FOLLOW_S = 0.3
_LINGER = (
    "The service ends when you log out. To keep it running: loginctl enable-linger $USER",
    "The service keeps running when you log out.",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage the service.")
    for command in (install, uninstall, start, stop, status, logs):
        group.command()(command)
    app.add_typer(group, name="service")


def install() -> None:
    """Install the service.

    The system starts the daemon now and at every login. Run it again after an upgrade.

    Example: karma-sync service install
    """
    from karma_sync.daemon.autostart import autostart
    from karma_sync.daemon.service_units import Launch
    from karma_sync.service.setup import require_syncthing

    app = App.from_environment()
    tag = app.settings.tag
    require_syncthing(app.settings.syncthing)
    service = autostart(os.environ)
    before = service.state()
    service.install(Launch.plan(os.environ, app.paths, sys.executable))
    print_line(f"{service.name} is installed: {service.file}.")
    other = _daemon_besides(before, app.paths)
    if other:
        print_line(
            f"{tag} is already up: it was started by hand as process {other.pid}."
            " The service takes over at your next login. To let it take over now:"
        )
        print_next("karma-sync down, then: karma-sync service start")
    else:
        if before.pid:  # it may be an older version, or have another environment
            service.stop()
        service.start()
        print_line(_wait_until_up(service, app.paths, tag))
    if before.lingering is False:
        print_line(_LINGER[False])


def uninstall() -> None:
    """Remove the service.

    This stops the daemon. Your identity and your sessions stay.

    Example: karma-sync service uninstall
    """
    from karma_sync.daemon.autostart import autostart

    service = autostart(os.environ)
    if not service.file.exists():
        print_line(f"{service.name} is not installed.")
        return
    service.uninstall()
    print_line(f"{service.name} is removed.")


def start() -> None:
    """Start the service.

    Example: karma-sync service start
    """
    from karma_sync.daemon.autostart import autostart

    app = App.from_environment()
    tag = app.settings.tag
    service = autostart(os.environ)
    other = _daemon_besides(service.state(), app.paths)
    if other:
        print_line(f"{tag} is already up: it was started by hand as process {other.pid}.")
        print_next("karma-sync down, then: karma-sync service start")
        return
    service.start()
    print_line(_wait_until_up(service, app.paths, tag))


def stop() -> None:
    """Stop the service.

    It starts again at your next login, or with `service start`.

    Example: karma-sync service stop
    """
    from karma_sync.daemon.autostart import autostart

    service = autostart(os.environ)
    service.stop()
    print_line(f"{service.name} is stopped.")
    other = _daemon_besides(service.state(), Paths.from_environment(os.environ))
    if other:
        print_line(f"Another daemon, started by hand, still runs as process {other.pid}.")
        print_next("karma-sync down")


def status(as_json: JsonOption = False) -> None:
    """Show the service.

    It shows whether the service is installed, and whether it runs.

    Example: karma-sync service status
    """
    from karma_sync.daemon.autostart import autostart
    from karma_sync.daemon.lock import running

    paths = Paths.from_environment(os.environ)
    service = autostart(os.environ)
    state = service.state()
    if as_json:
        daemon = running(paths)
        print_json(
            service=service.name,
            file=service.file,
            **asdict(state),
            daemon=asdict(daemon) if daemon else None,
        )
        return
    if not state.installed:
        print_line(f"{service.name} is not installed.")
    else:
        process = f", process {state.pid}" if state.pid else ""
        login = "starts" if state.enabled else "does not start"
        print_line(
            f"{service.name}: {state.says}{process}; it {login} at login", f"  {service.file}"
        )
        if state.lingering is not None:
            print_line(_LINGER[state.lingering])
    _print_what_is_next(state, paths)


def logs(
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Print new lines as they are logged.")
    ] = False,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=0, help="The number of lines to print first.")
    ] = 50,
) -> None:
    """Show the log.

    The daemon logs to the journal under systemd, else to a file.

    Example: karma-sync service logs -f
    """
    from karma_sync.daemon.autostart import autostart

    paths = Paths.from_environment(os.environ)
    service = autostart(os.environ)
    journal = service.journal(lines, follow)
    if journal is None or _daemon_besides(service.state(), paths):
        _show(tail(paths.log, lines, follow))
    else:
        os.execv(journal[0], journal)  # noqa: S606 a list of arguments, no shell


def _daemon_besides(state: "State", paths: Paths) -> "Running | None":
    """Return the running daemon of this home, unless the service started it."""
    from karma_sync.daemon.lock import running

    daemon = running(paths)
    return daemon if daemon and daemon.pid != state.pid else None


def _wait_until_up(service: "Autostart", paths: Paths, tag: str) -> str:
    """Wait until the daemon is up, as not every manager waits; return the message.

    Raises:
        TimedOut: it is not up in time.
    """
    from karma_sync.daemon.lock import running

    with waiting("starting the daemon"):
        daemon = poll(lambda: running(paths), _POLL_S, _UP_S)
    if daemon is None:
        raise TimedOut(
            f"{service.name} is not up after {_UP_S:g} seconds",
            hint="karma-sync service logs",
        )
    return f"{tag} is up, on Syncthing {daemon.syncthing}."


def _print_what_is_next(state: "State", paths: Paths) -> None:
    other = _daemon_besides(state, paths)
    if other:
        print_line(f"A daemon, started by hand, runs as process {other.pid}.")
    if not state.installed:
        print_next("karma-sync service install")
    elif state.pid is None and not other:
        print_next("karma-sync service start")


def _show(pieces: Iterator[bytes]) -> None:
    """Print pieces of the log until they end, or the reader is gone."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tail(log: Path, lines: int, follow: bool) -> Generator[bytes, None, None]:
    """Yield the last lines of a log; with `follow` also new lines, across rotations."""
    try:
        source = log.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no log yet at {log}", hint="karma-sync up -d") from None
    with ExitStack() as files:
        files.enter_context(source)
        yield b"".join(deque(source, maxlen=lines))
        while follow:
            more = source.read()
            if more:
                yield more
            elif _is_rotated(source, log):
                source = files.enter_context(log.open("rb"))
            else:
                time.sleep(_FOLLOW_S)


def _is_rotated(source: BinaryIO, log: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(source.fileno()), log.stat())
    except FileNotFoundError:
        return False  # the old file is renamed, and the new one does not exist yet
