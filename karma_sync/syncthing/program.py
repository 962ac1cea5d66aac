"""Finds the Syncthing program, checks its version, and makes its environment."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from karma_sync.errors import SyncthingMissing

OLDEST = (1, 19)  # in Debian 12; the oldest version we examined: docs/syncthing.md, "Versions"
VERSION_S = 20.0
_VERSION = re.compile(r"^syncthing v?(\d+)\.(\d+)")

_INSTALL = {
    "debian": "sudo apt-get install syncthing",
    "ubuntu": "sudo apt-get install syncthing",
    "fedora": "sudo dnf install syncthing",
    "rhel": "sudo dnf install syncthing",
    "arch": "sudo pacman -S syncthing",
    "suse": "sudo zypper install syncthing",
    "alpine": "sudo apk add syncthing",
    "darwin": "brew install syncthing",
}
_ANYWHERE = "install Syncthing from https://syncthing.net/downloads/"


def find_program(configured: Path | None) -> Path:
    """The Syncthing to run: the configured one, else the first on PATH.

    Raises:
        SyncthingMissing: there is none, or it is older than 1.19; the hint is how to get one.
    """
    if configured is None:
        found = shutil.which("syncthing")
        if found is None:
            raise SyncthingMissing("Syncthing is not installed", hint=install_command())
        program = Path(found).absolute()
        hint = f"{install_command()}; or name a newer one in KARMA_SYNC_SYNCTHING"
    else:
        program = configured.absolute()
        hint = (
            "name another in KARMA_SYNC_SYNCTHING, or as syncthing.program in config.toml; or name"
            f" none, and {install_command()}"
        )
    version = _version_line(program, hint)
    match = _VERSION.match(version)
    if match is None:
        raise SyncthingMissing(f"{program} is not Syncthing: {version}", hint=hint)
    if (int(match[1]), int(match[2])) < OLDEST:
        raise SyncthingMissing(
            f"{program} is too old: {version}; 1.19 or newer is needed", hint=hint
        )
    return program


def is_missing(configured: Path | None) -> bool:
    """Whether no Syncthing is installed, and none was named."""
    return configured is None and shutil.which("syncthing") is None


def install_command() -> str:
    """The command that installs Syncthing on this system."""
    return next((_INSTALL[name] for name in _system_names() if name in _INSTALL), _ANYWHERE)


def environment() -> dict[str, str]:
    """The environment for Syncthing: ours, with no Syncthing options but our own.

    Each option of Syncthing can come from a variable `ST…` (another home, another GUI address, a
    second API key). None of these is inherited; we set the few that we need. v2 would log a line
    for each synced file.
    """
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("ST")}
    # Syncthing ends without a home, which it does not use: we name its own
    inherited.setdefault("HOME", "/")
    return inherited | {
        "STNODEFAULTFOLDER": "1",
        "STNOPORTPROBING": "1",
        "STNOUPGRADE": "1",
        "STLOGLEVEL": "WARN",
    }


def _version_line(program: Path, hint: str) -> str:
    """The first line of `syncthing --version`, which every version prints."""
    try:
        ran = subprocess.run(  # noqa: S603 - the program the person chose, no shell
            [program, "--version"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SyncthingMissing(f"{program} cannot be run: {why}", hint=hint) from error
    lines = ran.stdout.decode(errors="replace").splitlines()
    return lines[0][:200] if lines else f"it printed nothing and ended with {ran.returncode}"


def _system_names() -> list[str]:
    """The names of this system and of the systems that it resembles, nearest first."""
    if sys.platform != "linux":
        return [sys.platform]
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return []
    return [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
