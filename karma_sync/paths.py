"""Defines where karma-sync's files lie, and how Syncthing folder ids are made.

A folder id is `ks-`, one letter for the kind (m: a team's metadata, c: a channel, d: the door of an
invitation code, r: the notice to a removed member), a dash and 130 bits of a hash as 26 letters. It
reveals nothing about its content. `Paths.folder` builds a path from an id only after the id matched
`FOLDER_ID`, because peers make up ids too.
"""

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from karma_sync.errors import BadInput
from karma_sync.files import private_dir

PROGRAM = "karma-sync"
FOLDER_ID = re.compile(r"ks-[mcdr]-[a-z2-7]{26}")


def expanded(text: str) -> Path:
    """A path that a person wrote, made absolute: `~` is the home, a relative one begins here.

    Raises:
        BadInput: nobody knows the home, or the current directory is gone.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise _homeless() from None
    return path if path.is_absolute() else current_directory() / path


def directory_at(typed: Path) -> Path:
    """The absolute path of a directory that a person typed.

    A path with `..` is resolved, because the directory above a link is not the one above its
    target; any other keeps its links.

    Raises:
        BadInput: nobody knows the home, or the current directory is gone.
    """
    path = expanded(str(typed))
    return Path(os.path.realpath(path)) if ".." in path.parts else path


def user_home() -> Path:
    """The person's home directory; raises BadInput if nobody knows it."""
    return expanded("~")


def current_directory() -> Path:
    """The current directory; raises BadInput if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise BadInput("the current directory does not exist any more", hint="cd ~") from None


def _homeless() -> BadInput:
    return BadInput(
        "nobody knows your home directory: HOME is not set, and the system does not list your user",
        hint="export HOME=/path/to/your/home",
    )


@dataclass(frozen=True)
class Paths:
    """The paths of one member's files; `inside` puts them all below one folder."""

    config: Path
    data: Path
    state: Path

    @classmethod
    def inside(cls, home: Path) -> "Paths":
        """All files below one folder, so that one machine can hold several members."""
        return cls(home, home, home)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Paths":
        """`KARMA_SYNC_HOME` if it is set, else the platform's usual folders (XDG on Linux)."""
        home = environ.get("KARMA_SYNC_HOME")
        if home:
            return cls.inside(expanded(home))
        import platformdirs

        dirs = platformdirs.PlatformDirs(PROGRAM, appauthor=False)
        try:
            return cls(dirs.user_config_path, dirs.user_data_path, dirs.user_state_path)
        except RuntimeError:
            raise _homeless() from None

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
        """The texts and rules that this person redacts; they never leave this machine."""
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
    def observations(self) -> Path:
        """The file with the observations that this person added with `observation add`."""
        return self.data / "observations" / "own.jsonl"

    @property
    def archive(self) -> Path:
        """The unredacted content of this person's own sessions; nothing in it ever leaves."""
        return self.data / "archive"

    @property
    def archive_db(self) -> Path:
        return self.data / "archive.db"

    @property
    def syncthing(self) -> Path:
        return self.data / "syncthing"

    @property
    def folders(self) -> Path:
        """The parent of all Syncthing folders of karma-sync; everything below it is ours."""
        return self.data / "folders"

    @property
    def lock(self) -> Path:
        return self.state / "daemon.lock"

    @property
    def running(self) -> Path:
        """The daemon writes this file while it runs: process id, start, Syncthing's version."""
        return self.state / "daemon.json"

    @property
    def log(self) -> Path:
        return self.state / "karma-sync.log"

    @property
    def served(self) -> Path:
        """The file that records what agents on this machine were given: times, tools and ids."""
        return self.state / "served.jsonl"

    @property
    def wake(self) -> Path:
        """A hook of the agent touches this file, and the daemon looks through all sessions."""
        return self.state / "wake"

    @property
    def syncthing_log(self) -> Path:
        return self.state / "syncthing.log"

    def folder(self, folder_id: str) -> Path:
        """The directory of one Syncthing folder.

        Raises:
            BadInput: the id has another form, for instance because a peer made it up.
        """
        if not FOLDER_ID.fullmatch(folder_id):
            raise BadInput(f"{folder_id!r} is not the id of a karma-sync folder")
        return self.folders / folder_id

    def create(self) -> None:
        """Make the directories; only their owner can read them."""
        for path in (self.config, self.data, self.state, self.folders, self.library):
            private_dir(path)


def metadata_folder(team_id: str) -> str:
    """The id of a team's metadata folder."""
    return f"ks-m-{_hash('metadata', team_id)}"


@lru_cache(maxsize=4096)  # asked for every channel in each cycle
def channel_folder(team_id: str, owner_key: str, project: str, incarnation: str) -> str:
    """The id of the channel through which one member sends one project to one team.

    `incarnation` changes each time the channel is opened again, so that no id is used twice.
    """
    return f"ks-c-{_hash('channel', team_id, owner_key, project, incarnation)}"


def door_folder(secret: str) -> str:
    """The id of the folder through which one device asks to join; `secret` is known to both sides.

    Nobody else can tell to which team it leads.
    """
    return f"ks-d-{_hash('door', secret)}"


def is_door(folder_id: str) -> bool:
    """Whether a folder id has the form of a door; for ids that peers offer."""
    return folder_id.startswith("ks-d-") and FOLDER_ID.fullmatch(folder_id) is not None


def removal_folder(team_id: str, member_key: str, incarnation: int) -> str:
    """The id of the folder that holds the notice to a removed member."""
    return f"ks-r-{_hash('removal', team_id, member_key, str(incarnation))}"


def is_removal_folder(folder_id: str) -> bool:
    """Whether a folder id has the form of a notice to a removed member."""
    return folder_id.startswith("ks-r-") and FOLDER_ID.fullmatch(folder_id) is not None


def is_metadata_folder(folder_id: str) -> bool:
    """Whether a folder id has the form of a team's metadata folder; for ids that peers offer."""
    return folder_id.startswith("ks-m-") and FOLDER_ID.fullmatch(folder_id) is not None


def holds_documents(folder_id: str) -> bool:
    """Whether a folder id has the form of one of documents, and not of a channel with items.

    They are read in each cycle: a team's metadata folder, a door, the notice to a removed member.
    """
    return FOLDER_ID.fullmatch(folder_id) is not None and not folder_id.startswith("ks-c-")


def _hash(purpose: str, *parts: str) -> str:
    return short_hash("karma-sync folder", purpose, *parts)


def short_hash(*parts: str) -> str:
    """130 bits of SHA-256 over the parts, each preceded by its length, as 26 base32 letters."""
    framed = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
    return base64.b32encode(hashlib.sha256(framed).digest()).decode().lower()[:26]
