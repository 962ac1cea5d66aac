"""Joins and sorts out the spans that rules found, and knows the markers of earlier ones."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from karma_sync.redact.effort import TooMuchWork
from karma_sync.redact.rule_matcher import Span
from karma_sync.redact.stretches import Stretch

MARKER = re.compile(rb"\[REDACTED:[a-z0-9-]+\]")
# A text with more secrets than this, and more than one in so many bytes, is nothing but secrets: to
# cut each of them takes long and leaves little to read.
MOST_SECRETS = 500
BYTES_A_SECRET = 100
_FILLER = b" \t\r\n\\\"'`"


def has_other_text(stretch: bytes) -> bool:
    """Whether a stretch holds more than markers and the blanks and quotes between them."""
    return bool(MARKER.sub(b"", stretch).strip(_FILLER))


def not_too_many(spans: Iterable[Span], size: int) -> Iterator[Span]:
    """The same spans of a text of this size; several may be of one secret.

    Raises:
        TooMuchWork: they are of more secrets, nearer to each other, than an honest text has.
    """
    most, secrets = max(MOST_SECRETS, size // BYTES_A_SECRET), set[Stretch]()
    for span in spans:
        secrets.add((span.start, span.end))
        if len(secrets) > most:
            raise TooMuchWork
        yield span


def distinct(spans: list[Span]) -> list[Span]:
    """One span for each stretch: of several, that of the earliest rule."""
    orders: dict[Stretch, int] = {}
    for start, end, order in spans:
        if order < orders.get((start, end), order + 1):
            orders[start, end] = order
    return [Span(start, end, order) for (start, end), order in orders.items()]


def merged(spans: list[Span]) -> list[Span]:
    """Join overlapping spans; the longest gives the rule, among equals the earliest rule."""
    joined: list[tuple[Span, Span]] = []  # the stretch, and the longest span in it
    for span in sorted(spans):
        if joined and span.start < joined[-1][0].end:
            stretch, best = joined.pop()
            stretch = stretch._replace(end=max(stretch.end, span.end))
            joined.append((stretch, min(best, span, key=_priority)))
        else:
            joined.append((span, span))
    return [stretch._replace(order=best.order) for stretch, best in joined]


def _priority(span: Span) -> tuple[int, int]:
    return span.start - span.end, span.order


def without_bare_markers(spans: list[Span], text: bytes) -> list[Span]:
    """Leave out spans that hold only markers, so that redacting twice changes nothing more."""
    markers = [match.span() for match in MARKER.finditer(text)]
    if not markers:
        return spans
    starts, ends = [start for start, _ in markers], [end for _, end in markers]
    settled = []
    for span in spans:
        # the markers that overlap the span
        first, after = bisect_right(ends, span.start), bisect_left(starts, span.end)
        start, end = span.start, span.end
        if first < after:
            start, end = min(start, starts[first]), max(end, ends[after - 1])
        if has_other_text(text[start:end]):
            settled.append(span._replace(start=start, end=end))
    return merged(settled)
