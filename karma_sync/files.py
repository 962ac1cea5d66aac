"""Writes private files durably: after a crash, a file has its old content or its new content."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, BinaryIO

from karma_sync.errors import Conflict, NotWritable

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

PRIVATE_DIR = 0o700

PRIVATE_FILE = 0o600

# Names of unfinished files begin with this. They end in `.part`, unlike finished files, so that no
# allow-list (.stignore) lets Syncthing send them.
TEMPORARY = ".tmp-"

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def require_writable(path: Path) -> None:
    """Check that an existing file may be changed.

    Raises:
        NotWritable: the file exists and we may not write it.
    """
    if path.exists() and not os.access(path, os.W_OK):
        raise NotWritable(f"{path} cannot be written", hint=give_back(path) or f"chmod 600 {path}")


def give_back(path: Path) -> str:
    """The command that gives a file of another user back to us; "" if that is not the obstacle.

    A command that was run with sudo leaves such files.
    """
    if path == Path(sys.executable):  # it may lie where we may not even look at it
        return ""
    for each in (path, *path.parents):
        try:
            found = each.lstat()
        except PermissionError:
            continue  # the directory in which it lies is closed to us
        except OSError:
            return ""
        me, owner = os.geteuid(), found.st_uid
        is_program = stat.S_ISLNK(found.st_mode) or (
            stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IXUSR
        )
        if owner == me or is_program:  # no file of ours is a link or a program
            return ""
        return f"sudo chown -R {me} {quote(str(each))}: it belongs to {_user(owner)}"
    return ""


def refuse_root(settings: Path) -> None:
    """Keep root out of another user's home: files made there could not be used by that user.

    `settings` is the home's config.toml.

    Raises:
        Conflict: we are root, and the home belongs to another user.
    """
    if os.geteuid() != 0:
        return
    sudo = os.environ.get("SUDO_UID", "0")
    nearest = next(p for p in (settings, *settings.parents) if p.exists())
    owner = nearest.stat().st_uid
    is_theirs = owner != 0 and (nearest == settings or sudo == str(owner))
    if is_theirs:
        raise Conflict(
            f"{nearest} belongs to {_user(owner)}, who could not use what root makes there",
            hint="the same command without sudo",
        )


def _user(uid: int) -> str:
    """The name of a user; the number if nobody knows a name."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def private_dir(path: Path) -> Path:
    """Make `path` a directory with mode 0700; missing parents get the same mode."""
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
    """Replace the content of `path` by `data`, durably and in one step.

    Writes a temporary file of mode 0600, fsyncs it and renames it. `mtime_ns` sets the
    modification time (Unix nanoseconds).
    """
    put_in_place([stage_private(path, data, mtime_ns)])


@dataclass(frozen=True)
class Staged:
    """A complete temporary file beside `path`; `put_in_place` renames it to `path`."""

    temporary: Path
    path: Path

    def discard(self) -> None:
        """Delete the temporary file."""
        self.temporary.unlink(missing_ok=True)


def stage_private(path: Path, data: bytes, mtime_ns: int | None = None) -> Staged:
    """Write the temporary file that will replace `path` (see `write_private`); not durable yet."""
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
    """Stage a hard link to `source` that will replace `path`.

    Raises:
        OSError: `source` does not exist, or the file system does not support this hard link.
    """
    staged = _staged(path)
    staged.discard()  # a crash may have left a temporary file
    os.link(source, staged.temporary, follow_symlinks=False)
    return staged


def _staged(path: Path) -> Staged:
    return Staged(path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}.part"), path)


def stage_new(path: Path, pieces: Iterable[bytes]) -> Staged:
    """Write the temporary file that `put_new` gives its name; not durable yet.

    Missing directories are made with mode 0700; those that exist keep theirs.
    """
    missing = [each for each in (path.parent, *path.parent.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_DIR, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name[:100]}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    staged = Staged(temporary, path)
    try:
        with os.fdopen(os.open(temporary, flags, PRIVATE_FILE), "wb") as out:
            out.writelines(pieces)
    except BaseException:
        staged.discard()
        raise
    return staged


def put_new(staged: Sequence[Staged]) -> list[Path]:
    """Make new files durable and give each its name, in this order; the paths that have them now.

    A file whose name is taken is left out: nothing is overwritten. If something fails, none of
    them is left.
    """
    written: list[Path] = []
    try:
        fsync_files(each.temporary for each in staged)
        for each in staged:
            if _put_new(each):
                written.append(each.path)
        fsync_dirs({path.parent for path in written})
    except BaseException:
        delete_files(written)
        raise
    finally:
        for each in staged:
            each.discard()
    return written


def delete_files(paths: Iterable[Path]) -> list[Path]:
    """Delete files; return those that existed."""
    gone = []
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        gone.append(path)
    return gone


def _put_new(staged: Staged) -> bool:
    try:
        os.link(staged.temporary, staged.path, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _put_without_links(staged)
    return True


def _put_without_links(staged: Staged) -> bool:
    """The same on a file system without hard links: the empty name is taken first."""
    try:
        os.close(os.open(staged.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    except FileExistsError:
        return False
    staged.temporary.replace(staged.path)
    return True


def put_in_place(*steps: Sequence[Staged]) -> None:
    """Make these files durable, then rename them; one step is durable before the next begins.

    If something fails, the temporary files that were not renamed yet are deleted. The files are
    fsynced in parallel, because a file system writes its journal once for all waiting threads.
    """
    staged = [each for step in steps for each in step]
    try:
        _in_parallel(_fsync, [each.temporary for each in staged])
        for step in steps:
            for each in step:
                each.temporary.replace(each.path)
            fsync_dirs({each.path.parent for each in step})
    except BaseException:
        for each in staged:
            each.discard()
        raise


def _in_parallel(do: Callable[[Path], None], paths: Sequence[Path]) -> None:
    if len(paths) <= 1:
        for path in paths:
            do(path)
        return
    from concurrent.futures import wait

    calls = [_fsync_threads().submit(do, path) for path in paths]
    wait(calls)
    for call in calls:
        call.result()


@cache
def _fsync_threads() -> "ThreadPoolExecutor":
    """Threads that wait for the disk; kept, because starting them costs more than a batch."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(4, "fsync")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_files(paths: Iterable[Path]) -> None:
    """Fsync files that were written in place, so that their content survives a power cut."""
    _in_parallel(_fsync, sorted(paths))


def fsync_dirs(paths: Iterable[Path]) -> None:
    """Fsync directories, so that renames inside them survive a power cut."""
    _in_parallel(_fsync_dir, sorted(paths))


def _fsync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_open(directory: Path) -> bool:
    """Whether the directory exists and we may list and enter it."""
    return os.access(directory, os.R_OK | os.X_OK)


def open_unlinked(path: Path) -> BinaryIO:
    """Open a file to read it, never through a link at its own name, and never waiting for a writer.

    Raises:
        OSError: it is a link, or cannot be opened.
    """
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def is_readable(path: Path) -> bool:
    """Whether we may read a file, or list and enter a directory."""
    return is_open(path) if path.is_dir() else os.access(path, os.R_OK)
