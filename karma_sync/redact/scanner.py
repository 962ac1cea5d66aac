"""Finds secrets in a text, at every level of escaping, and replaces them with markers.

Secrets hide behind escapes: tool output often is JSON text in a string of JSON. So each text is
searched as it is written, and again with its escapes undone, `LEVELS` times.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from karma_sync.redact.escapes import Unescaped, whole_characters
from karma_sync.redact.gates import Gates
from karma_sync.redact.matching.patterns import Match, compiled
from karma_sync.redact.matching.rule import Rule

LEVELS = 3  # a record's string, JSON text in it, and JSON text in that
MARKER = re.compile(rb"\[REDACTED:[a-z0-9-]+\]")
_FILLER = b" \t\r\n\\\"'`"
_NEWLINE = b"\\n"  # as JSON escapes it

# Whether the person exempted this value from redaction.
Allowed = Callable[[bytes], bool]
# Stretches of a text, by start and end.
Stretches = Collection[tuple[int, int]]


class Span(NamedTuple):
    """A stretch of a text that is a secret by the rule at index `order` of the list."""

    start: int
    end: int
    order: int


def line_around(text: bytes, at: int, place: int) -> tuple[int, int]:
    """Start and end of the line around `place`, without its line end, from `at` on."""
    end = text.find(b"\n", place)
    return text.rfind(b"\n", at, place) + 1 or at, len(text) if end < 0 else end


def lines_around(text: bytes, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Start and end of each line that holds one of these places; the places must be in order."""
    at = 0
    for place in places:
        if place >= at:
            start, end = line_around(text, at, place)
            yield start, end
            at = end + 1


