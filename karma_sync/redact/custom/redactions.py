"""Holds the person's own redactions, besides our rules: exact texts, and rules of their own.

`karma-sync redact` adds both; redactions_file.py keeps them.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from karma_sync.errors import BadInput
from karma_sync.redact.custom.gitleaks import read_gitleaks
from karma_sync.redact.custom.ruleset import OURS, Base
from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.redactor import Redacted, RuleRedactor
from karma_sync.redact.rule_matcher import RuleMatcher

LITERAL = "literal"  # the name of the rule in markers and counts
LEAST_CHARS = 6
_ID_CHARS = 8
MOST_CHARS = 10_000
_LEAST_DIFFERENT = 4  # characters
_LONGER = "add more of the text around it: karma-sync redact --literal < FILE"
_BYTE = r"\x{:02x}"
_ASCII = 0x7F
_TWO_BYTES = 0xFFFF  # the last character that is one unit of UTF-16
_MARKER = f"[REDACTED:{LITERAL}]".encode()
_PLAIN = re.compile(r"[A-Za-z0-9+/=_.:|-]+")  # the characters of numbers and ids
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[0-9+.eE-]+')  # a string or a number of JSON
# The end of a line in a text of several lines; a tool's line number (`   12→`) may follow.
_LINE_END = r"\r?\n(?:[ \t]*[0-9]{1,6}(?:→|\t))?"
_BLANKS = re.compile(r"(\s+)")
_RUN = re.compile(r"[!#-&(-.0-\[\]-~]+")  # characters that JSON writers do not escape
# Words that stand in every record of a transcript: cutting one of them would cut every session.
_EVERYWHERE = """[REDACTED:] type user assistant system attachment summary custom-title ai-title
agent-name queue-operation file-history-snapshot progress uuid parentUuid logicalParentUuid leafUuid
sessionId isSidechain isMeta isCompactSummary userType external gitBranch version timestamp cwd
requestId message role model content text thinking signature tool_use tool_result tool_use_id
toolUseResult tool_reference toolUseID input output command description file_path stdout stderr
interrupted is_error stop_reason stop_sequence end_turn usage input_tokens output_tokens
cache_creation_input_tokens cache_read_input_tokens service_tier ephemeral_5m_input_tokens
ephemeral_1h_input_tokens cache_creation claude-code claude transcript subagents tool-results
[REDACTED:literal] false"""
_WORDS = _EVERYWHERE.split()


@dataclass(frozen=True)
class Entry:
    """One text, or one file of rules, that the person wants to be cut.

    `names` are its rules, as markers and counts name them; `chars` is the length of a text.
    """

    id: str
    names: tuple[str, ...]
    chars: int


class OwnRedactions(BaseModel):
    """The texts and rules that the person wants to be cut; the content of redactions.json.

    `salt` (hex) is part of the redactor's version, which others see: without it they could try
    texts until the version is the same. `files` are the texts of gitleaks files, the newest last.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    format: int = 1
    salt: str = Field(pattern=r"^[0-9a-f]{32}$")
    literals: tuple[str, ...] = Field(default=(), repr=False)
    files: tuple[str, ...] = Field(default=(), repr=False)

    def with_literal(self, literal: str) -> "OwnRedactions":
        """These redactions and one more text."""
        known = (*self.literals, literal) if literal not in self.literals else self.literals
        return self.model_copy(update={"literals": known})

    def with_rules(self, text: str) -> "OwnRedactions":
        """These redactions and the rules of one more file, given as its text.

        A rule replaces an earlier rule of the same name.

        Raises:
            BadInput: as `parse_rules` does.
        """
        names = {rule.name for rule in parse_rules(text)}
        kept = [each for each in self.files if not names.issuperset(_names(each))]
        return self.model_copy(update={"files": (*kept, text)})

    def entries(self) -> list["Entry"]:
        """The person's redactions, the oldest first: texts, then files of rules."""
        texts = [Entry(self._id("literal", each), (LITERAL,), len(each)) for each in self.literals]
        files = [Entry(self._id("rules", e), tuple(sorted(_names(e))), 0) for e in self.files]
        return [*texts, *files]

    def without(self, entry: str) -> "OwnRedactions":
        """These redactions without the one that has this ID."""
        return self.model_copy(
            update={
                "literals": tuple(e for e in self.literals if self._id("literal", e) != entry),
                "files": tuple(e for e in self.files if self._id("rules", e) != entry),
            }
        )

    def _id(self, kind: str, text: str) -> str:
        """Names an entry and does not tell its text: the salt is known here alone."""
        digest = hashlib.sha256(f"{self.salt} {kind} {text}".encode())
        return digest.hexdigest()[:_ID_CHARS]

    def rules(self) -> list[Rule]:
        """The rules of all files, for each name the newest one.

        They are firm: an allowlist in config.toml does not exempt values from them.

        Raises:
            BadInput: as `parse_rules` does.
        """
        found: dict[str, Rule] = {}
        for text in reversed(self.files):
            for rule in parse_rules(text):
                found.setdefault(rule.name, replace(rule, firm=True))
        return list(found.values())


