"""Reads the families of tokens: one file of data for each provider, in `families/`.

A family is named after its file, and so are its redactions. Its rules are tables `[[rule]]`:

- `token` is the token's form, RE2 over bytes; it must stand alone, and is a need of its own. Or
  `pattern` has all of it, its first group being the secret, and `need` what it cannot match
  without (`Rule.gate`). In both, `<EDGE>`, `<END>` and `<VALUE>` stand for the parts in shared.py.
- `check` is a name in `token_checks.CHECKS`; `real` unless given.
- `lines = true`: it may span lines.
- `begins` (Hyperscan) is how a token begins that a terminal may have wrapped, where its form does
  not tell: its beginning is short, or has a random part.
- `positives` and `negatives` are templates for `examples.fill`, «…» marks what is cut.
- `source` is the page that publishes the form; that of the family unless given.
"""

import re
from pathlib import Path

import msgspec

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.token_checks import CHECKS
from karma_sync.redact.rules.shared import EDGE, END, VALUE

_FOLDER = Path(__file__).parent / "families"
# A character or a choice of some, and how often it may stand there unless that is once.
_ATOM = re.compile(r"(\[[^\]]*\]|\\.|\(\?:[A-Za-z0-9_|]+\)|[^\[\]{}()*+?|\\])(\{[0-9]+\}|[{*+?])?")
_LEAST_BEGINNING = 4  # characters
_WORD = re.compile(r"[a-z.\\]+")
_PARTS = {"<EDGE>": EDGE, "<END>": END, "<VALUE>": VALUE}


class _FamilyRule(msgspec.Struct, forbid_unknown_fields=True):
    """A table `[[rule]]` of a family's file."""

    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    token: str = ""
    pattern: str = ""
    need: str = ""
    words: tuple[str, ...] = ()
    check: str = "real"
    lines: bool = False
    begins: str = ""
    source: str = ""


class _Family(msgspec.Struct, forbid_unknown_fields=True):
    """A family's file."""

    form: str
    source: str
    rule: tuple[_FamilyRule, ...]


_decoder = msgspec.toml.decode


def family_rules() -> tuple[Rule, ...]:
    """The rules of all families, in the order of their names.

    Raises:
        ValueError: a file is not as described; the tests read every file.
    """
    return tuple(rule for path in sorted(_FOLDER.glob("*.toml")) for rule in _rules(path))


def _rules(path: Path) -> list[Rule]:
    try:
        family = _decoder(path.read_bytes(), type=_Family)
        return [_rule(path.stem, family, each) for each in family.rule]
    except (msgspec.MsgspecError, KeyError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _rule(name: str, family: _Family, data: _FamilyRule) -> Rule:
    pattern, need = data.pattern, data.need
    if data.token:
        pattern, need = f"<EDGE>({data.token})<END>", need or data.token
    return Rule(
        name=name,
        pattern=_with_parts(pattern),
        source=data.source or family.source,
        keywords=data.words,
        gate="" if data.words else _with_parts(need),
        one_line=not data.lines,
        check=CHECKS[data.check],
        begins=data.begins or _beginning(data.token or data.pattern),
        examples=data.positives,
        near_misses=data.negatives,
    )


def _beginning(form: str) -> str:
    """The part of a token's form before the first character that may be repeated.

    It is empty if the form is not that of the whole token, or begins as other words do.
    """
    form = form.removeprefix("<EDGE>")
    at = int(form.startswith("(") and not form.startswith("(?"))
    found = list[str]()
    while (atom := _ATOM.match(form, at)) and not atom[2]:
        found.append(atom[1])
        at = atom.end()
    beginning = "".join(found)
    is_word = atom is None or len(found) < _LEAST_BEGINNING or _WORD.fullmatch(beginning)
    return "" if is_word else beginning


def _with_parts(pattern: str) -> str:
    for mark, part in _PARTS.items():
        pattern = pattern.replace(mark, part)
    return pattern
