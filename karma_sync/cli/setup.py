"""Commands to set a machine up: init, up, down, code, pair."""

import getpass
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import say_if_down
from karma_sync.cli.output import ask, complain, is_terminal, next_step, say, say_json
from karma_sync.domain import ids
from karma_sync.domain.team import pairing_code
from karma_sync.errors import BadInput, Conflict, KarmaError, RedactionFailed, TimedOut
from karma_sync.paths import Paths
from karma_sync.settings import Network, load

_UP_S = 120.0
_DOWN_S = 30.0
_CODE_BYTES = 10_000


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
    app.command()(up)
    app.command()(down)
    app.command()(code)
    app.command()(pair)


def init(
    user: Annotated[
        str | None, typer.Option(help="Your name in teams; your login if not given.")
    ] = None,
    machine: Annotated[str | None, typer.Option(help="This machine's name; the host name.")] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(help="Where others dial you: HOST, HOST:PORT or tcp://HOST:PORT. Repeatable."),
    ] = None,
    discovery: Annotated[
        bool, typer.Option("--discovery/--no-discovery", help="Public discovery, relays and NAT.")
    ] = True,
) -> None:
    """Make this machine's identity.

    Example: karma-sync init --user alice --machine laptop
    """
    from karma_sync.service import setup

    paths = Paths.from_environment(os.environ)
    if paths.settings.exists():
        raise Conflict(f"{load(paths).tag} lives in {paths.config} already", hint="karma-sync up")
    tag = _tag(user, machine)
    network = _network(address or [], discovery)
    if not discovery and not address:
        raise BadInput(
            "without discovery others must be told where to dial you",
            hint="karma-sync init --no-discovery --address HOST",
        )
    setup.make_home(paths, tag, network, os.environ)
    me = App(paths).me
    say(f"You are {me.tag}, key {me.fingerprint}.", f"Your files are in {paths.data}.")
    if discovery:
        say(
            "Syncthing's public discovery learns this machine's device ID and IP addresses, relays"
            " that it talks to which other; neither sees content. Off: network.* in"
            f" {paths.settings}."
        )
    next_step("karma-sync up -d")


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
    from karma_sync.daemon.log_setup import log_daemon
    from karma_sync.daemon.main import Daemon

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


def code(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print this machine's pairing code; it is not a secret.

    Example: karma-sync code
    """
    me = App.from_environment().me
    if as_json:
        say_json(tag=me.tag, device=me.device, fingerprint=me.fingerprint, code=me.encode())
        return
    say(me.encode())
    if sys.stdout.isatty():
        next_step("send it to the other person; there: karma-sync pair CODE")


def pair(
    code: Annotated[
        list[str] | None, typer.Argument(help="The other's pairing code; standard input if none.")
    ] = None,
) -> None:
    """Accept the other's first invitation within 24 hours.

    Example: karma-sync pair AEAGQNA-4GGC73T-…
    """
    from karma_sync.service import invitations as service

    app = App.from_environment()
    other = read_code(app, code)
    say(f"Pairing with {other.tag}, key {other.fingerprint}.")
    service.pair(app.state, app.me, other, utc_now())
    say("Its first invitation within 24 hours is accepted.")
    say_if_down(app)
    next_step("karma-sync subscription list")


def read_code(app: App, parts: list[str] | None) -> pairing_code.PairingCode:
    """Another's pairing code, from the command line in one or several pieces, or standard input.

    Raises:
        BadInput: it is none, or our own.
    """
    from karma_sync.service.teams import refuse_own

    if parts and parts != ["-"]:
        text = "".join(parts)
    else:
        if sys.stdin.isatty():
            sys.stderr.write("The other's pairing code [then Enter and Ctrl-D]: ")
            sys.stderr.flush()
        text = sys.stdin.buffer.read(_CODE_BYTES).decode(errors="replace")
    code = pairing_code.decode(text)
    refuse_own(app.me, code)
    return code


def _tag(user: str | None, machine: str | None) -> str:
    login, host = ids.clean_part(getpass.getuser(), "me"), ids.clean_host(socket.gethostname())
    if user is None:
        user = ask("Your name in teams", login) if is_terminal() else login
    if machine is None:
        machine = ask("This machine's name", host) if is_terminal() else host
    return ids.member_tag(user, machine)


def _network(addresses: list[str], discovery: bool) -> Network:
    """The port that we listen on and others dial: the one in an address, else a free one."""
    from karma_sync.syncthing.process import free_port, require_free

    split = [_host_and_port(address) for address in addresses]
    named = {port for _, port in split if port}
    if len(named) > 1:
        raise BadInput("all addresses must have the same port", hint="--address HOST:PORT")
    if named:
        port = named.pop()
        require_free(port, "--address HOST:PORT")
    else:
        port = free_port()
    full = tuple(f"tcp://{host}:{port}" for host, _ in split)
    return Network(port, full, discovery=discovery, relays=discovery, nat=discovery)


def _host_and_port(address: str) -> tuple[str, int]:
    """Host and port of an address as typed; port 0 if it names none.

    Raises:
        BadInput: it is no address.
    """
    plain = address.removeprefix("tcp://")
    host, colon, port = plain.rpartition(":")
    if not colon or plain.endswith("]"):
        host, port = plain, ""
    usable = pairing_code.is_address(f"tcp://{host}:{port or 1}") and (not port or int(port) > 0)
    if not usable or ":" in host.strip("[]") and not host.startswith("["):
        raise BadInput(f"{address!r} is no address", hint="--address 192.168.1.20")
    return host, int(port or 0)


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
