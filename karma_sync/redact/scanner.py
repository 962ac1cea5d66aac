"""Finds secrets in a text, at every level of escaping, and writes markers in their place."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from karma_sync.redact.escapes import Unescaped, whole_characters
from karma_sync.redact.gates import Gates
from karma_sync.redact.matching.patterns import Match, compiled
from karma_sync.redact.matching.rule import Rule

_NEWLINE = b"\\n"


def line_around(text: bytes, at: int, place: int) -> tuple[int, int]:
    """The line, without its end, that holds this place; what stands before `at` is not of it."""
    end = text.find(b"\n", place)
    return text.rfind(b"\n", at, place) + 1 or at, len(text) if end < 0 else end


def lines_around(text: bytes, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The lines, without their ends, that hold one of these places, which are in order."""
    at = 0
    for place in places:
        if place >= at:
            start, end = line_around(text, at, place)
            yield start, end
            at = end + 1


def escaped_lines_around(text: bytes, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    r"""Stretches that hold whole lines, those around these places, once `text` is unescaped.

    They begin and end as a line of `text` does, or with a `\n` of which it is plain that its
    backslash is none that is escaped itself: there may be more lines in one, but no part of one.
    """
    end = 0
    for place in places:
        if place >= end:
            line_start, line_end = line_around(text, end, place)
            start = max(line_start, _last(text, end, place))
            end = _first(text, place, line_end)
            yield start, min(end + len(_NEWLINE), line_end)
            if end == line_end:
                end += 1  # a place on it is the line's that it ends


def _last(text: bytes, start: int, end: int) -> int:
    """Where the last escaped newline between these two begins; `start` if there is none."""
    at = text.rfind(_NEWLINE, start, end)
    while at > start and text[at - 1 : at] == b"\\":
        at = text.rfind(_NEWLINE, start, at)
    return max(at, start)


def _first(text: bytes, place: int, end: int) -> int:
    """Where the first escaped newline behind `place` begins; `end` if that comes first.

    Not one that begins at the place or next to it: an escape that stands there is whole then.
    """
    at = text.find(_NEWLINE, place + 2, end)
    while at >= 0 and text[at - 1 : at] == b"\\":
        at = text.find(_NEWLINE, at + 1, end)
    return end if at < 0 else at


LEVELS = 3  # a record's string, JSON text in it, and JSON text in that
MARKER = re.compile(rb"\[REDACTED:[a-z0-9-]+\]")
_FILLER = b" \t\r\n\\\"'`"


class Span(NamedTuple):
    """A stretch of a text that is a secret by the rule of this place in the list."""

    start: int
    end: int
    order: int


Allowed = Callable[[bytes], bool]
"""Whether the person said of this text that it is no secret."""
Stretches = Collection[tuple[int, int]]
"""Stretches of a text by start and end."""


class RuleMatcher:
    """One rule, ready to run."""

    def __init__(self, rule: Rule, order: int, allowed: Allowed) -> None:
        self.one_line = rule.one_line
        self._order = order
        self._rule = rule
        self._allowed = None if rule.firm or rule.until else allowed
        self._pattern = compiled(rule.pattern, rule.name, rule.utf8)
        self._until = compiled(rule.until, rule.name) if rule.until else None
        groups = {name.decode(): at for name, at in self._pattern.groupindex.items()}
        first = min(1, self._pattern.groups)
        self._secrets = [at for name, at in groups.items() if name.startswith("secret")] or [first]
        self._name = groups.get("name")

    def spans(self, text: bytes, shift: int = 0) -> Iterator[Span]:
        """What the rule cuts; a match may begin in what the one before only looked at."""
        at = 0
        while match := self._pattern.search(text, at):
            group = self._group(match)
            start, end = match.start(group), match.end(group)
            if start < end and self._approves(text, match, text[start:end]):
                end = self._end(text, end)
                yield Span(start + shift, end + shift, self._order)
                at = end
            else:
                at = max(start, match.start() + 1)

    def _group(self, match: Match) -> int:
        if self._rule.groups:
            filled = (g for g in self._rule.groups if match.start(g) < match.end(g))
            return next(filled, 0)
        return next((group for group in self._secrets if match.start(group) >= 0), 0)

    def _end(self, text: bytes, end: int) -> int:
        if self._until is None:
            return end
        last = self._until.search(text, end)
        return len(text) if last is None else last.end()

    def _approves(self, text: bytes, match: Match, secret: bytes) -> bool:
        if self._allowed is not None and self._allowed(secret):
            return False
        if self._rule.judge is not None:
            return self._rule.judge(text[match.start() : match.end()], secret)
        if self._rule.check is None:
            return True
        name = b"" if self._name is None else text[match.start(self._name) : match.end(self._name)]
        return self._rule.check(name, secret)


class Scanner:
    """All rules over one text."""

    def __init__(self, rules: Sequence[Rule], allowed: Allowed) -> None:
        self._names = [rule.name for rule in rules]
        self.all_near = [order for order, rule in enumerate(rules) if rule.near]
        self._matchers = [RuleMatcher(rule, order, allowed) for order, rule in enumerate(rules)]
        self._gates = Gates(rules)

    def suspicion(self, text: bytes, at: int = 0) -> int:
        """Where behind `at` the first thing stands that some rule may need, or -1.

        True of `text` with escapes in it as of the text they stand for.
        """
        return self._gates.search(text, at)

    def suspects(self, text: bytes) -> Iterator[tuple[int, int]]:
        """The lines, without their ends, in which something stands that some rule may need."""
        start = 0
        while (hit := self.suspicion(text, start)) >= 0:
            first, end = line_around(text, start, hit)
            yield first, end
            start = end + 1

    def near(self, record: bytes) -> list[int]:
        """The rules that are to be tried on every text in this record."""
        return self._gates.near(record)

    def find(
        self, text: bytes, near: Sequence[int] = (), written: Stretches | None = None
    ) -> list[Span]:
        """What is to be cut from `text`: in order, apart from each other, no escape split.

        `near` are rules to try in any case. Of what is found in the text as it is written, if it
        has escapes, only the `written` stretches count; what is found behind them in any case.
        """
        found = self._deep(text, near, LEVELS, written if b"\\" in text else None)
        if not found:
            return []
        layer = Unescaped(text)
        spans = []
        for start, end, order in found:
            start, end = layer.snap(*whole_characters(text, start, end))
            spans.append(Span(start, end, order))
        return _settled(_merged(spans), text)

    def _deep(
        self, text: bytes, near: Sequence[int], levels: int, written: Stretches | None
    ) -> list[Span]:
        rules, places = self._gates.reasons(text)
        if near:
            lines = [(0, len(text))]
        else:
            lines = list(self.suspects(text) if places is None else lines_around(text, places))
        if not lines:
            return []
        opened = sorted({*rules, *near})
        found: list[Span] = []
        if written is None or written:
            spans = self._flat(text, lines, opened)
            found += [s for s in spans if written is None or (s.start, s.end) in written]
        if places and not near and all(self._matchers[order].one_line for order in opened):
            lines = list(escaped_lines_around(text, places))  # no rule looks beyond its own
        return [*found, *(self._behind(text, lines, near, levels - 1) if levels else ())]

    def _behind(
        self, text: bytes, lines: Sequence[tuple[int, int]], near: Sequence[int], levels: int
    ) -> Iterator[Span]:
        """What is found behind the escapes of these lines."""
        for start, end in lines:
            if b"\\" in text[start:end]:  # an escape never spans lines
                layer = Unescaped(text[start:end])
                for span in self._deep(layer.data, near, levels, None):
                    first, last = layer.origin(span.start, span.end)
                    yield Span(start + first, start + last, span.order)

    def _flat(
        self, text: bytes, lines: Sequence[tuple[int, int]], opened: Sequence[int]
    ) -> Iterator[Span]:
        for matcher in [self._matchers[order] for order in opened]:
            if matcher.one_line:
                for start, end in lines:
                    yield from matcher.spans(text[start:end], start)
            else:
                yield from matcher.spans(text)

    def name(self, span: Span) -> str:
        """The rule by which the span is a secret."""
        return self._names[span.order]

    def marker(self, span: Span) -> bytes:
        """What is written in place of a cut."""
        return f"[REDACTED:{self.name(span)}]".encode()

    def cut(self, text: bytes, cuts: Counter[str], near: Sequence[int] = ()) -> bytes:
        """`text` with every secret replaced; what replacing uncovers is replaced too.

        `near` are rules to try in any case.
        """
        near = near or self.near(text)
        while spans := self.find(text, near):
            pieces, at = [], 0
            for span in spans:
                pieces += [text[at : span.start], self.marker(span)]
                at = span.end
                cuts[self.name(span)] += 1
            text = b"".join([*pieces, text[at:]])
        return text


def uncut(stretch: bytes) -> bool:
    """Whether it holds more than markers and what stands between them."""
    return bool(MARKER.sub(b"", stretch).strip(_FILLER))


def _merged(spans: list[Span]) -> list[Span]:
    """Overlapping spans as one, under the rule of the longest, the first in the list of equals."""
    merged: list[tuple[Span, Span]] = []  # the stretch, and the longest span in it
    for span in sorted(spans):
        if merged and span.start < merged[-1][0].end:
            stretch, best = merged.pop()
            stretch = stretch._replace(end=max(stretch.end, span.end))
            merged.append((stretch, min(best, span, key=_importance)))
        else:
            merged.append((span, span))
    return [stretch._replace(order=best.order) for stretch, best in merged]


def _importance(span: Span) -> tuple[int, int]:
    return span.start - span.end, span.order


def _settled(spans: list[Span], text: bytes) -> list[Span]:
    """Without the spans that hold nothing but markers: redacting twice is redacting once."""
    if MARKER.search(text) is None:
        return spans
    markers = [Span(match.start(), match.end(), len(text)) for match in MARKER.finditer(text)]
    settled = []
    for span in spans:
        around = [mark for mark in markers if mark.start < span.end and span.start < mark.end]
        start = min([span.start, *(mark.start for mark in around)])
        end = max([span.end, *(mark.end for mark in around)])
        if uncut(text[start:end]):
            settled.append(span._replace(start=start, end=end))
    return _merged(settled)
