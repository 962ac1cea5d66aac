"""Commands that set a machine up: init, code, pair."""

import os
import sys
from typing import Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import say_if_down
from karma_sync.cli.output import ask, is_terminal, next_step, say, say_json
from karma_sync.domain import ids
from karma_sync.domain.team import pairing_code
from karma_sync.errors import BadInput, Conflict
from karma_sync.paths import Paths
from karma_sync.settings import NetworkSettings, load

_CODE_BYTES = 10_000


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
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
    import getpass
    import socket

    login, host = ids.clean_part(getpass.getuser(), "me"), ids.clean_host(socket.gethostname())
    if user is None:
        user = ask("Your name in teams", login) if is_terminal() else login
    if machine is None:
        machine = ask("This machine's name", host) if is_terminal() else host
    return ids.member_tag(user, machine)


def _network(addresses: list[str], discovery: bool) -> NetworkSettings:
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
    return NetworkSettings(port, full, discovery=discovery, relays=discovery, nat=discovery)


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
