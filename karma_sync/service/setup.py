"""Use case of `init`: makes the member's home; and checks that commands and the daemon need."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from karma_sync import settings
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import BadInput, Conflict, DatabaseUnusable
from karma_sync.paths import Paths
from karma_sync.signing import SigningKey
from karma_sync.store import state
from karma_sync.store.database import Database
from karma_sync.store.read_only import reading_only
from karma_sync.syncthing.home import create_home, create_key
from karma_sync.syncthing.process import free_port, require_free
from karma_sync.syncthing.program import find_program, install_command, is_missing


def make_home(
    paths: Paths, tag: str, network: settings.NetworkSettings, environ: Mapping[str, str]
) -> None:
    """Make a member's home: directories, key, Syncthing's home, and config.toml as the last.

    Where no Syncthing is installed, its key is made without it: it finds that key later.

    Raises:
        SyncthingMissing: a Syncthing is installed or named, and cannot be run; nothing was made.
        SyncthingError: Syncthing could not make its home.
    """
    named = environ.get("KARMA_SYNC_SYNCTHING")
    configured = Path(named) if named else None
    program = None if is_missing(configured) else find_program(configured)
    paths.create()
    SigningKey.create(paths.key)
    if program:
        create_home(program, paths.syncthing)
    else:
        create_key(paths.syncthing)
    settings.save(paths, tag, network, settings.claude_dirs(environ))


def known_tags(paths: Paths) -> dict[str, str]:
    """By team, the tag under which it knows the key that lies here; empty if none does.

    The key and the database may be here without config.toml, which was deleted.
    """
    if not (paths.key.exists() and paths.state_db.exists()):
        return {}
    key = SigningKey.load(paths.key).public
    try:
        with reading_only(paths.state_db) as tx:
            teams = state.teams.all(tx)
    except DatabaseUnusable:
        return {}  # a daemon says what is wrong with it
    return {team.name: mine.tag for team in teams if (mine := team.member(key))}


def require_tag(known: Mapping[str, str], tag: str) -> None:
    """Raises Conflict if a team knows the key that lies here by another tag than this."""
    for team, other in known.items():
        if other != tag:
            user, machine = other.split(".")
            raise Conflict(
                f"the key that lies here is {other} in team {team}, which would refuse it as {tag}",
                hint=f"karma-sync init --user {user} --machine {machine}",
            )


def choose_network(hosts: Sequence[tuple[str, int]], discovery: bool) -> settings.NetworkSettings:
    """The network settings with which others reach this machine at `hosts`.

    Each of `hosts` is a host and its port; port 0 means that none was named. Syncthing listens on
    the named port, else on a free one.

    Raises:
        BadInput: two hosts name different ports.
        PortTaken: another program listens on the named port.
    """
    named = {port for _, port in hosts if port}
    if len(named) > 1:
        raise BadInput("all addresses must have the same port", hint="--address HOST:PORT")
    port = named.pop() if named else free_port()
    if any(port for _, port in hosts):
        require_free(port, "--address HOST:PORT")
    addresses = tuple(f"tcp://{host}:{port}" for host, _ in hosts)
    return settings.NetworkSettings(
        port=port, addresses=addresses, discovery=discovery, relays=discovery, nat=discovery
    )


def how_to_install_syncthing() -> str:
    """The command that installs Syncthing on this system."""
    return install_command()


def require_syncthing(configured: Path | None) -> None:
    """Raises SyncthingMissing if no Syncthing can be run; None means the one on PATH."""
    find_program(configured)


def require_known_name(store: Database, me: PairingCode, settings: Path) -> None:
    """Raises BadInput if a team knows my key by another tag: what I sign would be refused."""
    with store.reading() as tx:
        known = [(team.name, team.anybody(me.key)) for team in state.teams.all(tx)]
    for team, member in known:
        if member and member.tag != me.tag:
            raise BadInput(
                f"{settings} names you {me.tag}, but team {team} knows you as {member.tag}",
                hint=f'tag = "{member.tag}" in {settings}',
            )


def require_no_team(store: Database) -> None:
    """Raises Conflict if I am in a team: its members know me by my tag."""
    with store.reading() as tx:
        teams = state.teams.all(tx)
    if teams:
        names = ", ".join(team.name for team in teams)
        raise Conflict(
            f"you are in {names}, and its members know you by your present name",
            hint="karma-sync init --user NAME --machine NAME, with another KARMA_SYNC_HOME",
        )