class OwnRedactor(RuleRedactor):
    """Redacts by our rules and by the person's.

    Rules leave ids, signatures and numbers alone, because what looks like a secret there is none.
    A text that the person named is cut there too.
    """

    def __init__(self, own: OwnRedactions, base: Base) -> None:
        named = [literal_rule(text) for text in own.literals]
        rules = [*named, *own.rules(), *base.rules]
        super().__init__(rules, base.allowed, own.salt, base.frames)
        plain = [text for text in own.literals if _PLAIN.fullmatch(text)]
        plain.sort(key=len, reverse=True)  # else a shorter text inside a longer one is cut first
        self._plain = "|".join(map(re.escape, plain)).encode()

    def lines(self, raw: bytes) -> Redacted:
        return self._rest(super().lines(raw))

    def text(self, raw: bytes) -> Redacted:
        return self._rest(super().text(raw))

    def _rest(self, redacted: Redacted) -> Redacted:
        """Cut the person's texts where rules do not look: in ids and in numbers."""
        if not self._plain or re.search(self._plain, redacted.data) is None:
            return redacted
        data = _TOKEN.sub(self._without, redacted.data)
        count = data.count(_MARKER) - redacted.data.count(_MARKER)
        return Redacted(data, dict(Counter(redacted.cuts) + Counter({LITERAL: count})))

    def _without(self, token: re.Match[bytes]) -> bytes:
        if re.search(self._plain, token[0]) is None:
            return token[0]
        if token[0].startswith(b'"'):
            return re.sub(self._plain, _MARKER, token[0])
        return b'"%b"' % _MARKER


def make_redactor(own: OwnRedactions | None, base: Base = OURS) -> RuleRedactor:
    """The redactor for the base rules and the person's redactions, if there are any.

    Raises:
        BadInput: a file of the person's is not understood.
    """
    if own:
        return OwnRedactor(own, base)
    return RuleRedactor(base.rules, base.allowed, frames=base.frames)


def checked_literal(text: str) -> str:
    """A text that the person wants to be cut, without the white space around it.

    Raises:
        BadInput: it is too short or too long, or stands in every session; the error never quotes
            it.
    """
    literal = text.strip()
    if not LEAST_CHARS <= len(literal) <= MOST_CHARS:
        raise BadInput(
            f"a text to cut must have {LEAST_CHARS} to {MOST_CHARS} characters, this one has"
            f" {len(literal)}",
            hint="karma-sync redact --literal < FILE",
        )
    if len(set(literal)) < _LEAST_DIFFERENT or literal.isspace():
        raise BadInput("a text with so few different characters would cut too much", hint=_LONGER)
    if literal.casefold() in _EVERYWHERE.casefold():
        raise BadInput(
            "this text stands in every session: cutting it would damage all of them", hint=_LONGER
        )
    return literal


def literal_rule(literal: str) -> Rule:
    """The rule that finds exactly this text.

    Each of its lines may follow a tool's line number, and its white space may be one blank, as it
    is in a title.
    """
    parts = _BLANKS.split(literal.replace("\r\n", "\n"))  # words, and the blanks between them
    longest = max(_RUN.findall(literal), key=len, default="")
    return Rule(
        name=LITERAL,
        pattern="".join(_blanks(p) if at % 2 else _word(p) for at, p in enumerate(parts)),
        source="a text of the person",
        keywords=(longest,) if longest else (),
        gate="" if longest else _gate(literal),
        one_line="\n" not in literal,
        firm=True,
    )


def _gate(literal: str) -> str:
    """The gate for a text without ASCII words: one of its characters, escaped or not."""
    foreign = next((char for char in literal if ord(char) > _ASCII and not char.isspace()), "")
    if not foreign:
        return ""
    first = foreign.encode("utf-16-be")[:2].hex()
    return f"{_exactly(foreign)}|\\\\u(?i:{first})"


def _word(word: str) -> str:
    return "".join(map(_exactly, word))


def _blanks(blanks: str) -> str:
    exactly = _LINE_END.join(map(_word, blanks.split("\n")))
    return exactly if blanks == " " else f"(?:{exactly}| )"


def _exactly(char: str) -> str:
    """The pattern of one character; some characters are escaped in two halves in JSON."""
    if ord(char) <= _TWO_BYTES:
        return re.escape(char)
    halves = char.encode("utf-16-be")
    pair = (chr(int.from_bytes(halves[at : at + 2], "big")) for at in (0, 2))
    # escapes.py turns each half into three bytes
    split = "".join(pair).encode("utf-8", "surrogatepass")
    return f"(?:{char}|{''.join(map(_BYTE.format, split))})"


def parse_rules(text: str, name: str = "the file") -> tuple[Rule, ...]:
    """The rules in the text of a gitleaks file, read like the file of `redaction.gitleaks`.

    Error messages call the file `name`.

    Raises:
        BadInput: something in the file is not understood, or a rule would cut everything.
    """
    rules = read_gitleaks(text, name)
    for rule in rules:
        pattern, matcher = (
            compiled(rule.pattern, rule.name, rule.utf8),
            RuleMatcher(rule, 0, _nothing),
        )
        if pattern.search(b"") is not None or all(
            any(matcher.spans(each.encode())) for each in _WORDS
        ):
            raise BadInput(f"{rule.source}, rule {rule.name} would cut everything")
    return rules


def _names(text: str) -> set[str]:
    return {rule.name for rule in parse_rules(text)}


def _nothing(_secret: bytes) -> bool:
    return False
