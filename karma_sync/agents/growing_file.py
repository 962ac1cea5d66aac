"""Reads new lines of growing files, in blocks of whole lines and in bounded memory.

Reading goes on from a `Position`, as long as the file still begins with what was read before.
"""

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
    """A line is too long to be examined as a whole, so nothing can be decided about it."""


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of `pieces` in blocks of whole lines, however the pieces are cut.

    Only the last block may end without a line end.

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


def lines_before_too_long(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks of `whole_lines`; a line that is too long ends them."""
    try:
        yield from whole_lines(pieces)
    except LineTooLong:
        return


def skipped(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The pieces without their first `count` bytes."""
    for piece in pieces:
        if count < len(piece):
            yield piece[count:] if count else piece
        count = max(0, count - len(piece))


BLOCK_BYTES = 1 << 18  # fits into the processor's cache; with 1 << 20 all steps were slower
_HEAD_BYTES = 1024
_BEFORE_BYTES = 4096
# After this long without a change, a last line without a line end counts as complete.
QUIET_S = 600


def open_source(file: SourceFile) -> BinaryIO:
    """Open a file that was found, never through a link.

    Raises:
        OSError: the file vanished, or another file lies there now; the next scan finds that one.
    """
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    source = os.fdopen(descriptor, "rb")
    if os.fstat(descriptor).st_ino != file.stat.inode:
        source.close()
        raise FileNotFoundError(errno.ENOENT, "replaced while it was read", str(file.path))
    return source


def position(source: BinaryIO, found: Stat, offset: int) -> Position:
    """The position in an open file after `offset` bytes.

    `found` is the state of the file when reading began, so that lines that were appended meanwhile
    count as a change the next time.
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

    A file that was written but did not grow has no new line, so its old lines may have changed.
    """
    now = os.fstat(source.fileno())
    if now.st_ino != before.inode or now.st_size < before.offset:
        return False
    if now.st_size == before.size and now.st_mtime_ns != before.mtime_ns:
        return False
    return _fingerprint(source, before.offset) == before.fingerprint


def blocks(source: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """The whole lines between two offsets, in blocks of about `BLOCK_BYTES`.

    A last line without a line end is left out.

    Raises:
        OSError: a line is longer than `limits.LINE_BYTES`.
    """
    try:
        for block in whole_lines(_pieces(source, start, stop)):
            if block.endswith(b"\n"):
                yield block
    except LineTooLong as error:
        raise _too_long(source, error) from None


def last_line(source: BinaryIO, start: int, stop: int) -> bytes:
    """The last line, which has no line end, if it is complete; else b"".

    It is complete if it parses as JSON, or if nobody has written to the file for ten minutes.

    Raises:
        OSError: the line is longer than `limits.LINE_BYTES`.
    """
    try:
        line = b"".join(whole_lines(_pieces(source, start, stop)))
    except LineTooLong as error:
        raise _too_long(source, error) from None
    quiet = is_quiet(os.fstat(source.fileno()).st_mtime_ns)
    return line if quiet or _is_record(line) else b""


def is_quiet(mtime_ns: int) -> bool:
    """Whether nobody has written to a file for ten minutes; `mtime_ns` is its time."""
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
    descriptor = source.fileno()  # `pread` does not move the position of the reader
    head = os.pread(descriptor, min(_HEAD_BYTES, offset), 0)
    before = os.pread(descriptor, min(_BEFORE_BYTES, offset), max(0, offset - _BEFORE_BYTES))
    return hashlib.sha256(head + before).hexdigest()[:32]
