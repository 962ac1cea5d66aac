"""Redacts everything that may leave: the packager passes every byte through a redactor.

Most lines cost next to nothing. One automaton, the gate, searches the whole block for the words
that the rules need. Where it finds one, the lines around it are searched first. Only if they hold
something is the record split into its strings, and the strings that hold the word are decoded and
searched. `tests/unit/redact/test_redactor.py` and `test_shortlist.py` prove that the same secrets
are found.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from karma_sync.domain.session.frame import RULE, Frames, is_framed
from karma_sync.errors import RedactionFailed
from karma_sync.redact.allowlist import NOTHING_ALLOWED, AllowList
from karma_sync.redact.gates import NeedHit
from karma_sync.redact.json_strings import images, is_json
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.records import Records
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from karma_sync.redact.scanner import Scanner
from karma_sync.redact.shortlist import Shortlist

# Part of each redactor's version: raise it with every change of behaviour that is not a change of
# a rule's data.
FORMAT = 6


@dataclass(frozen=True)
class Redacted:
    """A text without its secrets, and the number of redactions by rule."""

    data: bytes
    cuts: Mapping[str, int]


class Redactor(Protocol):
    """The redactor as the packager uses it."""

    @property
    def version(self) -> str:
        """A text that changes whenever the same input might be redacted differently."""

    def lines(self, raw: bytes) -> Redacted:
        """Redact JSONL line by line: the result of a line does not depend on other lines."""

    def text(self, raw: bytes) -> Redacted:
        """Redact a whole text file, in which a secret may span lines."""

    def string(self, value: str) -> tuple[str, Mapping[str, int]]:
        """Redact one decoded value, such as a title, a prompt or a branch."""

    def __hash__(self) -> int:
        """A redactor is a key of caches of its results."""


class RuleRedactor:
    """Redacts by a list of rules; if several rules find one secret, the earliest names it.

    Only firm rules cut values that `allowed` exempts. `salt` is part of the version. What stands in
    one of `frames` is cut too, before the rules look.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        allowed: AllowList = NOTHING_ALLOWED,
        salt: str = "",
        frames: Frames | None = None,
    ) -> None:
        self._frames = frames
        self._scanner = Scanner(rules, allowed)
        self._version = _version(rules, allowed, salt)

    @property
    def scanned(self) -> int:
        """The number of bytes searched so far; the same input always adds the same number."""
        return self._scanner.scanned

    @property
    def version(self) -> str:
        """A hash of the rules, `FORMAT`, the allowlist and the salt: 16 hex digits."""
        return self._version

    def lines(self, raw: bytes) -> Redacted:
        """Redact whole lines of JSONL; all bytes outside the redactions stay as they are.

        The last line may lack its newline.

        Raises:
            RedactionFailed: anything went wrong; nothing of `raw` may leave.
        """
        cuts: Counter[str] = Counter()
        with _failing_closed("lines"):
            raw = self._without_frames(raw, cuts)
            pieces, at, records = [], 0, self._records(cuts)
            for line in self._scanner.candidate_lines(raw, images(raw)):
                start, end, hits, coloured = line
                pieces += [raw[at:start], records.redact(raw[start:end], hits, coloured)]
                at = end
            data = b"".join([*pieces, raw[at:]]) if cuts else raw
        return Redacted(data, dict(+cuts))

    def text(self, raw: bytes) -> Redacted:
        """Redact a text file as a whole; a JSON document keeps its structure.

        Raises:
            RedactionFailed: anything went wrong; nothing of `raw` may leave.
        """
        cuts: Counter[str] = Counter()
        with _failing_closed("a text"):
            if self._frames and is_framed(raw):
                cut = self._frames.cut_strings if is_json(raw) else self._frames.cut_text
                raw, cuts[RULE] = cut(raw)
            hits = self._scanner.hits(raw)
            if not self._is_candidate(raw, hits):
                return Redacted(raw, dict(+cuts))
            if raw.lstrip()[:1] in (b"{", b"[") and is_json(raw):
                return Redacted(self._records(cuts).redact(raw, hits), dict(+cuts))
            return Redacted(self._scanner.cut(raw, cuts, hits=hits), dict(+cuts))

    def string(self, value: str) -> tuple[str, Mapping[str, int]]:
        """Redact one decoded value.

        All of the person's rules are tried: the words that they need near a secret may stand
        elsewhere in the session.

        Raises:
            RedactionFailed: anything went wrong; nothing of `value` may leave.
        """
        cuts: Counter[str] = Counter()
        with _failing_closed("a value"):
            raw = value.encode("utf-8", "surrogatepass")
            if self._frames and is_framed(raw):
                raw, cuts[RULE] = self._frames.cut_text(raw)
                value = raw.decode("utf-8", "surrogatepass")
            near = self._scanner.all_near
            hits = self._scanner.hits(raw)
            if not near and not self._is_candidate(raw, hits):
                return value, dict(+cuts)
            data = self._scanner.cut(raw, cuts, near, hits)
            return data.decode("utf-8", "surrogatepass"), dict(+cuts)

    def _records(self, cuts: Counter[str]) -> Records:
        """Redacts the records of one block, and adds the redactions by rule to `cuts`."""
        return Records(self._scanner, cuts, Shortlist(self._scanner))

    def _is_candidate(self, text: bytes, hits: Sequence[NeedHit]) -> bool:
        """Whether some rule may find something in a text with these hits."""
        scanner = self._scanner
        return bool(hits) or scanner.tries_anyway or scanner.hides_behind_colours(text)

    def _without_frames(self, raw: bytes, cuts: Counter[str]) -> bytes:
        """Lines without the text that karma-sync gave an agent; a line without JSON is one text."""
        if self._frames is None or not is_framed(raw):
            return raw
        lines = []
        for line in raw.split(b"\n"):
            cut = self._frames.cut_strings if is_json(line) else self._frames.cut_text
            without, count = cut(line)
            lines.append(without)
            cuts[RULE] += count
        return b"\n".join(lines)


@contextmanager
def _failing_closed(what: str) -> Iterator[None]:
    """Turn every error in the block into RedactionFailed, so that nothing passes unredacted."""
    try:
        yield
    except RedactionFailed:
        raise
    except Exception as error:
        # only the class of the error: its text may quote the secret
        kind = type(error).__name__
        raise RedactionFailed(f"redacting {what} failed ({kind}); it is not sent") from error


def _version(rules: Sequence[Rule], allowed: AllowList, salt: str) -> str:
    """A hash over everything that decides about cuts.

    The names of the checks, and the `repr` of allowlist and judges, are part of it: renaming one
    of them has every item packaged again.
    """
    digest = hashlib.sha256(f"format {FORMAT} {salt} {allowed!r}".encode())
    for rule in rules:
        check = f"{rule.check.__module__}.{rule.check.__qualname__}" if rule.check else ""
        finder = f"{rule.finder.__module__}.{rule.finder.__qualname__}" if rule.finder else ""
        own = (rule.near, rule.groups, repr(rule.judge), rule.utf8, rule.firm, finder, rule.begins)
        digest.update(repr((rule.name, rule.pattern, rule.until, check, own)).encode())
    return digest.hexdigest()[:16]


def default_redactor() -> RuleRedactor:
    """The redactor with our own rules."""
    return RuleRedactor(DEFAULT_RULES)
