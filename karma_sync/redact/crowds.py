"""Leaves out hits because of which the same text would be searched again."""

import re
from collections.abc import Sequence

from karma_sync.redact.codings import Coding
from karma_sync.redact.gates import NeedHit, NeedKind
from karma_sync.redact.matching.rule import ANYWHERE
from karma_sync.redact.stretches import FARTHEST

_FEW = 32  # hits: fewer are searched as fast
_NEAR = 512  # bytes: less than what is searched on both sides of two hits with a reach
_NOWHERE = -1
# A line's end, and what may be one once it is unescaped, however often; a colour code is none.
_LINE_END = re.compile(rb"\n|\\n|\\u(?!001[bB])")


class _Crowd:
    """Hits of one need that follow each other in a line, at every level of escapes.

    Those of rules that look further than a crowd is wide may stand in several lines. `stop` is how
    far the crowd may go, `inner` the index of its last hit, which goes if another one follows; -1
    if there is none after the first.
    """

    def __init__(self, text: bytes, place: int, reach: int) -> None:
        self.inner = _NOWHERE
        if reach == ANYWHERE:
            self.stop = len(text)
        elif reach >= _NEAR:
            self.stop = place + _NEAR
        else:
            self.stop = _line_end(text, place)

    def add(self, at: int) -> None:
        """Add the hit at this index."""
        self.inner = at


def _line_end(text: bytes, place: int) -> int:
    """How far a crowd may go in a line from this place on."""
    stop = place + _NEAR
    end = _LINE_END.search(text, place, stop)
    return stop if end is None else end.start()


def thinned(text: bytes, hits: Sequence[NeedHit], kinds: Sequence[NeedKind]) -> Sequence[NeedHit]:
    """The hits of a text without those of rules between two others that are near, in one line.

    The same is found: what is searched because of the two holds all that lies between them. Where
    it reaches further than the two are apart, they need not be in one line.
    """
    if len(hits) < _FEW:
        return hits
    crowds: dict[int, _Crowd] = {}
    gone: dict[int, list[int]] = {}
    for at, (place, needs) in enumerate(hits):
        for need in needs:
            coding, reach = kinds[need]
            if coding is not Coding.NONE:
                continue
            crowd = crowds.get(need)
            if crowd is not None and place > crowd.stop and crowd.inner >= 0:
                crowd = crowds[need] = _Crowd(text, hits[crowd.inner].place, reach)
            if crowd is None or place > crowd.stop:
                crowds[need] = _Crowd(text, place, reach)
                continue
            if crowd.inner >= 0:
                gone.setdefault(crowd.inner, []).append(need)
            crowd.add(at)
    return _without(hits, gone) if gone else hits


def _without(hits: Sequence[NeedHit], gone: dict[int, list[int]]) -> list[NeedHit]:
    """The hits without these needs of some of them."""
    left = list[NeedHit]()
    for at, hit in enumerate(hits):
        needs = gone.get(at)
        if needs is None:
            left.append(hit)
        elif len(needs) < len(hit.needs):
            left.append(NeedHit(hit.place, tuple(n for n in hit.needs if n not in needs)))
    return left


def beside_escapes(
    text: bytes, hits: Sequence[NeedHit], kinds: Sequence[NeedKind]
) -> Sequence[NeedHit]:
    """The hits of a text without those of rules that look at nothing escaped.

    Around these the text stays as it is, however often it is unescaped.
    """
    left, seen = list[NeedHit](), _NOWHERE  # where an escape is
    for hit in hits:
        low, high = max(0, hit.place - FARTHEST), hit.place + FARTHEST
        if not low <= seen < high:
            seen = text.find(b"\\", low, high)
        if seen >= 0 or _is_beside_escapes(text, hit, kinds):
            left.append(hit)
    return hits if len(left) == len(hits) else left


def _is_beside_escapes(text: bytes, hit: NeedHit, kinds: Sequence[NeedKind]) -> bool:
    own = [kinds[need] for need in hit.needs]
    if any(kind.coding is not Coding.NONE or kind.reach == ANYWHERE for kind in own):
        return True
    far = 2 * max(kind.reach for kind in own) + FARTHEST
    return text.find(b"\\", max(0, hit.place - far), hit.place + far) >= 0
