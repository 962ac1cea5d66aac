"""Commands to have the system run the daemon: at login, and again after a failure."""

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
from karma_sync.cli.output import next_step, say, say_json
from karma_sync.errors import NotFound, TimedOut
from karma_sync.paths import Paths

if TYPE_CHECKING:
    from karma_sync.daemon.autostart import Autostart, State
    from karma_sync.daemon.lock import Running

_UP_S = 120.0
_POLL_S = 0.1
_FOLLOW_S = 0.3
_LINGER = (
    "It ends when you log out. To let it run on: loginctl enable-linger $USER",
    "It outlives your log-out.",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="The daemon as a service of your system.")
    for command in (install, uninstall, start, stop, status, logs):
        group.command()(command)
    app.add_typer(group, name="service")


def install() -> None:
    """Start the daemon now and at every login. Again after an upgrade.

    Example: karma-sync service install
    """
    from karma_sync.daemon.autostart import autostart
    from karma_sync.daemon.service_units import Launch
    from karma_sync.syncthing.program import find_program

    app = App.from_environment()
    tag = app.settings.tag
    find_program(app.settings.syncthing)
    service = autostart(os.environ)
    before = service.state()
    service.install(Launch.plan(os.environ, app.paths, sys.executable))
    say(f"{service.name} is installed: {service.file}.")
    other = _daemon_besides(before, app.paths)
    if other:
        say(
            f"{tag} is up already, started by hand as process {other.pid};"
            " the service takes over at your next login, or now:"
        )
        next_step("karma-sync down, then: karma-sync service start")
    else:
        if before.pid:  # what runs may be an older version, or have another environment
            service.stop()
        service.start()
        say(_wait_until_up(service, app.paths, tag))
    if before.lingering is False:
        say(_LINGER[False])


def uninstall() -> None:
    """End the service and remove it. Your identity and sessions stay.

    Example: karma-sync service uninstall
    """
    from karma_sync.daemon.autostart import autostart

    service = autostart(os.environ)
    if not service.file.exists():
        say(f"{service.name} is not installed.")
        return
    service.uninstall()
    say(f"{service.name} is removed.")


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
        say(f"{tag} is up already, started by hand as process {other.pid}.")
        next_step("karma-sync down, then: karma-sync service start")
        return
    service.start()
    say(_wait_until_up(service, app.paths, tag))


def stop() -> None:
    """Stop the service until your next login or `service start`.

    Example: karma-sync service stop
    """
    from karma_sync.daemon.autostart import autostart

    service = autostart(os.environ)
    service.stop()
    say(f"{service.name} is stopped.")
    other = _daemon_besides(service.state(), Paths.from_environment(os.environ))
    if other:
        say(f"A daemon that was started by hand runs on, as process {other.pid}.")
        next_step("karma-sync down")


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show whether the service is installed and runs.

    Example: karma-sync service status
    """
    from karma_sync.daemon.autostart import autostart
    from karma_sync.daemon.lock import running

    paths = Paths.from_environment(os.environ)
    service = autostart(os.environ)
    state = service.state()
    if as_json:
        daemon = running(paths)
        say_json(
            service=service.name,
            file=service.file,
            **asdict(state),
            daemon=asdict(daemon) if daemon else None,
        )
        return
    if not state.installed:
        say(f"{service.name} is not installed.")
    else:
        process = f", process {state.pid}" if state.pid else ""
        login = "starts" if state.enabled else "does not start"
        say(f"{service.name}: {state.says}{process}; it {login} at login", f"  {service.file}")
        if state.lingering is not None:
            say(_LINGER[state.lingering])
    _say_what_is_next(state, paths)


def logs(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Wait for more.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many before.")] = 50,
) -> None:
    """Show what the daemon logged. From the journal under systemd, else from its file.

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
    """The daemon of this home that is up, if it is not the service's."""
    from karma_sync.daemon.lock import running

    daemon = running(paths)
    return daemon if daemon and daemon.pid != state.pid else None


def _wait_until_up(service: "Autostart", paths: Paths, tag: str) -> str:
    """Wait for the daemon, where the manager did not; what to say of it."""
    from karma_sync.daemon.lock import running

    deadline = time.monotonic() + _UP_S
    while (daemon := running(paths)) is None:
        if time.monotonic() > deadline:
            raise TimedOut(
                f"{service.name} is not up after {_UP_S:g} seconds", hint="karma-sync service logs"
            )
        time.sleep(_POLL_S)
    return f"{tag} is up, on Syncthing {daemon.syncthing}."


def _say_what_is_next(state: "State", paths: Paths) -> None:
    other = _daemon_besides(state, paths)
    if other:
        say(f"A daemon that was started by hand runs as process {other.pid}.")
    if not state.installed:
        next_step("karma-sync service install")
    elif state.pid is None and not other:
        next_step("karma-sync service start")


def _show(pieces: Iterator[bytes]) -> None:
    """Print the pieces as they come, until they end, or Ctrl-C, or nobody reads any more."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tail(log: Path, lines: int, follow: bool) -> Generator[bytes, None, None]:
    """The last lines of a log and, if wanted, what is added, across rotations."""
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
        return False  # renamed, and not made anew yet
