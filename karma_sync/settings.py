"""The settings of one member: config.toml and the environment, read once, frozen."""

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from karma_sync.domain.ids import is_tag
from karma_sync.domain.team.pairing_code import is_address
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, NotInitialised
from karma_sync.files import write_private
from karma_sync.paths import Paths, expanded

_DIRS = "CLAUDE_CONFIG_DIR"
_OBSERVATIONS = "KARMA_SYNC_OBSERVATIONS"


class NetworkSettings(Value, frozen=True, kw_only=True):
    """The settings of Syncthing's network; all three of Syncthing's public helpers can be off."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    addresses: tuple[str, ...]
    discovery: bool
    relays: bool
    nat: bool


@dataclass(frozen=True)
class RedactionSettings:
    """Files of the person: further rules, and values that are not secrets."""

    gitleaks: Path | None = None
    allowlist: Path | None = None


class Keep(StrEnum):
    """The sessions of mine that the archive keeps: all, those that were sent to a team, or none."""

    ALL = "all"
    SHARED = "shared"
    OFF = "off"


@dataclass(frozen=True)
class ArchiveSettings:
    """The settings of the archive: the sessions it keeps, and its limits; 0 stands for no limit.

    `quota` is in bytes on disk. A session is forgotten `days` after it was last written.
    """

    keep: Keep = Keep.ALL
    quota: int = 0
    days: float = 0.0


@dataclass(frozen=True)
class ObservationSettings:
    """Whether observations are shared at all, and where Engram keeps its own.

    `authors` are the names under which this person's Engram creates chunks.
    """

    engram: Path
    share: bool = True
    authors: frozenset[str] = frozenset()


class _ObservationTable(Value, frozen=True, kw_only=True):
    share: bool = True
    authors: tuple[str, ...] = ()


class _ArchiveTable(Value, frozen=True, kw_only=True):
    quota_gb: Annotated[float, Meta(ge=0)] = 0.0
    days: Annotated[float, Meta(ge=0)] = 0.0


class _SyncthingTable(Value, frozen=True, kw_only=True):
    program: str


class _RedactionTable(Value, frozen=True, kw_only=True):
    gitleaks: str = ""
    allowlist: str = ""


class _Config(Value, frozen=True, kw_only=True):
    """The keys of config.toml. An unknown key is an error: a misspelt one must not be ignored."""

    tag: str
    network: NetworkSettings
    claude_dirs: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    syncthing: _SyncthingTable | None = None
    redaction: _RedactionTable = _RedactionTable()
    archive: Keep = Keep.ALL
    archive_limits: _ArchiveTable = _ArchiveTable()
    observations: _ObservationTable = _ObservationTable()


@dataclass(frozen=True)
class Settings:
    """One member's settings; `syncthing` is the program to run, None to look on PATH.

    `claude_dirs` are the directories of Claude Code in which sessions are searched. `unsearched`
    are those that `CLAUDE_CONFIG_DIR` names here, and that are not among them.
    """

    tag: str
    network: NetworkSettings
    claude_dirs: tuple[Path, ...]
    unsearched: tuple[Path, ...] = ()
    syncthing: Path | None = None
    redaction: RedactionSettings = RedactionSettings()
    archive: ArchiveSettings = ArchiveSettings()
    observations: ObservationSettings = ObservationSettings(Path(), share=False)

    @property
    def dial_addresses(self) -> tuple[str, ...]:
        """The addresses that others dial: our own ones, and `dynamic` where discovery is on."""
        dynamic = ("dynamic",) if self.network.discovery else ()
        return self.network.addresses + dynamic

    @property
    def listen_addresses(self) -> tuple[str, ...]:
        """Syncthing's listen addresses: loopback alone if that is all we tell others to dial."""
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
        NotInitialised: the file does not exist.
        BadInput: the file cannot be used; the message names the line, the key and what is allowed.
    """
    try:
        raw = paths.settings.read_bytes()
    except FileNotFoundError:
        raise NotInitialised(
            f"there is no identity in {paths.config}", hint="karma-sync init"
        ) from None
    config = _checked(paths.settings, raw)
    remembered = _directories(config.claude_dirs or ())
    dirs = remembered or claude_dirs(environ)
    here = claude_dirs(environ) if environ.get(_DIRS, "").strip() else ()
    return Settings(
        tag=config.tag,
        network=config.network,
        claude_dirs=dirs,
        unsearched=tuple(each for each in here if each not in dirs),
        syncthing=_program(environ, config.syncthing.program if config.syncthing else None),
        redaction=RedactionSettings(
            gitleaks=_below(paths.config, config.redaction.gitleaks),
            allowlist=_below(paths.config, config.redaction.allowlist),
        ),
        archive=ArchiveSettings(
            keep=config.archive,
            quota=int(config.archive_limits.quota_gb * 10**9),
            days=config.archive_limits.days,
        ),
        observations=ObservationSettings(
            engram=_engram(environ),
            share=_shares(environ, config.observations.share),
            authors=frozenset(config.observations.authors),
        ),
    )


def _checked(file: Path, raw: bytes) -> _Config:
    """Raises BadInput if the file cannot be used."""
    from karma_sync.settings_errors import explain, explain_text

    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _unusable(file, " is not UTF-8") from error
    try:
        config = _Config.from_fields(tomllib.loads(text))
    except ValueError as error:  # of tomllib and of msgspec
        raise _unusable(file, explain(error, text)) from error
    if not is_tag(config.tag):
        raise _unusable(file, explain_text("tag", config.tag, text))
    for address in config.network.addresses:
        if not is_address(address):
            raise _unusable(file, explain_text("network.addresses", address, text))
    return config


def _unusable(file: Path, why: str) -> BadInput:
    return BadInput(f"{file}{why}", hint=f"correct {file}")


def _below(config: Path, file: str) -> Path | None:
    """The file as an absolute path; a relative one begins beside config.toml."""
    if not file:
        return None
    return expanded(file) if file.startswith("~") else config / file


def save(
    paths: Paths, tag: str, network: NetworkSettings, claude: Sequence[Path] | None = None
) -> None:
    """Write these values to config.toml, mode 0600; other keys keep their values.

    With `claude` None, the directories of Claude Code keep theirs. A new file also names which
    sessions are archived.
    """
    import tomli_w

    before = tomllib.loads(paths.settings.read_text("utf-8")) if paths.settings.exists() else {}
    dirs = {} if claude is None else {"claude_dirs": [str(each) for each in claude]}
    named = {"archive": Keep.ALL.value}  # so that a person who looks for it finds it
    table = named | before | {"tag": tag, "network": network.to_fields()} | dirs
    write_private(paths.settings, tomli_w.dumps(table).encode())


def add_authors(paths: Paths, names: Iterable[str]) -> None:
    """Write into config.toml that these are names under which this person's Engram saves."""
    import tomli_w

    table = tomllib.loads(paths.settings.read_text("utf-8"))
    known = table.get("observations", {})
    authors = sorted({*known.get("authors", ()), *names})
    table["observations"] = known | {"authors": authors}
    write_private(paths.settings, tomli_w.dumps(table).encode())


