"""Each rule cuts the marked parts of its examples in every form, and leaves its near misses."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import karma_sync.redact
from karma_sync.redact.escapes import LEVELS
from karma_sync.redact.examples import fill
from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.matching.secret_names import NameKind, kind_of_name
from karma_sync.redact.matching.value_checks import (
    is_code,
    is_key,
    is_made_of_words,
    is_password,
    is_placeholder,
)
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

REDACTOR = default_redactor()
MARKED = re.compile("«.*?»", re.DOTALL)


Test = Callable[[Rule, str], None]


def of_each_rule(kind: Callable[[Rule], tuple[str, ...]]) -> Callable[[Test], Callable[..., None]]:
    """Try a test with all texts of a kind, a rule at a time; the text that fails is shown."""
    rules = [pytest.param(r, id=f"{r.name}-{n}") for n, r in enumerate(DEFAULT_RULES) if kind(r)]

    def with_rules(test: Test) -> Callable[..., None]:
        @pytest.mark.parametrize("rule", rules)
        def tried(rule: Rule) -> None:
            for template in kind(rule):
                test(rule, fill(template, rule.name))

        return tried

    return with_rules


examples = of_each_rule(lambda rule: rule.examples)
near_misses = of_each_rule(lambda rule: rule.near_misses)


def bare(example: str) -> str:
    return example.replace("«", "").replace("»", "")


def cut(rule: Rule, example: str) -> str:
    return MARKED.sub(f"[REDACTED:{rule.name}]", example)


def secrets(example: str) -> list[str]:
    return [marked[1:-1] for marked in MARKED.findall(example)]


def hidden(text: str) -> str:
    r"""The text as a JSON string in which every letter and digit is written \u0041."""
    escaped = (f"\\u{ord(char):04x}" if char.isalnum() else json.dumps(char)[1:-1] for char in text)
    return '"' + "".join(escaped) + '"'


@examples
def test_an_example_loses_its_secret_and_nothing_else(rule: Rule, example: str) -> None:
    text, cuts = REDACTOR.string(bare(example))

    assert text == cut(rule, example)
    assert set(cuts) == {rule.name}


@examples
def test_an_example_is_found_by_its_rule_alone(rule: Rule, example: str) -> None:
    text, _ = RuleRedactor([rule]).string(bare(example))

    assert text == cut(rule, example)


@examples
def test_an_example_is_cut_in_a_record(rule: Rule, example: str) -> None:
    record = {"type": "user", "message": {"content": [{"type": "text", "text": bare(example)}]}}

    (line,) = REDACTOR.lines(json.dumps(record).encode()).data.splitlines()

    assert json.loads(line)["message"]["content"][0]["text"] == cut(rule, example)


@examples
def test_an_example_is_cut_in_json_text_within_a_record(rule: Rule, example: str) -> None:
    inner = json.dumps({"stdout": f"before\n{bare(example)}\nafter"})

    outer = REDACTOR.lines(json.dumps({"toolUseResult": inner}).encode()).data

    text = json.loads(outer)["toolUseResult"]
    assert text.startswith('{"stdout": "before\\n')
    assert not any(json.dumps(secret)[1:-1] in text for secret in secrets(example))


@examples
def test_an_example_is_cut_at_every_level_of_json_that_is_read(rule: Rule, example: str) -> None:
    text, found = f"before\n{bare(example)}\nafter", secrets(example)
    for _ in range(LEVELS - ("\\" in example)):  # some are escaped once already
        text = json.dumps({"stdout": text})
        found = [json.dumps(secret)[1:-1] for secret in found]

    left = REDACTOR.lines(text.encode()).data.decode()

    assert not any(secret in left for secret in found)


@examples
def test_an_example_is_cut_where_slashes_are_escaped(rule: Rule, example: str) -> None:
    text = json.dumps({"stdout": bare(example)}).replace("/", "\\/")

    left = REDACTOR.lines(text.encode()).data.decode()

    assert not any(json.dumps(s)[1:-1].replace("/", "\\/") in left for s in secrets(example))


@examples
def test_an_example_is_cut_behind_escapes_of_every_character(rule: Rule, example: str) -> None:
    line = b'{"text":' + hidden(bare(example)).encode() + b"}"

    assert json.loads(REDACTOR.lines(line).data)["text"] == cut(rule, example)


@of_each_rule(lambda rule: rule.examples if rule.also else ())
def test_an_example_holds_what_its_rule_also_needs_however_often_it_is_escaped(
    rule: Rule, example: str
) -> None:
    text, also = bare(example), compiled(rule.also, rule.name)
    for _ in range(LEVELS + 1):
        assert also.search(text.encode())
        text = json.dumps({"stdout": text})


@near_misses
def test_a_near_miss_stays(rule: Rule, text: str) -> None:
    assert REDACTOR.string(text) == (text, {})
    line = json.dumps({"text": text}).encode()
    assert REDACTOR.lines(line).data == line


def test_every_rule_has_examples_a_near_miss_and_a_source() -> None:
    for rule in DEFAULT_RULES:
        assert rule.examples, rule.name
        assert rule.near_misses, rule.name
        assert rule.source.startswith("https://"), rule.name
        assert rule.keywords or rule.gate, f"{rule.name} would be tried on every line"


def test_no_rule_matches_a_marker() -> None:
    words = re.compile("key|token|secret|passw|pwd|authorization|bearer")
    for rule in DEFAULT_RULES:
        assert words.search(rule.name) is None, rule.name


def test_no_source_file_holds_a_text_that_a_scanner_takes_for_a_key() -> None:
    forms = {
        "url",
        "private",
        "private-unclosed",
        "header",
        "assignment",
        "netrc",
        "pgpass",
        "sql",
        "kubernetes",
        "cookie",
    }  # not tokens of anybody's service
    for path in Path(karma_sync.redact.__file__).parent.rglob("*.py"):
        assert set(REDACTOR.text(path.read_bytes()).cuts) <= forms, path.name


def test_a_rule_needs_a_name_that_fits_into_a_marker() -> None:
    with pytest.raises(ValueError, match="rule name"):
        Rule(name="My Rule", pattern="x", source="https://example.com")


def test_filled_examples_are_the_same_every_time_and_differ_by_rule() -> None:
    assert fill("{hex:8}", "a") == fill("{hex:8}", "a") != fill("{hex:8}", "b")
    assert re.fullmatch("[0-9a-f]{40}", fill("{hex:40}"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DB_PASSWORD", NameKind.PASSWORD),
        ("dbPassword2", NameKind.PASSWORD),
        ("SMTP_PASS", NameKind.PASSWORD),
        ("pass_word", NameKind.PASSWORD),
        ("clientSecret", NameKind.KEY),
        ("SECRET_KEY_BASE", NameKind.KEY),
        ("x-api-key", NameKind.KEY),
        ("APIKey", NameKind.KEY),
        ("apikey", NameKind.KEY),
        ("GITHUB_TOKEN_PROD", NameKind.KEY),
        ("accesstoken", NameKind.KEY),
        ("FERNET_KEY", NameKind.UNSURE),
        ("public_key", NameKind.NONE),
        ("topic_key", NameKind.NONE),
        ("cacheKey", NameKind.NONE),
        ("next_page_token", NameKind.NONE),
        ("AWS::IAM::AccessKey", NameKind.NONE),
        ("key", NameKind.NONE),
        ("u2192key", NameKind.NONE),
        ("n-key", NameKind.NONE),
        ("u2192api_key", NameKind.KEY),
        ("monkey", NameKind.NONE),
        ("max_tokens", NameKind.NONE),
        ("passport", NameKind.NONE),
        ("_", NameKind.NONE),
    ],
)
def test_a_name_is_judged_by_its_last_words(name: str, kind: NameKind) -> None:
    assert kind_of_name(name.encode()) is kind


@pytest.mark.parametrize(
    "value",
    """your-key-here YOUR_API_KEY ${VAR} $TOKEN <token> xxxxxxxx sk-... {{secret}} %(password)s
    changeme my-secret placeholder ********** test-key fake_token !vault [REDACTED:url]""".split(),  # noqa: SIM905  a list to read
)
def test_a_placeholder_is_no_secret(value: str) -> None:
    assert is_placeholder(value.encode()) or is_made_of_words(value.encode())
    assert not is_key(value.encode(), 1)


@pytest.mark.parametrize(
    "value",
    ["process.env.X", "config.apiKey2", "getToken2()", "os.environ['K9']", "/home/a/k1", "~/k/id2"],
)
def test_code_is_no_secret(value: str) -> None:
    assert is_code(value.encode())
    assert not is_password(value.encode())


@pytest.mark.parametrize("value", ["accessToken2", "claude-3-opus-20240229", "e2e-tests", "sha256"])
def test_words_are_no_key(value: str) -> None:
    assert is_made_of_words(value.encode())
    assert not is_key(value.encode())


@pytest.mark.parametrize(
    "value", ["hunter2", "correct-horse!", "P@55w0rd", "p(w)d9!x", "swordfishes1"]
)
def test_a_likely_password_is_one(value: str) -> None:
    assert is_password(value.encode())


@pytest.mark.parametrize("value", ["abc12", "password", "two words 1", "newPassword"])
def test_an_unlikely_password_is_none(value: str) -> None:
    assert not is_password(value.encode())
