"""The allowlist exempts the values that the person lists, and no others."""

import pytest

from karma_sync.errors import BadInput
from karma_sync.redact.allowlist import read_allowlist
from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import RuleRedactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

DEMO = fill("ghp_{alnum:36}", "the demo token")
REAL = fill("ghp_{alnum:36}", "a real token")
PEM = "-----BEGIN PRIVATE KEY-----\n" + "A1b2" * 16 + "\n-----END PRIVATE KEY-----"


def cut(text: str, allowlist: str) -> str:
    allowed = read_allowlist(allowlist, "allow.txt")
    return RuleRedactor(DEFAULT_RULES, allowed).string(text)[0]


def test_a_listed_value_stays_and_other_values_are_cut() -> None:
    listed = f"# the token of our demo\n\n  {DEMO}  \n"

    assert cut(f"use {DEMO}, not {REAL}", listed) == f"use {DEMO}, not [REDACTED:github]"


def test_a_part_of_a_value_exempts_nothing() -> None:
    assert cut(f"use {REAL}", REAL[:-1]) == "use [REDACTED:github]"
    assert cut(f"use {REAL}", f"re:{REAL[:-1]}") == "use [REDACTED:github]"


def test_a_pattern_must_match_the_whole_value() -> None:
    assert cut(f"{DEMO} {REAL}", f"re:ghp_{DEMO[4:8]}.*") == f"{DEMO} [REDACTED:github]"


def test_no_list_exempts_a_private_block_or_a_private_key() -> None:
    inside = "<private>the plan</private>"

    assert cut(inside, inside) == "[REDACTED:private]"
    assert cut(PEM, f"re:(?s)-----BEGIN.*\n{PEM.splitlines()[0]}") == "[REDACTED:pem]"


@pytest.mark.parametrize("line", ["re:", "re:.*", "re:(?s).+", "re:[^ ]*", "re:("])
def test_a_pattern_that_exempts_everything_is_refused_with_its_line_number(line: str) -> None:
    with pytest.raises(BadInput, match="allow.txt, line 2: "):
        read_allowlist(f"# x\n{line}\n", "allow.txt")
