"""Finds the secrets of one rule in a text."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from karma_sync.redact.effort import Effort
from karma_sync.redact.matching.judged_value import JudgedValue
from karma_sync.redact.matching.patterns import PatternSet, Spans, compiled
from karma_sync.redact.matching.rule import Finder, Rule

# A match that is no secret may hold another match. Where so many bytes of matches with the same
# end were no secrets, the text is made to be slow, and is cut as if it were one.
_NESTED_TIMES = 16
_NESTED_SPARE = 4096

_LONG = 4096  # bytes of a word, such as a value
_MOST_KEPT = 512  # bytes of a match that is kept
_MOST_MATCHES = 20_000
_BLANK = re.compile(rb"\s")
_LOOKS_BESIDE = re.compile(r"\\[bB]")

# Whether the person exempted this value from redaction.
Allowed = Callable[[bytes], bool]


# A match of a rule: its start and end, those of the candidate in it, and the candidate's name.
_Match = tuple[int, int, tuple[int, int], bytes]


class Span(NamedTuple):
    """A stretch of a text that is a secret by the rule at index `order` of the list."""

    start: int
    end: int
    order: int


class Region:
    """A stretch of a text that several rules search, and the secrets that they found in it.

    Only secrets that begin at `last` or before it count; all do if it is None. `has_long_word` says
    that a match may be so long that its groups are found slowly: there is a word of twice `_LONG`
    bytes, or of fewer.
    """

    def __init__(self, text: bytes, start: int, end: int, last: int | None = None) -> None:
        self.text, self.start, self.end = text, start, end
        self.last = end if last is None else last
        self.secrets: set[tuple[int, int]] = set()
        places = range(start, end - _LONG, _LONG)
        self.has_long_word = any(_BLANK.search(text, p, p + _LONG) is None for p in places)


class RuleMatcher:
    """Finds the secrets of one rule in a text.

    `reach` is how far from a place that opens the rule its match may lie, in bytes; 0 means on the
    same line, -1 anywhere in the text. `is_fixed` is true if the form of a token alone identifies
    it. `together` is the pattern by which a set can tell whether the rule may find something; empty
    if only the rule itself can tell.
    """

    def __init__(self, rule: Rule, order: int, allowed: Allowed) -> None:
        self.reach = 0 if rule.one_line else rule.reach
        self.is_fixed = bool(rule.begins)
        self.finder = rule.finder
        alone = rule.utf8 or rule.finder or _LOOKS_BESIDE.search(rule.pattern)
        self.together = "" if alone else rule.pattern
        self._order = order
        self._rule = rule
        self._allowed = None if rule.firm or rule.until else allowed
        self._pattern = compiled(rule.pattern, rule.name, rule.utf8)
        self._also = compiled(rule.also, rule.name) if rule.also else None
        self._until = compiled(rule.until, rule.name) if rule.until else None
        groups = {name.decode(): at for name, at in self._pattern.groupindex.items()}
        first = min(1, self._pattern.groups)
        self._secrets = [at for name, at in groups.items() if name.startswith("secret")] or [first]
        self._only = self._secrets[0] if len(self._secrets) == 1 and not rule.groups else None
        self._names = [at for name, at in groups.items() if name.startswith("name")]

    def may_find_in(self, part: bytes) -> bool:
        """Whether a part of a text holds what the rule needs besides its gate, escaped or not."""
        return self._also is None or self._also.search(part) is not None

    def spans(
        self, text: bytes, effort: Effort | None = None, last: int | None = None
    ) -> Iterator[Span]:
        """The secrets that the rule finds in a text; with `last`, those that begin up to there.

        Raises:
            TooMuchWork: the effort is spent.
        """
        return self.spans_in(Region(text, 0, len(text), last), effort or Effort(len(text)))

    def spans_in(self, region: "Region", effort: Effort) -> Iterator[Span]:
        """The secrets that the rule finds in a region.

        The next match may begin inside the previous one, but not inside its secret. What another
        rule found in the region is not judged again.

        Raises:
            TooMuchWork: the effort is spent.
        """
        if self._rule.finder:
            yield from self._found_by(self._rule.finder, region, effort)
            return
        text, at, end = region.text, region.start, region.end
        tried, again = -1, 0
        search = self._search_long if region.has_long_word else self._search
        while match := search(text, at, end, effort):
            first, last, secret, _ = match
            effort.spend(last - at)
            if first > region.last:
                return
            if last == tried:
                again += last - first
            else:
                tried, again = last, 0
            nested = again > _NESTED_TIMES * min(last - first, _LONG) + _NESTED_SPARE
            if secret in region.secrets:
                at = secret[1]
                yield Span(*secret, self._order)
            elif secret[0] < secret[1] and (nested or self._is_secret(text, match, effort)):
                at = self._end(text, secret[1], end, effort)
                region.secrets.add((secret[0], at))
                yield Span(secret[0], at, self._order)
            else:
                at = max(secret[0], first + 1)
        effort.spend(end - at)

    def _found_by(self, finder: Finder, region: "Region", effort: Effort) -> Iterator[Span]:
        text, start, end = region.text, region.start, region.end
        effort.spend(end - start)
        for first, last in finder(text, start, end):
            if self._allowed is None or not self._allowed(text[first:last]):
                yield Span(first, last, self._order)

    def _group(self, match: Spans) -> int:
        if self._rule.groups:
            filled = (g for g in self._rule.groups if match[g][0] < match[g][1])
            return next(filled, 0)
        for group in self._secrets:
            if match[group][0] >= 0:
                return group
        return 0

    def _end(self, text: bytes, at: int, end: int, effort: Effort) -> int:
        if self._until is None:
            return at
        last = self._until.search(text, at, end)
        found = end if last is None else last[0][1]
        effort.spend(found - at)
        return found

    def _search(self, text: bytes, at: int, end: int, _: Effort) -> _Match | None:
        groups = self._pattern.search(text, at, end)
        return None if groups is None else self._match(text, groups)

    def _search_long(self, text: bytes, at: int, end: int, effort: Effort) -> _Match | None:
        """The same for a region with a long word, where to find out the groups is slow.

        Those of a match that is not long are found once in a text: a match often stands at each
        level of escapes, and its groups depend on its bytes and on those beside it.
        """
        found = self._pattern.where(text, at, end)
        if found is None:
            return None
        first, last = found
        if last - first > _MOST_KEPT:
            return self._match(text, self._pattern.groups_of(text, found, end))
        key = self._order, text[first - 1 : first], text[first:last], text[last : last + 1]
        known = effort.matches.get(key)
        if known is not None:
            start, stop, name = known
            return first, last, (first + start, first + stop), name
        match = self._match(text, self._pattern.groups_of(text, found, end))
        if len(effort.matches) < _MOST_MATCHES:
            _, _, (start, stop), name = match
            effort.matches[key] = start - first, stop - first, name
        return match

    def _match(self, text: bytes, groups: Spans) -> _Match:
        secret = groups[self._group(groups) if self._only is None else self._only]
        return *groups[0], secret, self._name(text, groups)

    def _is_secret(self, text: bytes, match: _Match, effort: Effort) -> bool:
        first, last, secret, name = match
        value = text[slice(*secret)]
        if self._allowed is not None and self._allowed(value):
            return False
        if self._rule.judge is not None:
            return self._rule.judge(text[first:last], value)
        check = self._rule.check
        if check is None:
            return True
        judged = effort.values.get(value)
        if judged is None:
            judged = effort.values[value] = JudgedValue(value)
        verdict = judged.verdicts.get((check, name))
        if verdict is None:
            effort.spend(len(value))
            verdict = judged.verdicts[check, name] = check(name, judged)
        return verdict

    def _name(self, text: bytes, match: Spans) -> bytes:
        for group in self._names:
            start, end = match[group]
            if start >= 0:
                return text[start:end]
        return b""


class RuleGroup:
    """Rules that the same need opens, with matches within the same `reach`.

    One search for all their patterns tells which of them to try: most regions hold what one of
    them finds, or none.
    """

    def __init__(self, reach: int, matchers: Sequence[RuleMatcher]) -> None:
        self.reach = reach
        self._alone = [matcher for matcher in matchers if not matcher.together]
        self._together = [matcher for matcher in matchers if matcher.together]
        patterns = [matcher.together for matcher in self._together]
        self._patterns = PatternSet(patterns) if len(patterns) > 1 else None

    def may_find_in(self, part: bytes) -> bool:
        """Whether one of these rules may find something in a part of a text, escaped or not."""
        return any(matcher.may_find_in(part) for matcher in (*self._alone, *self._together))

    def spans(
        self, text: bytes, start: int, end: int, effort: Effort, last: int | None = None
    ) -> Iterator[Span]:
        """The secrets that these rules find in text[start:end], those of each rule in order.

        With `last`, only those that begin up to there.

        Raises:
            TooMuchWork: the effort is spent.
        """
        tried = [*self._alone, *self._together]
        if self._patterns is not None:
            # cut off from the text around it, a region holds all matches that it holds in it
            effort.spend(end - start)
            found = self._patterns.matching(text[start:end])
            tried = [*self._alone, *(self._together[at] for at in found)]
        region = Region(text, start, end, last)
        for matcher in tried:
            yield from matcher.spans_in(region, effort)
