"""The person's redactions cut exactly the texts and rules they name, in every form and place."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.allowlist import AllowList
from karma_sync.redact.custom.redactions import (
    OwnRedactions,
    checked_literal,
    literal_rule,
    make_redactor,
)
from karma_sync.redact.custom.redactions_file import RedactionsFile
from karma_sync.redact.custom.ruleset import Base
from karma_sync.redact.redactor import RuleRedactor
from tests.support.builders import examples, record

SALT = "0" * 32
MARK = "[REDACTED:literal]"
CHARS = st.characters(exclude_categories=["Cs"])


def redacting(*literals: str, salt: str = SALT) -> OwnRedactions:
    return OwnRedactions(salt=salt, literals=literals)


def escaped(text: str, depth: int, ascii_only: bool) -> str:
    """The text escaped as JSON this many times."""
    for _ in range(depth):
        text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    return text


@given(st.text(CHARS, min_size=6, max_size=30), st.integers(0, 2), st.booleans(), st.text(CHARS))
@examples(150)
def test_a_text_is_cut_at_every_depth_of_escaping(
    text: str, depth: int, ascii_only: bool, around: str
) -> None:
    try:
        literal = checked_literal(text)
    except BadInput:
        assume(False)
    own = RuleRedactor([literal_rule(literal)])
    raw = record(type="user", said=escaped(f"{around} {literal} {around}", depth, ascii_only))
    redacted = own.lines(raw)

    assert redacted.cuts["literal"] >= 1
    said = json.loads(redacted.data)["said"]
    assert MARK in said
    for each in range(depth + 1):
        assert escaped(literal, each, ascii_only) not in said


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"plain hunter22 text", b"plain [REDACTED:literal] text"),
        (b"hunter2", b"hunter2"),
        (b"HUNTER22", b"HUNTER22"),
        (b"hunter22hunter22", b"[REDACTED:literal][REDACTED:literal]"),
    ],
)
def test_only_the_text_itself_is_cut(raw: bytes, wanted: bytes) -> None:
    assert make_redactor(redacting("hunter22")).text(raw).data == wanted


def test_a_text_of_several_lines_is_cut_also_with_line_numbers() -> None:
    literal = "first line of it\nsecond line of it"
    own = make_redactor(redacting(literal))
    for text in (
        literal,
        literal.replace("\n", "\r\n"),
        "    12→first line of it\n    13→second line of it",
        "12\tfirst line of it\n13\tsecond line of it",
    ):
        assert b"line of it" not in own.text(f"see:\n{text}\nend".encode()).data
        said = json.loads(own.lines(record(said=f"see:\n{text}\nend")).data)["said"]
        assert "line of it" not in said


@pytest.mark.parametrize(
    "literal", ["one line of it\n  and two", "a  wide\tgap", "語る\u3000秘密の話"]
)
def test_a_text_is_cut_from_a_title_too_where_white_space_is_one_blank(literal: str) -> None:
    title = " ".join(f"so {literal} it is".split())

    assert make_redactor(redacting(literal)).string(title)[0] == f"so {MARK} it is"
    assert make_redactor(redacting(literal)).string(f"so {literal} is")[0] == f"so {MARK} is"


@pytest.mark.parametrize("literal", ["語る人の秘密", "🔑🗝🔐🔒🔓🔏", "!!$%&()=??", "ä#ö#ü#"])
def test_a_text_without_plain_letters_is_cut_too(literal: str) -> None:
    own = make_redactor(redacting(literal))
    for depth in range(3):
        for ascii_only in (True, False):
            raw = record(said=escaped(f"so {literal} it is", depth, ascii_only))
            assert own.lines(raw).cuts == {"literal": 1}


def test_a_title_is_cut_too() -> None:
    assert make_redactor(redacting("hunter22")).string("my hunter22") == (
        f"my {MARK}",
        {"literal": 1},
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  short  ",
        "aaaaaaaaaaaaaaa",
        "aba aba aba",
        "assistant",
        "sessionId",
        "timestamp",
        "[REDACTED:",
        "REDACTED",
        "tool_result",
        "x" * 10_001,
    ],
)
def test_a_text_that_would_cut_too_much_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        checked_literal(text)
    assert not text.strip() or text.strip() not in str(refused.value)


def test_white_space_around_a_text_does_not_count() -> None:
    assert checked_literal(" hunter22\r\n") == "hunter22"


def test_others_cannot_find_a_text_by_trying_versions() -> None:
    versions = {make_redactor(redacting("hunter22", salt=salt * 32)).version for salt in "0123"}

    assert len(versions) == 4
    assert (
        make_redactor(redacting("hunter22")).version == make_redactor(redacting("hunter22")).version
    )
    assert (
        make_redactor(redacting("hunter22")).version != make_redactor(redacting("hunter23")).version
    )
    assert "hunter22" not in repr(redacting("hunter22"))


def test_a_text_is_cut_from_ids_and_numbers_and_the_record_stays_json() -> None:
    own = make_redactor(redacting("4111111111111111", "0b5d6a0e-leaf"))
    raw = (
        b'{"uuid":"0b5d6a0e-leaf","card":4111111111111111,"n":-14111111111111111.5,"id":"x",'
        b'"signature":"aa0b5d6a0e-leafbb","said":"4111111111111111","other":42}\n'
    )
    redacted = own.lines(raw)

    assert json.loads(redacted.data) == {
        "uuid": MARK,
        "card": MARK,
        "n": MARK,
        "id": "x",
        "signature": f"aa{MARK}bb",
        "said": MARK,
        "other": 42,
    }
    assert redacted.cuts == {"literal": 5}
    assert own.lines(redacted.data).data == redacted.data


RULES = """
title = "ours"
[[rules]]
id = "Acme_Key"
description = "tokens of ours"
regex = '''acme:([0-9]{4}):(\\w+)'''
secretGroup = 2
keywords = ["Acme-Corp"]
[[rules]]
id = "ticket"
regex = '''TICKET:(\\w+)'''
entropy = 1.5
[[rules.allowlists]]
stopwords = ["public"]
"""


def ruled(*files: str) -> RuleRedactor:
    own = OwnRedactions(salt=SALT)
    for text in files:
        own = own.with_rules(text)
    return make_redactor(own)


def test_a_file_of_rules_has_the_meaning_that_gitleaks_gives_it() -> None:
    redacted = ruled(RULES).lines(
        record(a="acme:1234:abcd", b="of ACME-corp", c="TICKET:aaaa TICKET:abcd TICKET:publicly")
    )

    assert redacted.data == record(
        a="acme:1234:[REDACTED:acme-key]",
        b="of ACME-corp",
        c="TICKET:aaaa TICKET:[REDACTED:ticket] TICKET:publicly",
    )
    assert redacted.cuts == {"acme-key": 1, "ticket": 1}


def test_the_same_secret_is_cut_from_a_title_where_the_keyword_of_its_rule_is_missing() -> None:
    assert ruled(RULES).string("acme:1234:abcd") == (
        "acme:1234:[REDACTED:acme-key]",
        {"acme-key": 1},
    )


def test_a_rule_replaces_only_the_rule_of_the_same_name() -> None:
    newer = "[[rules]]\nid = 'ticket'\nregex = 'BILL:[0-9]+'"
    said = record(c="TICKET:abcd BILL:12 acme:1234:abcd acme-corp")

    assert ruled(RULES, newer).lines(said).data == record(
        c="TICKET:abcd [REDACTED:ticket] acme:1234:[REDACTED:acme-key] acme-corp"
    )
    own = OwnRedactions(salt=SALT).with_rules(newer).with_rules(RULES)
    assert own.files == (RULES,), "of what is replaced as a whole nothing is kept"


def test_an_allowlist_does_not_exempt_from_the_persons_own_rules() -> None:
    own = OwnRedactions(salt=SALT).with_rules(RULES)
    base = Base(allowed=AllowList(values=("abcd",)))

    assert make_redactor(own, base).string("TICKET:abcd")[1] == {"ticket": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no [[rules]]"),
        ("not toml [", "not valid TOML"),
        ("rules = 5", "no [[rules]]"),
        ("[[rules]]\nid = 'a'", "rule a: regex: missing"),
        ("[[rules]]\nid = '!'\nregex = 'abcdef'", "letters or digits"),
        ("[[rules]]\nid = 'a'\nregex = '(?<=x)look'", "rule a"),
        ("[[rules]]\nid = 'a'\nregex = 'abcdef'\nvalidate = true", "validate: not understood"),
        ("[extend]\nuseDefault = true\n[[rules]]\nid = 'a'\nregex = 'abcdef'", "[extend]"),
        ("[[rules]]\nid = 'a'\nregex = '.*'", "everything"),
        ("[[rules]]\nid = 'a'\nregex = '.'", "everything"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_and_changes_nothing(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=re.escape(why)):
        OwnRedactions(salt=SALT).with_rules(text)


def test_the_file_is_private_and_holds_each_text_once(tmp_path: Path) -> None:
    file = RedactionsFile(tmp_path / "redactions.json")
    plain = file.redactor()
    assert file.redactor() is plain

    assert file.change(lambda own: own.with_literal("hunter22"))
    assert not file.change(lambda own: own.with_literal("hunter22"))

    assert (tmp_path / "redactions.json").stat().st_mode & 0o777 == 0o600
    assert file.redactor().version != plain.version
    assert (
        RedactionsFile(tmp_path / "redactions.json").redactor().version == file.redactor().version
    )


@pytest.mark.parametrize(
    "content", ["", "{}", '{"salt": "hunter22"}', '{"literals": ["hunter22"]}']
)
def test_a_file_that_cannot_be_read_lets_nothing_leave(tmp_path: Path, content: str) -> None:
    path = tmp_path / "redactions.json"
    path.write_text(content)

    with pytest.raises(RedactionFailed) as failed:
        RedactionsFile(path).redactor()
    assert "hunter22" not in str(failed.value)
    with pytest.raises(RedactionFailed):
        RedactionsFile(path).change(lambda own: own.with_literal("another text"))
    assert path.read_text() == content
