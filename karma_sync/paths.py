"""Every directory and every Syncthing folder id, spelled once.

A folder id is `ks-`, one letter for its kind (m: a team's metadata, c: a channel) and 130 bits of
a hash: opaque, and never used to build a path before it matched `FOLDER_ID`.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from karma_sync.errors import BadInput, NotWritable

PROGRAM = "karma-sync"
PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600
# How names begin of files that are not whole yet. They end in another way than whole ones, so that
# no allow-list lets Syncthing take them.
TEMPORARY = ".tmp-"
# Threads that wait for the disk, kept: to start them for each batch took longer than the batch.
_SYNCING = ThreadPoolExecutor(4, "fsync")
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


def require_writable(path: Path) -> None:
    """Raises NotWritable for a file that is there and that we may not change."""
    if path.exists() and not os.access(path, os.W_OK):
        raise NotWritable(f"{path} cannot be written", hint=f"chmod 600 {path}")


def private_dir(path: Path) -> Path:
    """Make `path` a directory with mode 0700, its missing parents with the same mode."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for each in reversed(missing):
            each.mkdir(mode=PRIVATE_DIR, exist_ok=True)
        mode = path.stat().st_mode
    if mode & 0o777 != PRIVATE_DIR:
        path.chmod(PRIVATE_DIR)
    return path


def write_private(path: Path, data: bytes, mtime_ns: int | None = None) -> None:
    """Replace `path` by `data` durably and at once: mode 0600, fsynced, then renamed.

    With `mtime_ns` the file appears with that modification time (Unix nanoseconds).
    """
    put_in_place([stage_private(path, data, mtime_ns)])


@dataclass(frozen=True)
class Staged:
    """A file that is written in full beside its place; `put_in_place` takes it there."""

    temporary: Path
    path: Path

    def discard(self) -> None:
        """Leave no trace of it."""
        self.temporary.unlink(missing_ok=True)


def stage_private(path: Path, data: bytes, mtime_ns: int | None = None) -> Staged:
    """Write what `path` is to be replaced by (see `write_private`); not durable yet."""
    staged = _staged(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(staged.temporary, flags, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
        if mtime_ns is not None:
            os.utime(staged.temporary, ns=(mtime_ns, mtime_ns))
    except BaseException:
        staged.discard()
        raise
    return staged


def stage_link(path: Path, source: Path) -> Staged:
    """As `stage_private`, with another name of `source` instead of a new file.

    Raises:
        OSError: `source` is not there, or the file system does not let it have another name.
    """
    staged = _staged(path)
    staged.discard()  # a crash may have left one
    os.link(source, staged.temporary, follow_symlinks=False)
    return staged


def _staged(path: Path) -> Staged:
    return Staged(path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}.part"), path)


def put_in_place(*steps: Sequence[Staged]) -> None:
    """Make these files durable, then rename them, step by step: each is durable before the next.

    What is not in its place when something fails is discarded. They are fsynced side by side: a
    file system writes its journal once for all that wait for it.
    """
    staged = [each for step in steps for each in step]
    try:
        _side_by_side(_fsync, [each.temporary for each in staged])
        for step in steps:
            for each in step:
                each.temporary.replace(each.path)
            fsync_dirs({each.path.parent for each in step})
    except BaseException:
        for each in staged:
            each.discard()
        raise


def _side_by_side(do: Callable[[Path], None], paths: Sequence[Path]) -> None:
    if len(paths) <= 1:
        for path in paths:
            do(path)
        return
    waiting = [_SYNCING.submit(do, path) for path in paths]
    wait(waiting)
    for each in waiting:
        each.result()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_dirs(paths: Iterable[Path]) -> None:
    """Make renames inside all of these survive a power cut."""
    _side_by_side(_fsync_dir, sorted(paths))


def _fsync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
