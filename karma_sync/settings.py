"""What the person set: config.toml and the environment, read once, frozen."""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tomli_w

from karma_sync.domain.ids import is_tag
from karma_sync.errors import BadInput, NotInitialised
from karma_sync.paths import Paths, write_private

V = TypeVar("V")
_KINDS: Mapping[type, str] = {
    dict: "table",
    list: "list",
    int: "whole number",
    str: "text",
    bool: "true or false",
}


@dataclass(frozen=True)
class Network:
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
    network: Network
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
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{paths.settings} cannot be read: {error}", hint=f"correct {paths.settings}"
        ) from error


def _read(table: dict[str, object], config: Path, environ: Mapping[str, str]) -> Settings:
    """Values of the right kind are taken, others refused: nothing is guessed.

    Raises:
        KeyError, ValueError: one is missing, or wrong.
    """
    network = _kind(table["network"], dict, "network")
    addresses = _kind(network["addresses"], list, "network.addresses")
    port = _kind(network["port"], int, "network.port")
    tag = _kind(table["tag"], str, "tag")
    syncthing = _kind(table.get("syncthing", {}), dict, "syncthing")
    if not is_tag(tag):
        raise ValueError(f"{tag!r} is not a member tag")
    if not 0 < port < 65536:
        raise ValueError(f"{port} is not a port")
    return Settings(
        tag=tag,
        network=Network(
            port=port,
            addresses=tuple(_kind(a, str, "network.addresses") for a in addresses),
            discovery=_kind(network["discovery"], bool, "network.discovery"),
            relays=_kind(network["relays"], bool, "network.relays"),
            nat=_kind(network["nat"], bool, "network.nat"),
        ),
        claude=claude_dir(environ),
        syncthing=_program(environ, syncthing.get("program")),
        redaction=_redaction(_kind(table.get("redaction", {}), dict, "redaction"), config),
    )


def _redaction(table: dict[str, object], config: Path) -> Redaction:
    """Relative paths begin beside config.toml. A misspelt name must not loosen anything."""
    names = ("gitleaks", "allowlist")
    unknown = sorted(table.keys() - set(names))
    if unknown:
        raise ValueError(f"redaction.{unknown[0]} is not known; there are {' and '.join(names)}")
    return Redaction(
        **{
            name: config / Path(_kind(table[name], str, f"redaction.{name}")).expanduser()
            for name in names
            if name in table
        }
    )


def _kind(value: object, kind: type[V], name: str) -> V:
    # True is an int to Python, and not to a person
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} is not a {_KINDS[kind]}")  # noqa: TRY004 a value, not a bug
    return value


def save(paths: Paths, tag: str, network: Network) -> None:
    """Write config.toml, mode 0600; what else stands in it stays."""
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
    """Claude Code's directory: `CLAUDE_CONFIG_DIR`, else ~/.claude (FILES.md section 6)."""
    return Path(environ.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser()


def _program(environ: Mapping[str, str], configured: object) -> Path | None:
    chosen = environ.get("KARMA_SYNC_SYNCTHING") or configured
    return Path(str(chosen)).expanduser() if chosen else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name such as 127.example.org may lead anywhere
