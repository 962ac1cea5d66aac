"""The requirements of commands before they begin: an identity, and a daemon that runs."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask, is_terminal
from karma_sync.cli.output import print_line
from karma_sync.cli.progress import waiting
from karma_sync.domain import ids
from karma_sync.domain.team.pairing_code import is_address
from karma_sync.errors import BadInput, Conflict, KarmaError, TimedOut
from karma_sync.files import refuse_root
from karma_sync.paths import Paths
from karma_sync.runtime.timing import Deadline

if TYPE_CHECKING:
    from karma_sync.domain.team.team import Team

_UP_S = 120.0

UserOption = Annotated[str | None, typer.Option(help="Your name in teams. Default: your login.")]
MachineOption = Annotated[
    str | None, typer.Option(help="The name of this machine. Default: the host name.")
]
AddressOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Where other members reach you: HOST, HOST:PORT or tcp://HOST:PORT. Repeatable."
    ),
]
DiscoveryOption = Annotated[
    bool, typer.Option("--discovery/--no-discovery", help="Use public discovery, relays and NAT.")
]


@dataclass(frozen=True)
class NewIdentity:
    """The options from which an identity is made, as typed.

    With `at_once`, both names are asked for in one question.
    """

    user: str | None = None
    machine: str | None = None
    address: Sequence[str] = ()
    discovery: bool = True
    at_once: bool = False


def make_identity(wishes: NewIdentity) -> App:
    """Make an identity; on a terminal it asks for the names that were not given.

    Raises:
        Conflict: there is one already.
        BadInput: a name or an address cannot be used, or nobody could reach this machine.
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
    if not wishes.discovery and not wishes.address:
        raise BadInput(
            "without discovery other members need an address to reach you",
            hint="karma-sync init --no-discovery --address HOST",
        )
    hosts = [_host_and_port(each) for each in wishes.address]
    tag = _tag_at_once(wishes) if wishes.at_once else _tag(wishes.user, wishes.machine)
    setup.require_tag(known, tag)
    network = setup.choose_network(hosts, wishes.discovery)
    with waiting("creating the identity"):
        setup.make_home(paths, tag, network, os.environ)
    app = App.from_environment()
    print_line(
        f"You are {app.me.tag}, key {app.me.fingerprint}.", f"Your files are in {paths.data}."
    )
    if had_key:
        print_line(f"The key was here before, in {paths.key}; it is used again.")
    print_line(
        "While the daemon runs, it archives every session of your agent in"
        f" {paths.archive}, with nothing cut, before the agent deletes it. The archive never leaves"
        f' this machine. To turn it off, write archive = "off" in {paths.settings}.'
    )
    if wishes.discovery:
        print_line(
            "Syncthing's public discovery learns this machine's device ID and IP addresses, its"
            " relays learn which devices talk to each other; neither sees content. To turn them"
            f" off, edit [network] in {paths.settings}."
        )
    return app


def begun(wishes: NewIdentity) -> App:
    """The app of the identity here, which is made if there is none, with a daemon that runs.

    Raises: as `make_identity` and `start_daemon` do.
    """
    from karma_sync.daemon.lock import running

    paths = Paths.from_environment(os.environ)
    app = App.from_environment() if paths.settings.exists() else make_identity(wishes)
    if running(app.paths) is None:
        from karma_sync.service.setup import require_syncthing

        require_syncthing(app.settings.syncthing)
        start_daemon(app)
    return app


def has_team(app: App) -> bool:
    """Whether I am in a team."""
    from karma_sync.service import teams

    return bool(teams.all_teams(app.state))


def team_to_lead(app: App, name: str | None) -> "Team":
    """Return the team that is meant, which I lead; it is founded if I am in none.

    On a terminal it asks which one, if I lead several and named none.

    Raises:
        BadInput: there is no terminal to ask for a name at.
        NotLeader: I do not lead the team.
        IllegalMove: it is dissolved.
    """
    from karma_sync.service import teams

    known = teams.all_teams(app.state) if name else teams.with_others(app.state)
    if not known:
        if name is None and not is_terminal():
            raise BadInput("you are in no team", hint="--team NAME makes one")
        made = teams.create(app.state, app.me, name or ask("The name of your team", "team"))
        print_line(f"You lead team {made.name}.")
        return made
    led = [each for each in known if each.leader == app.me.key and not each.is_dissolved]
    if name is None and len(led) == 1:
        return led[0]
    if name is None and led and is_terminal():
        names = sorted(each.name for each in led)
        name = ask(f"You lead {', '.join(names)}. Which team", names[0])
    return teams.find_team(app.state, name).lead_by(app.me.key).change()


def start_daemon(app: App) -> str:
    """Start `up` as another process; returns Syncthing's version once it is ready.

    Raises:
        Conflict: a daemon runs already.
        KarmaError: it ended at once; the message says why.
        TimedOut: it is not ready after two minutes.
    """
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
    return daemon.syncthing


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


def _tag_at_once(wishes: NewIdentity) -> str:
    """The tag, which one question proposes; `bob` alone changes the first part."""
    if wishes.user or wishes.machine or not is_terminal():
        return _tag(wishes.user, wishes.machine)
    user, machine = _proposed()
    typed = ask("Your name in teams, and this machine's", f"{user}.{machine}")
    mine, dot, other = typed.partition(".")
    return ids.member_tag(mine, other if dot else machine)


def _tag(user: str | None, machine: str | None) -> str:
    login, host = _proposed()
    if user is None:
        user = ask("Your name in teams", login) if is_terminal() else login
    if machine is None:
        machine = ask("This machine's name", host) if is_terminal() else host
    return ids.member_tag(user, machine)


def _proposed() -> tuple[str, str]:
    """The names that the system suggests: the login and the host."""
    import getpass
    import socket

    try:
        login = ids.clean_part(getpass.getuser(), "me")
    except (KeyError, OSError):  # a container may run as a user that the system does not list
        login = "me"
    return login, ids.clean_host(socket.gethostname())


def _host_and_port(address: str) -> tuple[str, int]:
    """Return host and port of an address as typed; port 0 if it has none.

    Raises:
        BadInput: it is not an address.
    """
    plain = address.removeprefix("tcp://")
    host, colon, port = plain.rpartition(":")
    if not colon or plain.endswith("]"):
        host, port = plain, ""
    usable = is_address(f"tcp://{host}:{port or 1}") and (not port or int(port) > 0)
    if not usable or ":" in host.strip("[]") and not host.startswith("["):
        raise BadInput(f"{address!r} is not an address", hint="--address 192.168.1.20")
    return host, int(port or 0)
