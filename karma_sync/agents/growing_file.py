"""Files that grow: what is new in them, in whole lines, as long as their past stands."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from karma_sync.domain import limits
from karma_sync.domain.session.source_files import Position, SourceFile, Stat
from karma_sync.errors import KarmaError


class LineTooLong(KarmaError):
    """A line that is too long to be looked at as a whole: nothing can be said about it."""


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of whole lines; the end of the last line may be missing.

    Raises:
        LineTooLong: a line has more than `limits.LINE_BYTES` bytes.
    """
    carry: list[bytes] = []
    held = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*carry, memoryview(piece)[:end]])  # copied once, not twice
            carry, held = [], 0
        if end < len(piece):
            carry.append(piece[end:])
            held += len(piece) - end
        if held > limits.LINE_BYTES:
            raise LineTooLong(f"a line is longer than {limits.LINE_BYTES} bytes")
    if carry:
        yield b"".join(carry)


BLOCK_BYTES = 1 << 18  # fits into a cache: of 1 << 20 each reading, searching and copying cost more
_HEAD_BYTES = 1024
_BEFORE_BYTES = 4096
# A last line without its end that nobody went on with for so long is all there will be.
QUIET_S = 600


def open_source(file: SourceFile) -> BinaryIO:
    """Open a file that was found, never through a link.

    Raises:
        OSError: it vanished, or another one lies there now; the next look will see it.
    """
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    source = os.fdopen(descriptor, "rb")
    if os.fstat(descriptor).st_ino != file.stat.inode:
        source.close()
        raise FileNotFoundError(errno.ENOENT, "replaced while it was read", str(file.path))
    return source


def position(source: BinaryIO, found: Stat, offset: int) -> Position:
    """Where we are in an open file after `offset` bytes.

    `found` is the file as it was when reading began: what was appended meanwhile must look like
    a change the next time.
    """
    return Position(
        size=found.size,
        mtime_ns=found.mtime_ns,
        inode=found.inode,
        offset=offset,
        fingerprint=_fingerprint(source, offset),
    )


def continues(source: BinaryIO, before: Position) -> bool:
    """Whether an open file still begins with what was read before.

    One that was written to and is no longer than before has no new line, so old ones may differ.
    """
    now = os.fstat(source.fileno())
    if now.st_ino != before.inode or now.st_size < before.offset:
        return False
    if now.st_size == before.size and now.st_mtime_ns != before.mtime_ns:
        return False
    return _fingerprint(source, before.offset) == before.fingerprint


def blocks(source: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """The whole lines between two offsets, about `BLOCK_BYTES` at a time.

    A torn last line is left out.

    Raises:
        OSError: a line is too long to be looked at as a whole.
    """
    try:
        for block in whole_lines(_pieces(source, start, stop)):
            if block.endswith(b"\n"):
                yield block
    except LineTooLong as error:
        raise _too_long(source, error) from None


def last_line(source: BinaryIO, start: int, stop: int) -> bytes:
    """The line without an end between two offsets, if it is all there: b"" if it must wait.

    It is all there when it parses, or when nobody wrote to the file for ten minutes.

    Raises:
        OSError: it is too long to be looked at as a whole.
    """
    try:
        torn = b"".join(whole_lines(_pieces(source, start, stop)))
    except LineTooLong as error:
        raise _too_long(source, error) from None
    quiet = is_quiet(os.fstat(source.fileno()).st_mtime_ns)
    return torn if quiet or _is_record(torn) else b""


def is_quiet(mtime_ns: int) -> bool:
    """Whether nobody has written to a file of this time for ten minutes."""
    return time.time_ns() - mtime_ns > QUIET_S * 10**9


def _pieces(source: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    source.seek(start)
    left = stop - start
    while left > 0 and (read := source.read(min(left, BLOCK_BYTES))):
        left -= len(read)
        yield read


def _too_long(source: BinaryIO, error: LineTooLong) -> OSError:
    return OSError(errno.EFBIG, str(error), str(source.name))


def _is_record(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _fingerprint(source: BinaryIO, offset: int) -> str:
    descriptor = source.fileno()  # whoever is reading goes on where they are
    head = os.pread(descriptor, min(_HEAD_BYTES, offset), 0)
    before = os.pread(descriptor, min(_BEFORE_BYTES, offset), max(0, offset - _BEFORE_BYTES))
    return hashlib.sha256(head + before).hexdigest()[:32]
