"""Reads the person's own rules from a gitleaks.toml (github.com/gitleaks/gitleaks, README).

A rule that is read finds what it finds in gitleaks, or more. A rule that is not understood is
refused, and the error names it: a rule that is silently dropped is a leak. A session has no commits
and no paths, so the parts of allowlists about them never apply, and a rule for some paths applies
everywhere.
"""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.matching.patterns import Pattern, compiled
from karma_sync.redact.matching.rule import NAME, Rule

_MOST = 2_000  # rules
_BEGIN = re.compile(r"\s*\[\[\s*rules\s*\]\]")
_ALL = frozenset({"AND", "and", "&&"})
M = TypeVar("M", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", strict=True)


class _Allow(_Table):
    description: str = ""
    condition: Literal["OR", "or", "||", "AND", "and", "&&"] = "OR"
    commits: list[str] = []
    paths: list[str] = []
    regex_target: Literal["secret", "match"] = Field(default="secret", alias="regexTarget")
    regexes: list[str] = []
    stopwords: list[str] = []


class _GlobalAllow(_Allow):
    target_rules: list[str] = Field(default=[], alias="targetRules")


class _Rule(_Table):
    id: str = Field(min_length=1, max_length=100)
    description: str = ""
    regex: str = Field(min_length=1)
    secret_group: int = Field(default=0, ge=0, alias="secretGroup")
    entropy: float = Field(default=0.0, ge=0.0)
    keywords: list[str] = []
    path: str = ""
    tags: list[str] = []
    allowlist: _Allow | None = None
    allowlists: list[_Allow] = []


@dataclass(frozen=True)
class Exempt:
    """Exempts a match if a pattern or a word is found in it; with `every`, if both are.

    The patterns search the secret, or the whole match with `of_match`.
    """

    every: bool
    of_match: bool
    patterns: tuple[str, ...]
    words: tuple[str, ...]

    def holds(self, match: bytes, secret: bytes) -> bool:
        """Whether this match is exempt."""
        answers = []
        if self.patterns:
            target = match if self.of_match else secret
            answers.append(any(pattern.search(target) is not None for pattern in self._compiled))
        if self.words:
            text = secret.decode(errors="replace").lower()
            answers.append(any(word.lower() in text for word in self.words))
        return bool(answers) and (all(answers) if self.every else any(answers))

    @cached_property
    def _compiled(self) -> list[Pattern]:
        return [compiled(pattern, "in an allowlist", utf8=True) for pattern in self.patterns]


@dataclass(frozen=True)
class Doubt:
    """Rejects a match that has too little entropy (bits per character) or is exempt."""

    entropy: float
    exempt: tuple[Exempt, ...]

    def __call__(self, match: bytes, secret: bytes) -> bool:
        """Whether the match is a secret: nothing rejects it."""
        if self.entropy and entropy(secret) <= self.entropy:
            return False
        return not any(exempt.holds(match, secret) for exempt in self.exempt)


def entropy(secret: bytes) -> float:
    """Shannon's entropy in bits as gitleaks computes it: counts of characters per byte."""
    shares = [count / len(secret) for count in Counter(secret.decode(errors="replace")).values()]
    return -sum(share * math.log2(share) for share in shares)


def read_gitleaks(text: str, name: str) -> tuple[Rule, ...]:
    """The rules of a gitleaks.toml; error messages call the file `name`.

    Raises:
        BadInput: something in the file is not understood; the error names the rule.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{name} is not valid TOML: {error}") from None
    _refuse_extend(table, name)
    raw = table.get("rules", [])
    if not isinstance(raw, list) or not raw or len(raw) > _MOST:
        raise BadInput(f"{name} has no [[rules]], or more than {_MOST}")
    general = _general(table, name)
    places = _places(text, name, len(raw))
    rules = [
        _rule(one, number, general, place)
        for number, (one, place) in enumerate(zip(raw, places, strict=True), start=1)
    ]
    twice = [rule for rule, count in Counter(r.name for r in rules).items() if count > 1]
    if twice:
        raise BadInput(f"{name}: several rules have the id {twice[0]}")
    missing = {target for allow in general for target in allow.target_rules} - {
        str(one.get("id")) for one in raw
    }
    if missing:
        raise BadInput(f"{name}: an allowlist names the rule {min(missing)}, which the file lacks")
    return tuple(rules)


def _refuse_extend(table: Mapping[str, object], name: str) -> None:
    if "extend" in table:
        raise BadInput(
            f"{name}: [extend] is not supported, so the rules that it names would be missing",
            hint="copy the rules that it names into this file; our own rules always apply",
        )
    known = {"title", "description", "minVersion", "rules", "allowlist", "allowlists"}
    unknown = sorted(table.keys() - known)
    if unknown:
        raise BadInput(f"{name}: `{unknown[0]}` is not understood")


def _general(table: Mapping[str, object], name: str) -> list[_GlobalAllow]:
    found = []
    for key in ("allowlist", "allowlists"):
        raw = table.get(key, [])
        for one in raw if isinstance(raw, list) else [raw]:
            found.append(_parsed(_GlobalAllow, one, f"{name}, {key}"))
    for allow in found:
        _check(_exempt(allow), f"{name}, the allowlist for all rules")
    return found


def _places(text: str, name: str, count: int) -> list[str]:
    """Where each rule begins: the file and the line, if a table begins on a line of its own."""
    lines = [n for n, line in enumerate(text.split("\n"), 1) if _BEGIN.match(line)]
    if len(lines) != count:
        return [name] * count
    return [f"{name} line {number}" for number in lines]


def _rule(raw: object, number: int, general: Sequence[_GlobalAllow], place: str) -> Rule:
    rule_id = raw.get("id") if isinstance(raw, dict) else None
    where = f"{place}, rule {rule_id or f'number {number}'}"
    parsed = _parsed(_Rule, raw, where)
    if any(not word.strip() for word in parsed.keywords):
        raise BadInput(f"{where}: a keyword is empty")
    try:
        pattern = compiled(parsed.regex, parsed.id, utf8=True)
    except RedactionFailed as error:
        raise BadInput(f"{where}: {error}") from None
    if parsed.secret_group > pattern.groups:
        raise BadInput(
            f"{where}: secretGroup is {parsed.secret_group}, but the regex has only"
            f" {pattern.groups} groups"
        )
    own = [*parsed.allowlists, *([parsed.allowlist] if parsed.allowlist else [])]
    own += [a for a in general if not a.target_rules or parsed.id in a.target_rules]
    doubt = Doubt(parsed.entropy, tuple(e for allow in own if (e := _exempt(allow))))
    for exempt in doubt.exempt:
        _check(exempt, where)
    chosen = (parsed.secret_group,) if parsed.secret_group else range(1, pattern.groups + 1)
    return Rule(
        name=_marker_name(parsed.id, where),
        pattern=parsed.regex,
        source=place,
        near=tuple(parsed.keywords),
        groups=tuple(chosen) or (0,),
        judge=doubt,
        utf8=True,
    )


def _parsed(model: type[M], raw: object, where: str) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise BadInput(f"{where}: {field}: {_words(first['type'], first['msg'])}") from None


def _words(kind: str, message: str) -> str:
    return {
        "extra_forbidden": "not understood",
        "missing": "missing; a rule needs it here",
    }.get(kind, message)


def _exempt(allow: _Allow) -> Exempt | None:
    """The exemption of an allowlist; None if it can never apply to a session.

    A session has no commits and no paths.
    """
    every = allow.condition in _ALL
    elsewhere = bool(allow.commits or allow.paths)
    if (every and elsewhere) or not (allow.regexes or allow.stopwords):
        return None
    return Exempt(
        every, allow.regex_target == "match", tuple(allow.regexes), tuple(allow.stopwords)
    )


def _check(exempt: Exempt | None, where: str) -> None:
    try:
        for pattern in exempt.patterns if exempt else ():
            compiled(pattern, "in an allowlist", utf8=True)
    except RedactionFailed as error:
        raise BadInput(f"{where}: {error}") from None


def _marker_name(rule: str, where: str) -> str:
    """The rule's id in the form that markers use."""
    name = re.sub(r"[^a-z0-9]+", "-", rule.lower()).strip("-")
    if not NAME.fullmatch(name):
        raise BadInput(f"{where}: an id needs letters or digits")
    return name
