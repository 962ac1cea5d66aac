"""Every directory and every Syncthing folder id, spelled once.

A folder id is `ks-`, one letter for its kind (m: a team's metadata, c: a channel) and 130 bits of
a hash: opaque, and never used to build a path before it matched `FOLDER_ID`.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync.errors import BadInput

if TYPE_CHECKING:
    pass
from karma_sync.files import private_dir

PROGRAM = "karma-sync"
FOLDER_ID = re.compile(r"ks-[mc]-[a-z2-7]{26}")


@dataclass(frozen=True)
class Paths:
    """Where one member's files live; `inside` builds them all below one folder."""

    config: Path
    data: Path
    state: Path

    @classmethod
    def inside(cls, home: Path) -> "Paths":
        """Everything under one folder, so that several members can live on one machine."""
        return cls(home, home, home)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Paths":
        """`KARMA_SYNC_HOME` if set, else the platform's own places (XDG on Linux)."""
        home = environ.get("KARMA_SYNC_HOME")
        if home:
            return cls.inside(Path(home).expanduser().absolute())
        import platformdirs

        dirs = platformdirs.PlatformDirs(PROGRAM, appauthor=False)
        return cls(dirs.user_config_path, dirs.user_data_path, dirs.user_state_path)

    @property
    def settings(self) -> Path:
        return self.config / "config.toml"

    @property
    def key(self) -> Path:
        return self.config / "identity.pem"

    @property
    def intent(self) -> Path:
        return self.config / "intent.json"

    @property
    def redactions(self) -> Path:
        """Texts and rules that the person had cut out; never to leave this machine."""
        return self.config / "redactions.json"

    @property
    def state_db(self) -> Path:
        return self.data / "state.db"

    @property
    def work_db(self) -> Path:
        return self.data / "work.db"

    @property
    def library(self) -> Path:
        return self.data / "library"

    @property
    def library_db(self) -> Path:
        return self.library / "library.db"

    @property
    def syncthing(self) -> Path:
        return self.data / "syncthing"

    @property
    def folders(self) -> Path:
        """The root of all folders Syncthing knows of us; what lies below it is ours."""
        return self.data / "folders"

    @property
    def lock(self) -> Path:
        return self.state / "daemon.lock"

    @property
    def running(self) -> Path:
        """Written by the daemon while it runs: process id, start, Syncthing's version."""
        return self.state / "daemon.json"

    @property
    def log(self) -> Path:
        return self.state / "karma-sync.log"

    @property
    def syncthing_log(self) -> Path:
        return self.state / "syncthing.log"

    def folder(self, folder_id: str) -> Path:
        """The directory of one Syncthing folder.

        Raises:
            BadInput: the id is none of ours, for instance one that a peer made up.
        """
        if not FOLDER_ID.fullmatch(folder_id):
            raise BadInput(f"{folder_id!r} is not the id of a karma-sync folder")
        return self.folders / folder_id

    def create(self) -> None:
        """Make the directories, readable by nobody else."""
        for path in (self.config, self.data, self.state, self.folders, self.library):
            private_dir(path)


def metadata_folder(team_id: str) -> str:
    """The id of a team's metadata folder."""
    return f"ks-m-{_hash('metadata', team_id)}"


def channel_folder(team_id: str, owner_key: str, project: str, incarnation: str) -> str:
    """The id of the folder in which one member sends one project to one team.

    `incarnation` differs each time the channel is opened anew, so that no id is used twice.
    """
    return f"ks-c-{_hash('channel', team_id, owner_key, project, incarnation)}"


def is_metadata_folder(folder_id: str) -> bool:
    """Whether a folder offered by a peer has the shape of a team's metadata folder."""
    return folder_id.startswith("ks-m-") and FOLDER_ID.fullmatch(folder_id) is not None


def _hash(purpose: str, *parts: str) -> str:
    return short_hash("karma-sync folder", purpose, *parts)


def short_hash(*parts: str) -> str:
    """130 bits of SHA-256 over the parts, each with its length, as 26 base32 letters."""
    framed = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
    return base64.b32encode(hashlib.sha256(framed).digest()).decode().lower()[:26]
