"""Writes an outbox's files under temporary names, then puts them into their places together.

An outbox runs these functions in its own thread: compression and disk do not need Python's lock.
"""

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from karma_sync.channel.layout import compress, decompress
from karma_sync.domain import limits
from karma_sync.errors import Unverified
from karma_sync.files import Staged, put_in_place, stage_link, stage_private

# the same chunk in another outbox: the staged file if it is not in its place yet, and its place
Twin = tuple[Future[Staged] | None, Path]
# an item's staged file, and the function to call once it is in its place
Item = tuple[Future[Staged], Callable[[], None]]


@dataclass(frozen=True)
class Batch:
    """Chunks and items, by name, that are being put into their places until `done` completes."""

    chunks: Mapping[str, Future[Staged]]
    items: Mapping[str, Item]
    done: Future[None]


def place(chunks: Sequence[Future[Staged]], items: Sequence[Future[Staged]]) -> None:
    """Put staged chunks into their places, durably, and then items.

    Raises:
        OSError: a file could not be written; those that are not in their places are discarded.
    """
    try:
        steps = [[made.result() for made in each] for each in (chunks, items)]
    except BaseException:
        discard([*chunks, *items])
        raise
    put_in_place(*steps)


def discard(files: Iterable[Future[Staged]]) -> None:
    """Delete the temporary files of these; first waits for those that are being staged."""
    for made in files:
        if made.exception() is None:
            made.result().discard()


def stage(path: Path, content: bytes, mtime_ns: int, twins: Sequence[Twin]) -> Staged:
    """Write a chunk under a temporary name beside its place, or link one of `twins` there.

    `mtime_ns` is the chunk's file time in Unix nanoseconds.
    """
    for waiting, place in twins:
        if waiting and waiting.exception() is None:
            linked = _linked(path, waiting.result().temporary, content)
            if linked:
                return linked
        linked = _linked(path, place, content)
        if linked:
            return linked
    # peers pull the newest files first, so a file has the time of the activity that it holds
    return stage_private(path, compress(content), mtime_ns)


def _linked(path: Path, twin: Path, content: bytes) -> Staged | None:
    """A link to the file `twin`; None if that cannot be linked, or holds other content."""
    try:
        staged = stage_link(path, twin)
    except OSError:
        return None  # writing a new file works as well, and reports any other problem
    # a chunk that is damaged in one outbox must not get into another
    if not _holds(staged.temporary, content):
        staged.discard()
        return None
    return staged


def _holds(path: Path, content: bytes) -> bool:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > 2 * limits.CHUNK_BYTES:
        return False
    try:
        return decompress(path.read_bytes(), len(content)) == content
    except (OSError, Unverified):
        return False
