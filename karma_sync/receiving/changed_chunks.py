"""Finds what a new revision changed in a file of lines, from the chunks that both revisions name.

A chunk is named by its content. So what lies in a chunk of both revisions is the same in both, as
long as every change begins and ends with a line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Chunk = tuple[str, int]
"""The hash and the size of a chunk."""


@dataclass(frozen=True)
class LinesOf:
    """One revision of a file: its chunks, what reads one, and the end that follows them."""

    chunks: Sequence[Chunk]
    read: Callable[[str, int], bytes]
    tail: bytes


def changed_lines(before: LinesOf, now: LinesOf) -> tuple[list[bytes], list[bytes]] | None:
    """The content that only the revision before has, and that only the new one has.

    Both consist of whole lines. None if the change cannot be told from the chunks.
    """
    was, is_now = ([sha for sha, _ in each.chunks] for each in (before, now))
    both = set(was) & set(is_now)
    same = [sha for sha in was if sha in both]
    if same != [sha for sha in is_now if sha in both] or len(same) != len(both):
        return None  # in another order, or repeated
    with_tail = before.tail != now.tail
    gone = _only_in(before, both, with_tail=with_tail)
    new = _only_in(now, both, with_tail=with_tail)
    return None if gone is None or new is None else (gone, new)


def _only_in(content: LinesOf, both: set[str], *, with_tail: bool) -> list[bytes] | None:
    """The lines that only this revision has; None if a part does not begin or end with a line."""
    pieces: list[bytes] = []
    last: Chunk | None = None  # the chunk before, where both have it
    is_open = False  # whether the last piece is of a part that goes on
    for sha, size in content.chunks:
        if sha in both:
            if is_open and not pieces[-1].endswith(b"\n"):
                return None
            last, is_open = (sha, size), False
            continue
        if last is not None and not is_open and not content.read(*last).endswith(b"\n"):
            return None
        pieces.append(content.read(sha, size))
        is_open = True
    if not with_tail:
        return None if is_open and not pieces[-1].endswith(b"\n") else pieces
    if last is not None and not is_open and not content.read(*last).endswith(b"\n"):
        return None
    return [*pieces, content.tail]
