"""Files of an outbox on their way: written beside their places, then put there together."""

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from karma_sync.channel.layout import compress, decompress
from karma_sync.domain import limits
from karma_sync.errors import Unverified
from karma_sync.files import Staged, put_in_place, stage_link, stage_private

# where another outbox has a chunk, or will have it: what it waits for, its place
Twin = tuple[Future[Staged] | None, Path]
Item = tuple[Future[Staged], Callable[[], None]]


@dataclass(frozen=True)
class Batch:
    """Chunks and items, by name, that are put into their places; `done` tells how it ended."""

    chunks: Mapping[str, Future[Staged]]
    items: Mapping[str, Item]
    done: Future[None]


def place(chunks: Sequence[Future[Staged]], items: Sequence[Future[Staged]]) -> None:
    """Put chunks that are staged into their places, durably, then items.

    Raises:
        OSError: what is not in its place was discarded.
    """
    try:
        steps = [[made.result() for made in each] for each in (chunks, items)]
    except BaseException:
        discard([*chunks, *items])
        raise
    put_in_place(*steps)


def discard(files: Iterable[Future[Staged]]) -> None:
    """Leave no trace of these; waits for those that are being staged."""
    for made in files:
        if made.exception() is None:
            made.result().discard()


def stage(path: Path, content: bytes, mtime_ns: int, twins: Sequence[Twin]) -> Staged:
    """Write a chunk beside its place, or link one of `twins` there."""
    for waiting, place in twins:
        if waiting and waiting.exception() is None:
            linked = _linked(path, waiting.result().temporary, content)
            if linked:
                return linked
        linked = _linked(path, place, content)
        if linked:
            return linked
    # peers pull the newest first: a file is as new as the activity it carries
    return stage_private(path, compress(content), mtime_ns)


def _linked(path: Path, twin: Path, content: bytes) -> Staged | None:
    """A link to a chunk of this content; None where there is none, or no links."""
    try:
        staged = stage_link(path, twin)
    except OSError:
        return None  # a file of its own serves as well, and tells what else is wrong
    # what was damaged in one outbox must not get into another
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
