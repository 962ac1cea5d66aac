"""The person's own gitleaks.toml: its rules apply, and a rule not understood is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.errors import BadInput
from karma_sync.redact.custom.gitleaks import entropy, read_gitleaks
from karma_sync.redact.custom.redactions import make_redactor
from karma_sync.redact.custom.ruleset import base_rules
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from tests.support.builders import examples

ACME = """
[[rules]]
id = "Acme_Key"
description = "keys of ours"
regex = '''acme-[0-9a-f]{8}'''
keywords = ["acme"]
"""


def redactor(text: str) -> RuleRedactor:
    return RuleRedactor(read_gitleaks(text, "rules.toml"))


def version_with(gitleaks: Path | None, allowlist: Path | None) -> str:
    return make_redactor(None, base_rules(gitleaks, allowlist)).version


def cut(text: str, rules: str = ACME) -> str:
    return redactor(rules).string(text)[0]


def test_a_rule_cuts_what_it_matches_under_its_own_name() -> None:
    assert cut("it is acme-0123abcd, see") == "it is [REDACTED:acme-key], see"


def test_a_rule_cuts_its_first_group_that_is_not_empty() -> None:
    rules = '[[rules]]\nid = "a"\nregex = "k=(x*)(?:y([0-9]+)|z)"'

    assert cut("k=y123", rules) == "k=y[REDACTED:a]"
    assert cut("k=xxz", rules) == "k=[REDACTED:a]z"
    assert cut("k=z", rules) == "[REDACTED:a]"


def test_secret_group_says_which_group_is_cut() -> None:
    rules = "[[rules]]\nid = 'a'\nregex = '(user)=(pass[0-9])'\nsecretGroup = 2"

    assert cut("user=pass1", rules) == "user=[REDACTED:a]"


def test_entropy_is_a_limit_that_a_secret_must_pass() -> None:
    rules = "[[rules]]\nid = 'a'\nregex = 't_([0-9a-z]{8})'\nentropy = 2.5"

    assert cut("t_aaaabbbb t_a1b2c3d4", rules) == "t_aaaabbbb t_[REDACTED:a]"


@pytest.mark.parametrize(("secret", "bits"), [(b"aaaa", 0.0), (b"ab", 1.0), (b"abcdefgh", 3.0)])
def test_entropy_is_shannons_in_bits_a_character(secret: bytes, bits: float) -> None:
    assert entropy(secret) == pytest.approx(bits)


def test_the_syntax_is_re2_over_characters() -> None:
    rules = "[[rules]]\nid = 'a'\nregex = '(?i)m[üö]ller.[0-9]{2}'"

    assert cut("MÜLLER-42", rules) == "[REDACTED:a]"
    assert cut("Möllerß42", rules) == "[REDACTED:a]"


@pytest.mark.parametrize(
    ("allow", "kept"),
    [
        ("regexes = ['^acme-0{8}$']", "acme-00000000"),
        ("stopwords = ['DEAD']", "acme-deadbeef"),
        ("regexTarget = 'match'\nregexes = ['beef$']", "acme-deadbeef"),
        ("condition = 'AND'\nregexes = ['^acme']\nstopwords = ['dead']", "acme-deadbeef"),
    ],
)
@pytest.mark.parametrize("table", ["[rules.allowlist]", "[[rules.allowlists]]", "[[allowlists]]"])
def test_an_allowlist_exempts_the_values_that_it_names(table: str, allow: str, kept: str) -> None:
    rules = f"{ACME}\n{table}\n{allow}"

    assert cut(f"{kept} acme-0123abcd", rules) == f"{kept} [REDACTED:acme-key]"


@pytest.mark.parametrize(
    "allow",
    [
        "paths = ['.*']",
        "commits = ['abc']",
        "condition = 'AND'\npaths = ['.*']\nregexes = ['acme']",
        "condition = 'AND'\nregexes = ['acme']\nstopwords = ['nowhere']",
        "targetRules = ['other']\nregexes = ['acme']",
    ],
)
def test_an_allowlist_about_paths_or_other_rules_exempts_nothing(allow: str) -> None:
    other = "[[rules]]\nid = 'other'\nregex = 'other'"

    assert cut("acme-0123abcd", f"{other}\n{ACME}\n[[allowlists]]\n{allow}") == (
        "[REDACTED:acme-key]"
    )


def test_a_rule_for_some_paths_is_tried_on_everything() -> None:
    assert cut("acme-0123abcd", ACME + "path = '\\.env$'") == "[REDACTED:acme-key]"


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ("[[rules]]\nid = 'a'\nregex = '(?=x)y'", "rule a: "),
        ("[[rules]]\nid = 'a'\nregex = '('", "rule a: "),
        ("[[rules]]\nid = 'a'\npath = 'x'", "rule a: regex: missing"),
        ("[[rules]]\nregex = 'x'", "rule number 1: id: missing"),
        ("[[rules]]\nid = '--'\nregex = 'x'", "rule --: an id needs"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\nsecretGroup = 1", "rule a: secretGroup is 1"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\nsecretgroup = 1", "rule a: secretgroup: not underst"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\nentropy = '3'", "rule a: entropy: "),
        ("[[rules]]\nid = 'a'\nregex = 'x'\nkeywords = ['']", "rule a: a keyword is empty"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\nskipReport = true", "rule a: skipReport: not unders"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\n[[rules.required]]\nid = 'b'", "rule a: required: not"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\n[rules.allowlist]\nregexes = ['(']", "rule a: "),
        (
            "[[rules]]\nid = 'a'\nregex = 'x'\n[rules.allowlist]\nregexTarget = 'line'",
            "rule a: allowlist.regexTarget: ",
        ),
        ("[[rules]]\nid = 'a'\nregex = 'x'\n[[rules]]\nid = 'A'\nregex = 'y'", "have the id a"),
        ("[extend]\nuseDefault = true", r"\[extend\]"),
        ("rule = 1", "`rule` is not understood"),
        ("[[rules]\n", "not valid TOML"),
        ("title = 'x'", r"no \[\[rules\]\]"),
        ("[[rules]]\nid = 'a'\nregex = 'x'\n[[allowlists]]\ntargetRules = ['b']", "the rule b"),
    ],
)
def test_a_field_that_is_not_understood_is_refused_and_named(rules: str, named: str) -> None:
    with pytest.raises(BadInput, match=f"rules.toml.*{named}"):
        read_gitleaks(rules, "rules.toml")


NEAR = "[[rules]]\nid = 'a'\nregex = '[0-9a-f]{8}'\nkeywords = ['Acme/\"Co\\', 'süd']"


@pytest.mark.parametrize("word", ['ACME/"co\\', "SÜD", "süd"])
def test_a_keyword_counts_wherever_it_stands_in_the_record_and_however_it_is_escaped(
    word: str,
) -> None:
    for dump in (json.dumps, lambda v: json.dumps(v, ensure_ascii=False)):
        record = {"a": ["0123abcd", {"b": word}]}
        plain = dump(record)
        nested = dump({"inside": dump(record)})
        for line in (plain, nested, plain.replace("/", "\\/")):
            assert b"0123abcd" not in redactor(NEAR).lines(line.encode()).data


def test_without_a_keyword_in_the_same_record_a_rule_with_keywords_is_not_tried() -> None:
    lines = b'{"a": "0123abcd"}\n{"a": "acme/\\"co\\\\"}\n'

    assert redactor(NEAR).lines(lines).data == lines


@examples()
@given(
    st.lists(
        st.lists(st.sampled_from(["acme", "ACME", "acme-0123abcd", "x", "\u00e9", '"', "\\n"])),
        min_size=1,
        max_size=5,
    )
)
def test_keywords_change_the_speed_and_not_the_result(
    rows: list[list[str]],
) -> None:
    with_words = redactor(ACME)
    without = redactor(ACME.replace('keywords = ["acme"]', ""))
    lines = "".join(json.dumps({"say": row}) + "\n" for row in rows).encode()

    assert with_words.lines(lines) == without.lines(lines)


def test_our_rules_find_the_same_with_and_without_the_persons_rules() -> None:
    secret = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    both = RuleRedactor((*read_gitleaks(ACME, "x"), *DEFAULT_RULES))
    line = json.dumps({"a": f"token {secret}", "b": "acme-0123abcd"}).encode() + b"\n"

    assert default_redactor().lines(line).cuts == {"github": 1}
    assert both.lines(line).cuts == {"github": 1, "acme-key": 1}


def test_every_change_of_a_rule_or_an_allowlist_changes_the_version(tmp_path: Path) -> None:
    texts = [
        ACME,
        ACME.replace("{8}", "{9}"),
        ACME.replace('["acme"]', '["ac"]'),
        ACME + "entropy = 1.0",
        ACME + "[rules.allowlist]\nstopwords = ['x']",
    ]
    versions = [default_redactor().version]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.toml").write_text(text)
        versions.append(version_with(tmp_path / f"{number}.toml", None))
    for number, text in enumerate(["one", "two", "re:one"]):
        (tmp_path / f"{number}.txt").write_text(text)
        versions.append(version_with(None, tmp_path / f"{number}.txt"))
    again = version_with(tmp_path / "0.toml", None)

    assert len(set(versions)) == len(versions) == 9
    assert again == versions[1]


@pytest.mark.parametrize("content", [b"\xff\xfe", None, b"[" * 4_000_001])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rules.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BadInput, match="rules.toml"):
        base_rules(path, None)
