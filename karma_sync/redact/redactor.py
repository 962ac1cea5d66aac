"""The redactor: what the packager hands every byte through before it may leave.

A line costs next to nothing unless the gate, one automaton over the whole block, finds a word in
it that some rule needs. Only such lines are taken apart, and only their strings that hold the
word are decoded and searched; where no rule sees more than a line, only the lines around it.
`tests/unit/redact/test_redactor.py` proves that this changes nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from karma_sync.errors import RedactionFailed
from karma_sync.redact.allowlist import NOTHING_ALLOWED, AllowList
from karma_sync.redact.json_strings import Group, grouped, groups, is_json, rows
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from karma_sync.redact.scanner import Scanner, uncut

FORMAT = 1  # raise it with every change of behaviour that is not a change of a rule's data


@dataclass(frozen=True)
class Redacted:
    """A text without its secrets, and how many were cut by which rule."""

    data: bytes
    cuts: Mapping[str, int]


class Redactor(Protocol):
    """What the packager needs."""

    @property
    def version(self) -> str:
        """Changes whenever the same input might come out differently."""

    def lines(self, raw: bytes) -> Redacted:
        """JSONL, each line by itself: no line's result depends on another's."""

    def text(self, raw: bytes) -> Redacted:
        """A whole file of text, in which a secret may span lines."""

    def string(self, value: str) -> tuple[str, Mapping[str, int]]:
        """One decoded value: a title, a prompt, a branch."""

    def __hash__(self) -> int:
        """So that an answer can be kept."""


class RuleRedactor:
    """Redacts by a list of rules; earlier rules name a cut that several of them make.

    What `allowed` lets through is cut by none but the firm ones. `salt` goes into the version.
    """

    def __init__(
        self, rules: Sequence[Rule], allowed: AllowList = NOTHING_ALLOWED, salt: str = ""
    ) -> None:
        self._scanner = Scanner(rules, allowed)
        self._version = _version(rules, allowed, salt)

    @property
    def version(self) -> str:
        """A hash of the rules, of the engine's format and of the salt: 16 hex digits."""
        return self._version

    def lines(self, raw: bytes) -> Redacted:
        """Whole lines of JSONL, or a last one without its newline; all but the cuts byte for byte.

        Raises RedactionFailed if anything goes wrong: then nothing of `raw` may leave.
        """
        cuts: Counter[str] = Counter()
        with _closed("lines"):
            pieces, at = [], 0
            for start, end in self._scanner.suspects(raw):
                pieces += [raw[at:start], self._record(raw[start:end], cuts)]
                at = end
            data = b"".join([*pieces, raw[at:]]) if cuts else raw
        return Redacted(data, dict(+cuts))

    def text(self, raw: bytes) -> Redacted:
        """A text file as a whole; one that is a JSON document keeps its structure.

        Raises RedactionFailed if anything goes wrong: then nothing of `raw` may leave.
        """
        cuts: Counter[str] = Counter()
        with _closed("a text"):
            if self._scanner.suspicion(raw) < 0:
                return Redacted(raw, {})
            if raw.lstrip()[:1] in (b"{", b"[") and is_json(raw):
                return Redacted(self._record(raw, cuts), dict(+cuts))
            return Redacted(self._scanner.cut(raw, cuts), dict(cuts))

    def string(self, value: str) -> tuple[str, Mapping[str, int]]:
        """One decoded value. Raises RedactionFailed if anything goes wrong.

        Words that a person's rule wants near a secret may stand elsewhere in its session.
        """
        cuts: Counter[str] = Counter()
        with _closed("a value"):
            raw = value.encode("utf-8", "surrogatepass")
            near = self._scanner.all_near
            if not near and self._scanner.suspicion(raw) < 0:
                return value, {}
            return self._scanner.cut(raw, cuts, near).decode("utf-8", "surrogatepass"), dict(cuts)

    def _record(self, record: bytes, cuts: Counter[str]) -> bytes:
        """One JSON record; one that does not parse is afterwards searched as plain text too."""
        whole = is_json(record)
        while True:
            before, record = record, self._strings(record, cuts)
            if whole:
                if record != before and not is_json(record):
                    raise RedactionFailed("a cut damaged the structure of a record")
                return record
            plain = self._scanner.cut(record, cuts)
            if plain == record:
                return record
            record = plain

    def _strings(self, record: bytes, cuts: Counter[str]) -> bytes:
        """Cuts inside the strings of the record until there is nothing left to cut."""
        near = self._scanner.near(record)
        while True:
            pieces, at = [], 0
            for group in groups(record) if near else self._suspects(record):
                for span in self._scanner.find(group.text, near, group.quoted()):
                    parts = [part for part in group.parts(span) if uncut(record[slice(*part)])]
                    for start, end in parts:
                        pieces += [record[at:start], self._scanner.marker(span)]
                        at = end
                    cuts[self._scanner.name(span)] += bool(parts)
            if not pieces:
                return record
            record = b"".join([*pieces, record[at:]])

    def _suspects(self, record: bytes) -> Iterator[Group]:
        """The groups of strings that hold something a rule may need."""
        hit = -1
        for row in rows(record):
            if hit < row[0].start():
                hit = self._scanner.suspicion(record, row[0].start())
                if hit < 0:
                    return
            if hit < row[-1].end():
                group = grouped(record, row)
                if hit < group.end:  # not in a value that is kept
                    yield group
                    hit = -1


@contextmanager
def _closed(what: str) -> Iterator[None]:
    """Whatever fails inside is a RedactionFailed: fail closed, let nothing through."""
    try:
        yield
    except RedactionFailed:
        raise
    except Exception as error:
        # the kind alone: its message may quote what was to be cut
        kind = type(error).__name__
        raise RedactionFailed(f"redacting {what} failed ({kind}); it is not sent") from error


def _version(rules: Sequence[Rule], allowed: AllowList, salt: str) -> str:
    digest = hashlib.sha256(f"format {FORMAT} {salt} {allowed!r}".encode())
    for rule in rules:
        check = f"{rule.check.__module__}.{rule.check.__qualname__}" if rule.check else ""
        own = (rule.near, rule.groups, repr(rule.judge), rule.utf8, rule.firm)
        digest.update(repr((rule.name, rule.pattern, rule.until, check, own)).encode())
    return digest.hexdigest()[:16]


def default_redactor() -> RuleRedactor:
    """The redactor with our own rules."""
    return RuleRedactor(DEFAULT_RULES)