def claude_dirs(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Claude Code's: `CLAUDE_CONFIG_DIR`, else ~/.claude (docs/agent-files.md, "Directory").

    The variable may name several, with commas between them.
    """
    named = environ.get(_DIRS, "").strip()
    if not named:
        return _directories(["~/.claude"])
    is_one = "," not in named or Path(named).is_dir()
    return _directories([named] if is_one else [n for n in named.split(",") if n.strip()])


def _directories(texts: Iterable[str]) -> tuple[Path, ...]:
    """Absolute paths, each once."""
    found = (expanded(text.strip()) for text in texts)
    return tuple(dict.fromkeys(found))


def _engram(environ: Mapping[str, str]) -> Path:
    """Engram's directory with its database: `ENGRAM_DATA_DIR`, else ~/.engram."""
    return expanded(environ.get("ENGRAM_DATA_DIR", "").strip() or "~/.engram")


def _shares(environ: Mapping[str, str], configured: bool) -> bool:
    """Whether observations are shared: the environment counts before config.toml.

    Raises:
        BadInput: `KARMA_SYNC_OBSERVATIONS` is neither 0 nor 1.
    """
    said = environ.get(_OBSERVATIONS, "").strip()
    if said not in ("", "0", "1"):
        raise BadInput(f"{_OBSERVATIONS} is {said!r}", hint=f"export {_OBSERVATIONS}=0, or =1")
    return said == "1" if said else configured


def _program(environ: Mapping[str, str], configured: str | None) -> Path | None:
    chosen = environ.get("KARMA_SYNC_SYNCTHING") or configured
    return expanded(chosen) if chosen else None


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name such as 127.example.org may lead anywhere