def escaped_lines_around(text: bytes, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    r"""Stretches of `text` that hold the whole lines around these places once it is unescaped.

    A stretch begins and ends where a line of `text` does, or at an escaped newline `\n` whose
    backslash is certainly not escaped itself. So a stretch may hold several unescaped lines, but
    never a part of one. The places must be in order.
    """
    end = 0
    for place in places:
        if place >= end:
            line_start, line_end = line_around(text, end, place)
            start = max(line_start, _last_escaped_newline(text, end, place))
            end = _first_escaped_newline(text, place, line_end)
            yield start, min(end + len(_NEWLINE), line_end)
            if end == line_end:
                end += 1  # the line end itself counts as part of the line before it


def _last_escaped_newline(text: bytes, start: int, end: int) -> int:
    """Where the last escaped newline in text[start:end] begins; `start` if there is none."""
    at = text.rfind(_NEWLINE, start, end)
    while at > start and text[at - 1 : at] == b"\\":
        at = text.rfind(_NEWLINE, start, at)
    return max(at, start)


def _first_escaped_newline(text: bytes, place: int, end: int) -> int:
    """Where the first escaped newline after `place` begins; `end` if there is none before it.

    One that begins at the place or right after it does not count, so that an escape at the place
    stays whole.
    """
    at = text.find(_NEWLINE, place + 2, end)
    while at >= 0 and text[at - 1 : at] == b"\\":
        at = text.find(_NEWLINE, at + 1, end)
    return end if at < 0 else at


class RuleMatcher:
    """Finds the secrets of one rule in a text."""

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
        """The secrets that the rule finds in `text`; `shift` is added to their positions.

        The next match may begin inside the previous one, but not inside its secret.
        """
        at = 0
        while match := self._pattern.search(text, at):
            group = self._group(match)
            start, end = match.start(group), match.end(group)
            if start < end and self._is_secret(text, match, text[start:end]):
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

    def _is_secret(self, text: bytes, match: Match, secret: bytes) -> bool:
        if self._allowed is not None and self._allowed(secret):
            return False
        if self._rule.judge is not None:
            return self._rule.judge(text[match.start() : match.end()], secret)
        if self._rule.check is None:
            return True
        name = b"" if self._name is None else text[match.start(self._name) : match.end(self._name)]
        return self._rule.check(name, secret)


class Scanner:
    """Finds and cuts the secrets of all rules in a text; `allowed` exempts values from redaction.

    `all_near` are the indexes of the rules that need words near a secret.
    """

    def __init__(self, rules: Sequence[Rule], allowed: Allowed) -> None:
        self._names = [rule.name for rule in rules]
        self.all_near = [order for order, rule in enumerate(rules) if rule.near]
        self._matchers = [RuleMatcher(rule, order, allowed) for order, rule in enumerate(rules)]
        self._gates = Gates(rules)

    def first_candidate(self, text: bytes, at: int = 0) -> int:
        """Where, from `at` on, something begins that some rule may need; -1 if nowhere.

        The answer also covers the text behind the escapes of `text`.
        """
        return self._gates.search(text, at)

    def candidate_lines(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Start and end of each line that holds something that some rule may need."""
        start = 0
        while (hit := self.first_candidate(text, start)) >= 0:
            first, end = line_around(text, start, hit)
            yield first, end
            start = end + 1

    def near(self, record: bytes) -> list[int]:
        """The indexes of the rules to try on every text in this record, because of words in it."""
        return self._gates.near(record)

    def find(
        self, text: bytes, near: Sequence[int] = (), written: Stretches | None = None
    ) -> list[Span]:
        """The spans to cut from `text`: in order, not overlapping, splitting no escape.

        `near` are the indexes of rules to try in any case. If `text` has escapes, a secret that is
        found in the text as it is written counts only if it is one of the `written` stretches;
        a secret that is found behind the escapes always counts.
        """
        found = self._find_in_layers(text, near, LEVELS, written if b"\\" in text else None)
        if not found:
            return []
        layer = Unescaped(text)
        spans = []
        for start, end, order in found:
            start, end = layer.snap(*whole_characters(text, start, end))
            spans.append(Span(start, end, order))
        return _without_bare_markers(_merged(spans), text)

    def _find_in_layers(
        self, text: bytes, near: Sequence[int], levels: int, written: Stretches | None
    ) -> list[Span]:
        rules, places = self._gates.reasons(text)
        if near:
            lines = [(0, len(text))]
        else:
            lines = list(
                self.candidate_lines(text) if places is None else lines_around(text, places)
            )
        if not lines:
            return []
        opened = sorted({*rules, *near})
        found: list[Span] = []
        if written is None or written:
            spans = self._find_in_layer(text, lines, opened)
            found += [s for s in spans if written is None or (s.start, s.end) in written]
        if places and not near and all(self._matchers[order].one_line for order in opened):
            lines = list(escaped_lines_around(text, places))  # no rule needs other lines
        return [
            *found,
            *(self._find_behind_escapes(text, lines, near, levels - 1) if levels else ()),
        ]

    def _find_behind_escapes(
        self, text: bytes, lines: Sequence[tuple[int, int]], near: Sequence[int], levels: int
    ) -> Iterator[Span]:
        """The secrets behind the escapes of these lines."""
        for start, end in lines:
            if b"\\" in text[start:end]:  # an escape never spans lines
                layer = Unescaped(text[start:end])
                for span in self._find_in_layers(layer.data, near, levels, None):
                    first, last = layer.origin(span.start, span.end)
                    yield Span(start + first, start + last, span.order)

    def _find_in_layer(
        self, text: bytes, lines: Sequence[tuple[int, int]], opened: Sequence[int]
    ) -> Iterator[Span]:
        for matcher in [self._matchers[order] for order in opened]:
            if matcher.one_line:
                for start, end in lines:
                    yield from matcher.spans(text[start:end], start)
            else:
                yield from matcher.spans(text)

    def name(self, span: Span) -> str:
        """The name of the rule by which the span is a secret."""
        return self._names[span.order]

    def marker(self, span: Span) -> bytes:
        """The marker that replaces the span."""
        return f"[REDACTED:{self.name(span)}]".encode()

    def cut(self, text: bytes, cuts: Counter[str], near: Sequence[int] = ()) -> bytes:
        """`text` with every secret replaced; adds the redactions by rule to `cuts`.

        Searches again after each replacement, because it may uncover another secret. `near` are
        the indexes of rules to try in any case.
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


def has_other_text(stretch: bytes) -> bool:
    """Whether a stretch holds more than markers and the blanks and quotes between them."""
    return bool(MARKER.sub(b"", stretch).strip(_FILLER))


def _merged(spans: list[Span]) -> list[Span]:
    """Join overlapping spans; the longest gives the rule, among equals the earliest rule."""
    merged: list[tuple[Span, Span]] = []  # the stretch, and the longest span in it
    for span in sorted(spans):
        if merged and span.start < merged[-1][0].end:
            stretch, best = merged.pop()
            stretch = stretch._replace(end=max(stretch.end, span.end))
            merged.append((stretch, min(best, span, key=_priority)))
        else:
            merged.append((span, span))
    return [stretch._replace(order=best.order) for stretch, best in merged]


def _priority(span: Span) -> tuple[int, int]:
    return span.start - span.end, span.order


def _without_bare_markers(spans: list[Span], text: bytes) -> list[Span]:
    """Leave out spans that hold only markers, so that redacting twice changes nothing more."""
    if MARKER.search(text) is None:
        return spans
    markers = [Span(match.start(), match.end(), len(text)) for match in MARKER.finditer(text)]
    settled = []
    for span in spans:
        around = [mark for mark in markers if mark.start < span.end and span.start < mark.end]
        start = min([span.start, *(mark.start for mark in around)])
        end = max([span.end, *(mark.end for mark in around)])
        if has_other_text(text[start:end]):
            settled.append(span._replace(start=start, end=end))
    return _merged(settled)
