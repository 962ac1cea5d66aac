"""Finds the stretches of a text in which something may hide behind escapes."""

from collections.abc import Sequence

from karma_sync.redact.codings import Coding
from karma_sync.redact.gates import NeedKind, Reasons
from karma_sync.redact.matching.rule import ANYWHERE, FAR
from karma_sync.redact.stretches import (
    Stretch,
    escaped_lines_around,
    joined,
    lines_around,
    united,
)


def hiding(
    text: bytes, reasons: Reasons, kinds: Sequence[NeedKind], *, everywhere: bool
) -> list[Stretch]:
    """The stretches to unescape because of the reasons' hits; all of the text if `everywhere`."""
    reaches = {needs: _reach(needs, kinds) for needs in {hit.needs for hit in reasons.hits}}
    if everywhere or ANYWHERE in reaches.values():
        return [(0, len(text))]
    if reasons.hidden:
        return joined(lines_around(text, reasons.places))  # an escape never spans lines
    # escapes make a text at most twice as long at each level, but for \u
    farthest = {needs: 2 * reach for needs, reach in reaches.items()}
    around = united(
        (max(0, place - farthest[needs]), place + farthest[needs]) for place, needs in reasons.hits
    )
    return joined(
        (start, end)
        for start, end in escaped_lines_around(text, around)
        if text.find(b"\\", start, end) >= 0
    )


def _reach(needs: Sequence[int], kinds: Sequence[NeedKind]) -> int:
    """How far from a hit of these needs something may be found."""
    own = [kinds[need] for need in needs]
    reaches = [kind.reach if kind.coding is Coding.NONE else FAR for kind in own]
    return ANYWHERE if ANYWHERE in reaches else max(reaches)
