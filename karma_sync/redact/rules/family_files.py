"""Reads the families of tokens: one file of data for each provider, in `families/`.

A family is named after its file, and so are its redactions. Its rules are tables `[[rule]]`:

- `token` is the token's form, RE2 over bytes; it must stand alone, and is a need of its own. Or
  `pattern` has all of it, its first group being the secret, and `need` what it cannot match
  without (`Rule.gate`). In both, `<EDGE>`, `<END>` and `<VALUE>` stand for the parts in shared.py.
- `check` is a name in `token_checks.CHECKS`; `real` unless given.
- `lines = true`: it may span lines.
- `positives` and `negatives` are templates for `examples.fill`, «…» marks what is cut.
- `source` is the page that publishes the form; that of the family unless given.
"""

from pathlib import Path

import msgspec

from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.token_checks import CHECKS
from karma_sync.redact.rules.shared import EDGE, END, VALUE

_FOLDER = Path(__file__).parent / "families"
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
        examples=data.positives,
        near_misses=data.negatives,
    )


def _with_parts(pattern: str) -> str:
    for mark, part in _PARTS.items():
        pattern = pattern.replace(mark, part)
    return pattern
