"""The first thing that happens on a machine: its home is made."""

from collections.abc import Mapping
from pathlib import Path

from karma_sync import settings
from karma_sync.paths import Paths
from karma_sync.signing import SigningKey
from karma_sync.syncthing.home import create_home
from karma_sync.syncthing.program import find_program


def make_home(
    paths: Paths, tag: str, network: settings.Network, environ: Mapping[str, str]
) -> None:
    """Make a member's home: directories, key, Syncthing's home, config.toml last.

    Raises:
        SyncthingMissing: no Syncthing can be run; nothing but directories was made.
    """
    configured = environ.get("KARMA_SYNC_SYNCTHING")
    program = find_program(Path(configured) if configured else None)
    paths.create()
    SigningKey.create(paths.key)
    create_home(program, paths.syncthing)
    settings.save(paths, tag, network)
