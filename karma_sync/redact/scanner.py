"""Finds secrets in a text, at every level of escaping, and replaces them with markers.

Secrets hide behind escapes: tool output often is JSON text in a string of JSON. So each text is
searched as it is written, and again with its escapes undone, `LEVELS` times.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from karma_sync.redact.codings import CodedRun, coded_runs, unwrapped, without_colours
from karma_sync.redact.crowds import beside_escapes, thinned
from karma_sync.redact.effort import Effort, TooMuchWork
from karma_sync.redact.escapes import LEVELS, Unescaped, snapped, unescape, whole_characters
from karma_sync.redact.gates import CandidateLine, Gates, NeedHit, NeedKind, Reasons
from karma_sync.redact.hiding import hiding
from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.rule import ANYWHERE, Finder, Rule
from karma_sync.redact.matching.value_checks import is_key
from karma_sync.redact.rule_matcher import Allowed, RuleGroup, RuleMatcher, Span
from karma_sync.redact.spans import distinct, merged, not_too_many, without_bare_markers
from karma_sync.redact.stretches import Stretch, regions

# Stands in place of a text that asks for more work than any honest text does.
UNSEARCHED = "unsearched"
PASSES = 8  # after so many replacements that each uncovered another secret a text is cut whole
_LEAST_TAIL = 8  # characters of a token behind a line's end that are worth a cut


class _Search(NamedTuple):
    """A search in all layers of a text: rules to try anyway, its effort, and what is known.

    `runs` has what was found in coded stretches that have no other layers.
    """

    near: Sequence[int]
    effort: Effort
    runs: dict[bytes, list[Span]]


class Scanner:
    """Finds and cuts the secrets of all rules in a text; `allowed` exempts values from redaction.

    `all_near` are the indexes of the rules that need words near a secret. `scanned` counts the
    bytes that all searches together passed over.
    """

    def __init__(self, rules: Sequence[Rule], allowed: Allowed) -> None:
        self._names = [*(rule.name for rule in rules), UNSEARCHED]
        self.all_near = [order for order, rule in enumerate(rules) if rule.near]
        self._finders = {rule.finder for rule in rules if rule.finder}
        self._allowed = allowed
        self._matchers = [RuleMatcher(rule, order, allowed) for order, rule in enumerate(rules)]
        self._groups: dict[tuple[int, ...], list[RuleGroup]] = {}
        self._gates = Gates(rules)
        begins = self._gates.begins
        self._beginning = compiled(begins, "beginnings") if begins else None
        self.scanned = 0

    @property
    def tries_anyway(self) -> bool:
        """Whether some rule needs nothing, and is tried on every text."""
        return bool(self._gates.always)

    def hits(self, text: bytes) -> list[NeedHit]:
        """The places of the rules' needs, in the text as it is written and behind its escapes."""
        return self._gates.hits(text)

    def hides_behind_colours(self, text: bytes) -> bool:
        """Whether colour codes stand in the text, and something that a rule may need without."""
        return self._gates.hides_behind_colours(text)

    def candidate_lines(self, text: bytes, kept: Sequence[Stretch]) -> Iterator[CandidateLine]:
        """The lines that hold a need of some rule, outside these stretches."""
        return self._gates.lines(text, kept)

    def near(self, record: bytes) -> list[int]:
        """The indexes of the rules to try on every text in this record, because of words in it."""
        return self._gates.near(record)

    def may_open(self, finder: Finder, hits: Sequence[NeedHit]) -> bool:
        """Whether a text with these hits may hold what the rule with this finder needs."""
        if finder not in self._finders:
            return False
        return self._gates.hides_any(hits) or any(
            self._matchers[order].finder is finder
            for order in (*self._gates.opened(hits), *self._gates.always)
        )

    @property
    def kinds(self) -> Sequence[NeedKind]:
        """The kinds of all needs, by their indexes."""
        return self._gates.kinds

    def finds(self, part: bytes, hits: Sequence[NeedHit], is_whole: bool, effort: Effort) -> bool:
        """Whether the rules that these hits open find anything in a part, at any level of escapes.

        `is_whole` is true if it is all of a text, which counts as it is written too.

        Raises:
            TooMuchWork: the effort is spent.
        """
        groups = [
            group for group in self._grouped(self._gates.opened(hits)) if group.may_find_in(part)
        ]
        if not groups:
            return False
        if is_whole and _any_in(groups, part, effort):
            return True
        for _ in range(LEVELS):
            if b"\\" not in part:
                break
            effort.spend(len(part))
            part = unescape(part)
            if _any_in(groups, part, effort):
                return True
        return False

    def count(self, effort: Effort) -> None:
        """Count the bytes that a search for hits passed over."""
        self.scanned += effort.scanned

    def hides(self, part: bytes, hits: Sequence[NeedHit], effort: Effort) -> bool:
        """Whether escapes in a part of a text hide something that a rule may need.

        `hits` are those of the part as it is written.

        Raises:
            TooMuchWork: the effort is spent.
        """
        for _ in range(LEVELS):
            if not self._gates.is_hiding(part):
                break
            effort.spend(len(part))
            layer = Unescaped(part, [hit.place for hit in hits])
            known = {hit.at(at) for hit, at in zip(hits, layer.places, strict=True)}
            part, hits = layer.data, self._gates.hits(layer.data, effort)
            if not known.issuperset(hits):
                return True
        return False

    def exempts(self, value: bytes) -> bool:
        """Whether the person exempted this value."""
        return self._allowed(value)

    def find(
        self,
        text: bytes,
        near: Sequence[int] = (),
        written: Collection[Stretch] | None = None,
        hits: Sequence[NeedHit] | None = None,
        coloured: bool = True,
    ) -> list[Span]:
        """The spans to cut from `text`: in order, not overlapping, splitting no escape.

        `near` are the indexes of rules to try in any case. If `text` has escapes, a secret that is
        found in the text as it is written counts only if it is one of the `written` stretches;
        a secret that is found behind the escapes always counts. `hits` are those of the text, where
        they are known; `coloured` is true if it may have colour codes. A text that asks for
        too much work is one span.
        """
        search = _Search(near, Effort(len(text), len(near) + len(self._gates.always)), {})
        try:
            found = [
                *self._find_in(search, text, written if b"\\" in text else None, hits),
                *(self._find_behind_colours(search, text) if coloured else ()),
            ]
        except TooMuchWork:
            return [self.whole(text)]
        finally:
            self.scanned += search.effort.scanned
        if not found:
            return []
        spans = []
        for start, end, order in distinct(found):
            start, end = snapped(text, *whole_characters(text, start, end))
            spans.append(Span(start, end, order))
        return without_bare_markers(merged(spans), text)

    def whole(self, text: bytes) -> Span:
        """A span over all of a text that cannot be searched."""
        return Span(0, len(text), len(self._names) - 1)

    def _find_in(
        self,
        search: _Search,
        text: bytes,
        written: Collection[Stretch] | None,
        hits: Sequence[NeedHit] | None = None,
    ) -> list[Span]:
        """The spans that are found in all layers of a text."""
        known = self._gates.hits(text, search.effort) if hits is None else hits
        reasons = self._reasons(text, known)
        levels = LEVELS if b"\\" in text or reasons.coded or reasons.wrapped else 0
        return self._find_in_layers(search, text, reasons, levels, written)

    def _find_behind_colours(self, search: _Search, text: bytes) -> Iterator[Span]:
        """The secrets in the text without its colour codes."""
        layer = without_colours(text)
        if layer is not None:
            search.effort.spend(len(text))
            written = () if b"\\" in layer.data else None
            for span in distinct(self._find_in(search, layer.data, written)):
                yield Span(*layer.origin(span.start, span.end), span.order)

    def _find_in_layers(
        self,
        search: _Search,
        text: bytes,
        reasons: Reasons,
        levels: int,
        written: Collection[Stretch] | None,
    ) -> list[Span]:
        anyway = [*self._gates.always, *search.near]
        if not reasons.hits and not anyway:
            return []
        found: list[Span] = []
        if written is None or written:
            last = max(start for start, _ in written) if written else None
            every = self._find_in_layer(text, reasons, anyway, search.effort, last)
            spans = not_too_many(every, len(text))
            found += [s for s in spans if written is None or (s.start, s.end) in written]
        if levels and reasons.coded:
            found += self._find_behind_codings(search, text, reasons, levels - 1)
        if levels and reasons.wrapped:
            found += self._find_behind_line_ends(search, text, reasons.wrapped)
        if levels and b"\\" in text:
            if written is None and not (anyway or reasons.hidden):
                # the text was searched as it is written: elsewhere nothing else can be found
                near = beside_escapes(text, reasons.hits, self.kinds)
                reasons = reasons if near is reasons.hits else self._gates.reasons(near)
            stretches = hiding(text, reasons, self.kinds, everywhere=bool(anyway))
            found += self._find_behind_escapes(search, text, stretches, reasons, levels - 1)
        return found

    def _reasons(self, text: bytes, hits: Sequence[NeedHit]) -> Reasons:
        return self._gates.reasons(thinned(text, hits, self.kinds))

    def _find_behind_escapes(
        self,
        search: _Search,
        text: bytes,
        stretches: Sequence[Stretch],
        reasons: Reasons,
        levels: int,
    ) -> Iterator[Span]:
        """The secrets behind the escapes of these stretches.

        What a rule needs behind the escapes is there before them too (see `Gates.hits`), unless
        an escape hides it.
        """
        for start, end in stretches:
            part = text[start:end]
            if b"\\" in part:
                search.effort.spend(end - start)
                if reasons.hidden:
                    layer = Unescaped(part)
                    every = self._gates.hits(layer.data, search.effort)
                    hits = thinned(layer.data, every, self.kinds)
                else:
                    own = reasons.hits_in(start, end)
                    layer = Unescaped(part, [hit.place - start for hit in own])
                    hits = [hit.at(p) for hit, p in zip(own, layer.places, strict=True)]
                inner = self._gates.reasons(hits)
                spans = self._find_in_layers(search, layer.data, inner, levels, None)
                # several rules find the same secret: the first of them gives the name
                for span in distinct(spans):
                    first, last = layer.origin(span.start, span.end)
                    yield Span(start + first, start + last, span.order)

    def _find_behind_codings(
        self, search: _Search, text: bytes, reasons: Reasons, levels: int
    ) -> Iterator[Span]:
        """The secrets behind percent signs, base64 and the NULs of UTF-16."""
        for run in coded_runs(text, reasons.places):
            for start, end, order in self._find_in_run(search, run, levels):
                yield Span(run.start + start, run.start + end, order)

    def _find_in_run(self, search: _Search, run: CodedRun, levels: int) -> list[Span]:
        """The secrets in a coded stretch, by their places in it.

        The same one often stands at each level of escapes. What is found in it is the same too if
        nothing in what it stands for is escaped or coded.
        """
        if run.data in search.runs:
            return search.runs[run.data]
        layer = run.decode(run.data)
        if layer is None:
            return []
        search.effort.spend(len(layer.data))
        reasons = self._reasons(layer.data, self._gates.hits(layer.data, search.effort))
        spans = distinct(self._find_in_layers(search, layer.data, reasons, levels, None))
        found = [Span(*layer.origin(start, end), order) for start, end, order in spans]
        if not (b"\\" in layer.data or reasons.coded or reasons.wrapped):
            search.runs[run.data] = found
        return found

    def _find_behind_line_ends(
        self, search: _Search, text: bytes, places: Sequence[int]
    ) -> Iterator[Span]:
        """The tokens of a fixed form that a terminal wrapped.

        One that could be whole before the line's end goes on only with what looks like a key.
        """
        anyway = [order for order in self._gates.always if self._matchers[order].is_fixed]
        for layer in unwrapped(text, places):
            search.effort.spend(len(layer.data))
            inner = self._reasons(layer.data, self._gates.hits(layer.data, search.effort))
            for span in self._find_in_layer(layer.data, inner, anyway, search.effort):
                joint = next((j for j in layer.joints if span.start < j < span.end), None)
                if joint is not None and self._goes_on(layer.data, span, joint, search.effort):
                    yield Span(*layer.origin(span.start, span.end), span.order)

    def _goes_on(self, text: bytes, span: Span, joint: int, effort: Effort) -> bool:
        """Whether what follows a joint of two lines belongs to the token that begins before it."""
        matcher, rest = self._matchers[span.order], text[joint : span.end]
        is_name = text[span.end : span.end + 1] in (b"=", b":")
        if not matcher.is_fixed or is_name or (self._beginning and self._beginning.match(rest)):
            return False
        before = matcher.spans(text[:joint], effort)  # a token ends where its line does
        return is_key(rest, _LEAST_TAIL) or all(each.start != span.start for each in before)

    def _find_in_layer(
        self,
        text: bytes,
        reasons: Reasons,
        anyway: Sequence[int],
        effort: Effort,
        last: int | None = None,
    ) -> Iterator[Span]:
        """The secrets in a text as it is; with `last`, only those that begin up to there."""
        everywhere = [(0, len(text))]
        for order in anyway:
            yield from self._matchers[order].spans(text, effort, last)
        known: dict[tuple[int, tuple[int, ...]], list[Stretch]] = {}
        for orders, where in reasons.needed:
            places = tuple(where)
            for group in self._grouped(orders):
                key = group.reach, places
                if key not in known:
                    anywhere = group.reach == ANYWHERE
                    known[key] = everywhere if anywhere else regions(text, places, group.reach)
                for start, end in known[key]:
                    if last is None or start <= last:
                        yield from group.spans(text, start, end, effort, last)

    def _grouped(self, orders: tuple[int, ...]) -> list[RuleGroup]:
        """The rules at these indexes by their reach; made when a text first opens them."""
        if orders not in self._groups:
            by_reach: dict[int, list[RuleMatcher]] = {}
            for matcher in (self._matchers[order] for order in orders):
                by_reach.setdefault(matcher.reach, []).append(matcher)
            self._groups[orders] = [RuleGroup(reach, found) for reach, found in by_reach.items()]
        return self._groups[orders]

    def name(self, span: Span) -> str:
        """The name of the rule by which the span is a secret."""
        return self._names[span.order]

    def marker(self, span: Span) -> bytes:
        """The marker that replaces the span."""
        return f"[REDACTED:{self.name(span)}]".encode()

    def cut(
        self,
        text: bytes,
        cuts: Counter[str],
        near: Sequence[int] = (),
        hits: Sequence[NeedHit] | None = None,
    ) -> bytes:
        """`text` with every secret replaced; adds the redactions by rule to `cuts`.

        Searches again after each replacement, because it may uncover another secret. `near` are
        the indexes of rules to try in any case, `hits` those of the text, where they are known.
        """
        near = near or self.near(text)
        for turn in range(PASSES + 1):
            spans = self.find(text, near, hits=hits if turn == 0 else None)
            if not spans:
                break
            if turn == PASSES:
                spans = [self.whole(text)]
            pieces, at = [], 0
            for span in spans:
                pieces += [text[at : span.start], self.marker(span)]
                at = span.end
                cuts[self.name(span)] += 1
            text = b"".join([*pieces, text[at:]])
        return text


def _any_in(groups: Sequence[RuleGroup], text: bytes, effort: Effort) -> bool:
    """Whether one of these rules finds a secret in the text."""
    return any(True for group in groups for _ in group.spans(text, 0, len(text), effort))
