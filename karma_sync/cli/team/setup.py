"""The commands `init`, `code` and `pair`."""

import os
import sys
from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask, is_terminal
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.progress import waiting
from karma_sync.domain import ids
from karma_sync.domain.team import pairing_code
from karma_sync.errors import BadInput, Conflict
from karma_sync.files import refuse_root
from karma_sync.paths import Paths
from karma_sync.runtime.timing import utc_now

_CODE_BYTES = 10_000


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
    app.command()(code)
    app.command()(pair)


def init(
    user: Annotated[
        str | None, typer.Option(help="Your name in teams. Default: your login.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option(help="The name of this machine. Default: the host name.")
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            help="Where other members reach you: HOST, HOST:PORT or tcp://HOST:PORT. Repeatable."
        ),
    ] = None,
    discovery: Annotated[
        bool,
        typer.Option("--discovery/--no-discovery", help="Use public discovery, relays and NAT."),
    ] = True,
) -> None:
    """Create an identity.

    On a terminal it asks for the names that were not given.

    Example: karma-sync init --user alice --machine laptop
    """
    from karma_sync.service import setup
    from karma_sync.settings import load

    paths = Paths.from_environment(os.environ)
    refuse_root(paths.settings)
    if paths.settings.exists():
        raise Conflict(
            f"{paths.config} already has the identity of {load(paths).tag}", hint="karma-sync up"
        )
    known = setup.known_tags(paths)
    had_key = paths.key.exists()
    tag = _tag(user, machine)
    setup.require_tag(known, tag)
    hosts = [_host_and_port(each) for each in address or ()]
    network = setup.choose_network(hosts, discovery)
    if not discovery and not address:
        raise BadInput(
            "without discovery other members need an address to reach you",
            hint="karma-sync init --no-discovery --address HOST",
        )
    with waiting("creating the identity"):
        setup.make_home(paths, tag, network, os.environ)
    me = App(paths).me
    print_line(f"You are {me.tag}, key {me.fingerprint}.", f"Your files are in {paths.data}.")
    if had_key:
        print_line(f"The key was here before, in {paths.key}; it is used again.")
    print_line(
        "While the daemon runs, it archives every session of your agent in"
        f" {paths.archive}, with nothing cut, before the agent deletes it. The archive never leaves"
        f' this machine. To turn it off, write archive = "off" in {paths.settings}.'
    )
    if discovery:
        print_line(
            "Syncthing's public discovery learns this machine's device ID and IP addresses, its"
            " relays learn which devices talk to each other; neither sees content. To turn them"
            f" off, edit [network] in {paths.settings}."
        )
    print_next("karma-sync up -d")


def code(
    as_json: JsonOption = False,
) -> None:
    """Print the pairing code.

    It names this machine, and is not a secret.

    Example: karma-sync code
    """
    me = App.from_environment().me
    if as_json:
        print_json(tag=me.tag, device=me.device, fingerprint=me.fingerprint, code=me.encode())
        return
    print_line(me.encode())
    if sys.stdout.isatty():
        print_next(
            "send it to the other member, who types: karma-sync team add CODE to take you in, or"
            " karma-sync pair CODE to join your team"
        )


def pair(
    code: Annotated[
        list[str] | None,
        typer.Argument(help="The pairing code of the other member. Default: standard input."),
    ] = None,
) -> None:
    """Pair with a member.

    The first invitation from this member within 24 hours is accepted.

    Example: karma-sync pair AEAGQNA-4GGC73T-…
    """
    from karma_sync.service import invitations as service
    from karma_sync.service.teams import led_by

    app = App.from_environment()
    other = read_code(app, code)
    print_line(f"Pairing with {other.tag}, key {other.fingerprint}.")
    made = service.pair(app.state, app.me, other, utc_now())
    print_line("The first invitation from there within 24 hours is accepted.")
    print_if_down(app)
    theirs = f"karma-sync code, for {other.tag} to type: karma-sync team add CODE"
    leads = led_by(app.state, app.me)
    print_next(f"karma-sync team add {made.id} for your team, or {theirs}" if leads else theirs)


def read_code(app: App, parts: list[str] | None) -> pairing_code.PairingCode:
    """Return a pairing code from one or several arguments, or from standard input.

    Raises:
        BadInput: it is not a pairing code, or it is our own.
    """
    from karma_sync.service.teams import refuse_own

    if parts and parts != ["-"]:
        text = "".join(parts)
    else:
        if sys.stdin.isatty():
            sys.stderr.write("The pairing code of the other member [then Enter and Ctrl-D]: ")
            sys.stderr.flush()
        text = sys.stdin.buffer.read(_CODE_BYTES).decode(errors="replace")
    code = pairing_code.decode(text)
    refuse_own(app.me, code)
    return code


def _tag(user: str | None, machine: str | None) -> str:
    import getpass
    import socket

    host = ids.clean_host(socket.gethostname())
    if user is None:
        try:
            login = ids.clean_part(getpass.getuser(), "me")
        except (KeyError, OSError):  # a container may run as a user that the system does not list
            login = "me"
        user = ask("Your name in teams", login) if is_terminal() else login
    if machine is None:
        machine = ask("This machine's name", host) if is_terminal() else host
    return ids.member_tag(user, machine)


def _host_and_port(address: str) -> tuple[str, int]:
    """Return host and port of an address as typed; port 0 if it has none.

    Raises:
        BadInput: it is not an address.
    """
    plain = address.removeprefix("tcp://")
    host, colon, port = plain.rpartition(":")
    if not colon or plain.endswith("]"):
        host, port = plain, ""
    usable = pairing_code.is_address(f"tcp://{host}:{port or 1}") and (not port or int(port) > 0)
    if not usable or ":" in host.strip("[]") and not host.startswith("["):
        raise BadInput(f"{address!r} is not an address", hint="--address 192.168.1.20")
    return host, int(port or 0)
