"""What the person set: config.toml and the environment, read once, frozen."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from karma_sync.domain.ids import is_tag
from karma_sync.domain.team.pairing_code import is_address
from karma_sync.errors import BadInput, NotInitialised
from karma_sync.files import write_private
from karma_sync.paths import Paths

V = TypeVar("V")
_KINDS: Mapping[type, str] = {
    dict: "a table",
    list: "a list",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
}


@dataclass(frozen=True)
class NetworkSettings:
    """How Syncthing may reach others; all three of Syncthing's public helpers can be off."""

    port: int
    addresses: tuple[str, ...] = ()
    discovery: bool = True
    relays: bool = True
    nat: bool = True


@dataclass(frozen=True)
class Redaction:
    """Files of the person's own: further rules, and what is no secret."""

    gitleaks: Path | None = None
    allowlist: Path | None = None


@dataclass(frozen=True)
class Settings:
    """One member's settings; `syncthing` is the program to run, None to look on PATH."""

    tag: str
    network: NetworkSettings
    claude: Path
    syncthing: Path | None = None
    redaction: Redaction = Redaction()

    @property
    def dial_addresses(self) -> tuple[str, ...]:
        """What others are told to dial: our own addresses, and `dynamic` where discovery is on."""
        dynamic = ("dynamic",) if self.network.discovery else ()
        return self.network.addresses + dynamic

    @property
    def listen_addresses(self) -> tuple[str, ...]:
        """Where Syncthing listens: on loopback alone if that is all we tell others to dial."""
        net = self.network
        hosts = {address.removeprefix("tcp://").rpartition(":")[0] for address in net.addresses}
        local = bool(hosts) and all(_is_loopback(host) for host in hosts)
        if local:
            return tuple(sorted(f"tcp://{host}:{net.port}" for host in hosts))
        relay = ("dynamic+https://relays.syncthing.net/endpoint",) if net.relays else ()
        return (f"tcp://0.0.0.0:{net.port}", f"quic://0.0.0.0:{net.port}", *relay)


def load(paths: Paths, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read config.toml.

    Raises:
        NotInitialised: there is none yet.
        BadInput: it cannot be read; the message says where.
    """
    try:
        raw = paths.settings.read_bytes()
    except FileNotFoundError:
        raise NotInitialised(
            f"there is no identity in {paths.config}", hint="karma-sync init"
        ) from None
    try:
        return _read(tomllib.loads(raw.decode()), paths.config, environ)
    except UnicodeDecodeError as error:
        why = "it is not UTF-8"
        cause: ValueError = error
    except ValueError as error:
        why, cause = str(error), error
    raise BadInput(
        f"{paths.settings} cannot be read: {why}", hint=f"correct {paths.settings}"
    ) from cause


def _read(table: dict[str, object], config: Path, environ: Mapping[str, str]) -> Settings:
    """Values of the right kind are taken, others refused: nothing is guessed.

    A name that is not known is refused too: a misspelt one must not loosen anything.

    Raises:
        ValueError: one is missing, wrong, or not known.
    """
    _require_known(table, "", ("tag", "network", "syncthing", "redaction"))
    tag = _kind(table, str, "tag")
    if not is_tag(tag):
        raise ValueError(f"tag: {tag!r} is not a member tag, such as alice.laptop")
    syncthing = _table(table, "syncthing", ("program",))
    program = _kind(syncthing, str, "syncthing.program") if syncthing else None
    return Settings(
        tag=tag,
        network=_network(_table(table, "network", [f.name for f in fields(NetworkSettings)])),
        claude=claude_dir(environ),
        syncthing=_program(environ, program),
        redaction=_redaction(_table(table, "redaction", ("gitleaks", "allowlist")), config),
    )


def _network(table: Mapping[str, object]) -> NetworkSettings:
    port = _kind(table, int, "network.port")
    if not 0 < port < 65536:
        raise ValueError(f"network.port: {port} is not a port, 1 to 65535")
    addresses = _kind(table, list, "network.addresses")
    for address in addresses:
        if not isinstance(address, str) or not is_address(address):
            raise ValueError(
                f"network.addresses: {address!r} is no address, such as tcp://192.168.1.20:{port}"
            )
    return NetworkSettings(
        port=port,
        addresses=tuple(addresses),
        discovery=_kind(table, bool, "network.discovery"),
        relays=_kind(table, bool, "network.relays"),
        nat=_kind(table, bool, "network.nat"),
    )


def _redaction(table: Mapping[str, object], config: Path) -> Redaction:
    """Relative paths begin beside config.toml."""
    return Redaction(
        **{
            name: config / Path(_kind(table, str, f"redaction.{name}")).expanduser()
            for name in table
        }
    )


def _table(table: Mapping[str, object], name: str, known: Sequence[str]) -> Mapping[str, object]:
    """A table of these names at most; empty if there is none."""
    found: Mapping[str, object] = _kind(table, dict, name) if name in table else {}
    _require_known(found, f"{name}.", known)
    return found


def _require_known(table: Mapping[str, object], prefix: str, known: Sequence[str]) -> None:
    unknown = sorted(table.keys() - set(known))
    if unknown:
        names = ", ".join(f"{prefix}{name}" for name in known)
        raise ValueError(f"{prefix}{unknown[0]} is no setting; there are {names}")


def _kind(table: Mapping[str, object], kind: type[V], name: str) -> V:
    """The value that `name`, as a person would call it, has in the table it ends in."""
    try:
        value = table[name.rpartition(".")[2]]
    except KeyError:
        raise ValueError(f"{name} is missing") from None
    # True is an int to Python, and not to a person
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} is not {_KINDS[kind]}")  # noqa: TRY004 a value, not a bug
    return value


def save(paths: Paths, tag: str, network: NetworkSettings) -> None:
    """Write config.toml, mode 0600; what else stands in it stays."""
    import tomli_w

    before = tomllib.loads(paths.settings.read_text("utf-8")) if paths.settings.exists() else {}
    table = before | {
        "tag": tag,
        "network": {
            "port": network.port,
            "addresses": list(network.addresses),
            "discovery": network.discovery,
            "relays": network.relays,
            "nat": network.nat,
        },
    }
    write_private(paths.settings, tomli_w.dumps(table).encode())


def claude_dir(environ: Mapping[str, str]) -> Path:
    """Claude Code's: `CLAUDE_CONFIG_DIR`, else ~/.claude (docs/agent-files.md, "Directory")."""
    return Path(environ.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser()


def _program(environ: Mapping[str, str], configured: str | None) -> Path | None:
    chosen = environ.get("KARMA_SYNC_SYNCTHING") or configured
    return Path(chosen).expanduser() if chosen else None


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name such as 127.example.org may lead anywhere
