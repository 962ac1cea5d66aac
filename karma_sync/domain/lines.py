"""Lines put together from pieces, however they were cut, in bounded memory."""

from collections.abc import Iterable, Iterator

from karma_sync.domain import limits
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
