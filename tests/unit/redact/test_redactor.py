"""The redactor cuts secrets and nothing else, wherever they hide, and fails closed."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karma_sync.errors import RedactionFailed
from karma_sync.redact.allowlist import read_allowlist
from karma_sync.redact.escapes import Unescaped, snapped, unescape
from karma_sync.redact.examples import fill
from karma_sync.redact.json_strings import KEPT_KEYS
from karma_sync.redact.matching.rule import ANYWHERE, Rule
from karma_sync.redact.redactor import Redacted, RuleRedactor, default_redactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from karma_sync.redact.scanner import Scanner

REDACTOR = default_redactor()
# The same rules without keywords and gates: every pattern is tried on every whole string.
SLOW = RuleRedactor(
    [
        replace(rule, keywords=(), gate_head="", gate="", one_line=False, reach=ANYWHERE)
        for rule in DEFAULT_RULES
    ]
)

GITHUB = fill("ghp_{alnum:36}")
PEM = fill("-----BEGIN PRIVATE KEY-----\n{base64:64}\n{base64:64}\n-----END PRIVATE KEY-----")
KEY_LINES = PEM.splitlines()[1:3]
PLANTED = [
    fill(template, rule.name).replace("«", "").replace("»", "")
    for rule in DEFAULT_RULES
    for template in (*rule.examples, *rule.near_misses)
]
SHAPES = [
    "user",
    "assistant",
    "\u001b[32m",
    "süß 語",
    "\\n",
    "\\",
    '"',
    "'",
    "/",
    "\n",
    "\t",
    "{}",
    "\0",
    " = ",
    ": ",
]


def one_of_them(at: int) -> str:
    return (PLANTED + SHAPES)[at]


# drawn by index: a list of all of them is too long for hypothesis to print
texts = st.lists(
    st.integers(0, len(PLANTED + SHAPES) - 1).map(one_of_them),
    max_size=4,
).map("".join)
names = st.sampled_from(["text", "password", "api_key", "id", "uuid", "signature", "lines", "data"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
spacings = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """One line of JSON, its texts up to three times escaped, some of it with \\u or \\/ escapes."""
    value: object = draw(values)
    for _ in range(draw(st.integers(0, 2))):
        value = {"text": json.dumps(value, ensure_ascii=draw(st.booleans()))}
    line = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=draw(spacings))
    if draw(st.booleans()):
        line = line.replace("/", "\\/")
    if draw(st.booleans()):
        line = line.replace("=", "\\u003d").replace("k", "\\u006B")
    return line.encode()


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """Lines, some of them spliced, cut off, after NULs or not JSON at all."""
    lines = []
    for line in draw(st.lists(records(), min_size=1, max_size=3)):
        harm = draw(st.sampled_from(["", "", "", "splice", "cut", "nul", "prose", "bytes"]))
        lines.append(
            {
                "": line,
                "splice": line + line,
                "cut": line[len(line) // 3 : len(line) * 2 // 3],
                "nul": b"\0" * 300 + line,
                "prose": b"// " + line,
                "bytes": line + b"\xff\xfe",
            }[harm]
        )
    return b"\n".join(lines) + draw(st.sampled_from([b"", b"\n"]))


def shape(value: object) -> object:
    """The parts that must survive: keys, types, order, numbers; texts only as present."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return str if isinstance(value, str) else value


def odd(line: str) -> str:
    """The same JSON, written in a form that our encoders do not use."""
    return line.replace("/", "\\/").replace("a ", "\\u0061 ")


def redacted(record: object) -> object:
    result: object = json.loads(REDACTOR.lines(json.dumps(record).encode()).data)
    return result


# --- text that stays


@given(blocks())
@settings(max_examples=400)
def test_the_gate_finds_every_secret_that_a_full_search_finds(raw: bytes) -> None:
    assert REDACTOR.lines(raw) == SLOW.lines(raw)
    assert REDACTOR.text(raw) == SLOW.text(raw)


@given(blocks())
@settings(max_examples=200)
def test_redacting_twice_changes_nothing_more(raw: bytes) -> None:
    for redact in (REDACTOR.lines, REDACTOR.text):
        once = redact(raw).data
        assert redact(once) == Redacted(once, {})


@given(st.lists(blocks(), max_size=3))
@settings(max_examples=100)
def test_a_line_is_redacted_independently_of_other_lines(raws: list[bytes]) -> None:
    lines = [line + b"\n" for raw in raws for line in raw.split(b"\n")]

    alone = b"".join(REDACTOR.lines(line).data for line in lines)

    assert REDACTOR.lines(b"".join(lines)).data == alone


@given(records())
@settings(max_examples=300)
def test_a_record_keeps_its_shape_its_numbers_and_its_keys(line: bytes) -> None:
    assert shape(json.loads(REDACTOR.lines(line).data)) == shape(json.loads(line))


@given(values, spacings, st.booleans())
@settings(max_examples=100)
def test_around_a_secret_every_byte_stays(
    value: object, spacing: tuple[str, str], ascii: bool
) -> None:
    quiet = json.loads(REDACTOR.lines(odd(json.dumps(value)).encode()).data)
    quiet = json.loads(REDACTOR.lines(json.dumps(quiet).encode()).data)
    line = json.dumps(
        {"before": quiet, "x": f"a ü \\ {GITHUB} /\n", "after": quiet},
        separators=spacing,
        ensure_ascii=ascii,
    )

    result = REDACTOR.lines(odd(line).encode()).data

    assert result == odd(line).replace(GITHUB, "[REDACTED:github]").encode()


@given(st.binary(max_size=400))
def test_bytes_without_a_secret_stay_as_they_are(raw: bytes) -> None:
    assert REDACTOR.text(raw).data == raw
    assert REDACTOR.lines(raw).data == raw


FORMS_OF_IDS = {
    "signature": "EqQBCkgIBhABGAIqQ" + fill("{base64:300}") + "==",
    "timestamp": "2026-01-02T03:04:05.678Z",
    "id": fill("toolu_01{alnum:22}"),
}


@pytest.mark.parametrize("key", sorted(key.decode() for key in KEPT_KEYS))
def test_what_has_the_form_of_an_id_is_left_alone_and_nothing_else(key: str) -> None:
    own = FORMS_OF_IDS.get(key, "270dcbcb-2839-60fb-aea8-770d98e82945")
    record = {key: own, "a": [{key: GITHUB}], "text": own}

    result = redacted(record)

    assert result == {key: own, "a": [{key: "[REDACTED:github]"}], "text": own}


def test_prose_under_the_key_of_an_id_is_redacted() -> None:
    assert redacted({"id": f"it is {GITHUB}"}) == {"id": "it is [REDACTED:github]"}


def test_an_image_is_left_alone_and_other_data_is_not() -> None:
    image = (
        "iVBORw0KGgo"
        + fill("{base64:400}/")
        + GITHUB.replace("_", "/")
        + "AKIA"
        + fill("{base32:16}")
        + "="
    )
    record = {"type": "image", "source": {"type": "base64", "data": image}, "data": GITHUB}

    result = redacted(record)

    assert result == {**record, "data": "[REDACTED:github]"}


@pytest.mark.parametrize("key", ["data", "base64"])
def test_what_stands_beside_a_large_image_is_redacted_and_the_image_is_not(key: str) -> None:
    image = "iVBORw0K" + "AKIA" + fill("{base32:16}") + "/" + fill("{base64:70000}")
    before, after = {"text": GITHUB, key: image}, {key: image, "text": f"x {GITHUB}", "token": 1}
    block = b"\n".join(json.dumps([record]).encode() for record in (before, after))

    result = REDACTOR.lines(block)

    assert result.data == block.replace(GITHUB.encode(), b"[REDACTED:github]")
    assert result.cuts == {"github": 2}


@pytest.mark.parametrize(
    "line",
    [
        b'{"data": "%s", "x": }',  # no JSON: all of it is text
        b'{"note": "%s"}',
        b'{"x\\"data": "%s"}',  # another key
        b'{"x": "\\"data\\": \\"%s\\""}',
    ],
)
def test_what_looks_like_an_image_elsewhere_is_searched(line: bytes) -> None:
    image = b"iVBORw0K" + b"a" * 70_000 + b"/" + GITHUB.encode()

    assert REDACTOR.lines(line % image).cuts == {"github": 1}


def test_numbers_of_any_length_are_untouched() -> None:
    line = b'{"n":%s,"f":1.50e+09,"m":-0.0,"s":"%s"}' % (b"7" * 5000, GITHUB.encode())

    assert REDACTOR.lines(line).data == line.replace(GITHUB.encode(), b"[REDACTED:github]")


# --- where secrets hide


def test_a_value_is_judged_by_its_key() -> None:
    record = {"password": 'Tr0ub4dor&3 "x', "input": {"API_KEY": fill("{alnum:32}"), "n": 1}}

    result = redacted({"password": 'Tr0ub4dor&3"x', **{"input": record["input"]}})

    assert result == {
        "password": "[REDACTED:assignment]",
        "input": {"API_KEY": "[REDACTED:assignment]", "n": 1},
    }


@pytest.mark.parametrize(
    "members",
    [
        {"name": "DB_PASSWORD", "value": "%"},
        {"value": "%", "name": "DB_PASSWORD"},
        {"Key": "API_TOKEN", "Type": "String", "n": [1, None], "Value": "%"},
        {"value": "%", "tags": ["a", "b"], "sensitive": True, "key": "api.token"},
    ],
)
@pytest.mark.parametrize("value", ['k7!Qz\\"x9Lw2#Rv', "a8Kd0Lq2Xz9Pw4Rt6Yv1Bn3M"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_value_is_cut_whose_name_is_another_member_of_its_object(
    members: dict[str, object], value: str, indent: int | None
) -> None:
    text = json.dumps(members, indent=indent).replace("%", json.dumps(value)[1:-1])
    around = {"env": [{"name": "A", "value": "b"}, json.loads(text)], "text": text}

    result = redacted(around)

    cut = {name: "[REDACTED:assignment]" if each == "%" else each for name, each in members.items()}
    assert result["env"] == [{"name": "A", "value": "b"}, cut]  # type: ignore[index]  # as given
    assert json.loads(result["text"]) == cut  # type: ignore[index]  # as given


def test_a_secret_at_the_very_beginning_of_a_record_is_cut_like_any_other() -> None:
    record = [f"\\/{GITHUB}", {"a": "b"}, f"PW={GITHUB}"]

    assert "ghp_" not in json.dumps(redacted(record))


def test_a_value_in_another_object_than_the_name_stays() -> None:
    env = [{"name": "API_TOKEN"}, {"value": "a8Kd0Lq2Xz9Pw4Rt6Yv1Bn3M", "name": "COMMIT"}]

    assert redacted({"env": env}) == {"env": env}


def test_a_value_that_the_person_exempts_stays_beside_its_name() -> None:
    record = b'{"name": "API_TOKEN", "value": "a8Kd0Lq2Xz9Pw4Rt6Yv1Bn3M"}\n'
    exempted = read_allowlist("a8Kd0Lq2Xz9Pw4Rt6Yv1Bn3M\n", "allowed")

    assert RuleRedactor(DEFAULT_RULES, exempted).lines(record) == Redacted(record, {})


def test_a_secret_that_is_a_key_is_cut() -> None:
    assert redacted({GITHUB: 1, "x": {GITHUB: "y"}}) == {
        "[REDACTED:github]": 1,
        "x": {"[REDACTED:github]": "y"},
    }


def test_a_key_that_spans_the_lines_of_a_diff_is_cut_from_every_line() -> None:
    lines = ["@@ -1 +1 @@", *(f"+{line}" for line in PEM.splitlines()), " end"]

    result = redacted({"structuredPatch": [{"lines": lines}]})

    (hunk,) = result["structuredPatch"]  # type: ignore[index]  # the shape given above
    assert hunk["lines"] == ["@@ -1 +1 @@", "+[REDACTED:pem]", *["[REDACTED:pem]"] * 3, " end"]


def test_an_argument_list_is_read_as_a_command() -> None:
    assert redacted(["tool", "--password", "s3cr3tPhrase"]) == [
        "tool",
        "--password",
        "[REDACTED:assignment]",
    ]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda text: text, id="as it is"),
        pytest.param(lambda text: json.dumps(text)[1:-1], id="escaped"),
        pytest.param(lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1], id="escaped twice"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(
            lambda text: "\n".join(
                f"{at:6}\u2192{line}" for at, line in enumerate(text.split("\n"), 9)
            ),
            id="numbered",
        ),
        pytest.param(lambda text: text.replace("\n", '\\n" +\n    "'), id="in code"),
        pytest.param(lambda text: text[: len(text) // 2], id="cut off"),
    ],
)
@pytest.mark.parametrize("where", ["text", "line", "value"])
def test_a_private_key_is_cut_however_it_is_written(
    write: Callable[[str], str], where: str
) -> None:
    text = f"cat key\n{write(PEM)}"

    if where == "text":
        result = REDACTOR.text(text.encode()).data.decode()
    elif where == "line":
        result = str(redacted({"text": text}))
    else:
        result, _ = REDACTOR.string(text)

    assert "[REDACTED:pem]" in result
    assert "cat key" in result
    assert not any(line[:12] in result for line in KEY_LINES)


def test_a_key_without_an_end_is_cut_to_the_end_of_its_string() -> None:
    record = {"stdout": "\n".join(PEM.splitlines()[:2]), "next": "stays", "n": 1}

    assert redacted(record) == {"stdout": "[REDACTED:pem]", "next": "stays", "n": 1}


def test_private_marks_may_be_nested_and_span_lines() -> None:
    text = "a <private>b\n<private>c</private> d</private> e <private>f</private> g"

    assert REDACTOR.string(text) == ("a [REDACTED:private] e [REDACTED:private] g", {"private": 2})


def test_a_private_block_over_several_blocks_of_a_message_is_cut_from_each() -> None:
    blocks = ["a <private>b", "the whole plan", "c</private> d", "e"]
    content = [{"type": "text", "text": text} for text in blocks]

    result = redacted({"message": {"role": "user", "content": content}, "uuid": "x"})

    (shown,) = [result["message"]["content"]]  # type: ignore[index]  # the shape given above
    assert [block["text"] for block in shown] == [
        "a [REDACTED:private]",
        "[REDACTED:private]",
        "[REDACTED:private] d",
        "e",
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"\u001b[32m{GITHUB}\u001b[0m",
        f"TOKEN%3D{GITHUB}%26x",
        f"a\\n{GITHUB}\\nb",
        f"x={GITHUB}",
        "\\u001b[1m" + fill("AKIA{base32:16}") + "\\u001b[0m",
        "x%3D" + fill("AKIA{base32:16}") + "%26",
        "k=\\n" + fill("AKIA{base32:16}") + "\\n",
    ],
)
def test_a_token_after_an_escape_sequence_is_cut(text: str) -> None:
    assert sum(REDACTOR.string(text)[1].values()) == 1
    assert sum(REDACTOR.lines(json.dumps({"x": text}).encode()).cuts.values()) == 1


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"a","t":"%s"}{"type":"b","t":"%s"}',
        b'\0\0\0\0{"t":"%s"}\0 %s',
        b'"t":"%s","u":"%s',
        b"%s // %s",
        b'{"t":"%s\xff\xfe","u":"%s"}',
        b'{"t":"%s",\r\n "u":"%s"}\r',
        b"[" * 20_000 + b'"%s", "%s"',
    ],
)
def test_a_line_that_is_not_json_is_redacted_too(line: bytes) -> None:
    secret = GITHUB.encode()

    result = REDACTOR.lines(line % (secret, secret))

    assert result.data == line % (b"[REDACTED:github]", b"[REDACTED:github]")
    assert result.cuts == {"github": 2}


def test_work_on_a_line_grows_with_its_length_not_with_its_square() -> None:
    """The longer line is ten times as long: a square would take a hundred times the work."""
    cuts, calls, searched = _work_on(_line_of(1))
    longer_cuts, longer_calls, longer_searched = _work_on(_line_of(10))

    assert cuts == {"github": 1, "pem": 1, "assignment": 1}
    assert longer_cuts == {"github": 10, "pem": 10, "assignment": 1}
    assert longer_calls < 20 * calls
    assert longer_searched < 20 * searched


def test_a_text_that_stands_in_many_records_is_searched_once() -> None:
    redactor = default_redactor()
    line = _line_of(1) + b"\n"
    once = redactor.lines(line)
    work = redactor.scanned

    often = redactor.lines(line * 20)

    assert often == Redacted(once.data * 20, {rule: 20 * n for rule, n in once.cuts.items()})
    assert redactor.scanned - work < 2 * work


def test_a_text_that_was_searched_under_one_key_is_searched_anew_under_another() -> None:
    text = "z9Kd-3fLq" * 40
    names = ("note", "password", "note", "password")

    lines = [json.dumps({name: text}).encode() + b"\n" for name in names]

    result = REDACTOR.lines(b"".join(lines)).data.splitlines(keepends=True)
    assert result == [REDACTOR.lines(line).data for line in lines]
    assert [b"REDACTED" in line for line in result] == [False, True, False, True]


def _work_on(line: bytes) -> tuple[Mapping[str, int], int, int]:
    """The cuts in a line, the number of calls that they take, and of bytes that are searched."""
    calls = searched = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls, searched
        calls += event in {"call", "c_call"}
        if event == "call" and frame.f_code in {Scanner.find.__code__, Scanner.near.__code__}:
            searched += sum(len(v) for v in frame.f_locals.values() if isinstance(v, bytes))

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        cuts = REDACTOR.lines(line).cuts
    finally:
        sys.setprofile(before)
    return cuts, calls, searched


def _line_of(parts: int) -> bytes:
    """A line of JSON with so many times the same secrets between long texts."""
    filler = 'def f(x):\n\treturn "a \\\\ b"  # token: str\n' * 300
    texts = [filler, GITHUB, filler, PEM, filler] * parts
    content = {"file": {"content": "".join(texts)}, "password": "Xy9!" + "é" * 9}
    return json.dumps({"toolUseResult": content}).encode()


# --- whole texts and single values


def test_a_text_is_redacted_across_its_lines_and_keeps_bytes_that_are_no_utf8() -> None:
    raw = b"\xff\xfe\x00 latin \xe9\n%s\n\xe9 db_password: hunter2\xc3\xa4\r\n" % PEM.encode()

    result = REDACTOR.text(raw)

    assert (
        result.data
        == b"\xff\xfe\x00 latin \xe9\n[REDACTED:pem]\n\xe9 db_password: [REDACTED:assignment]\r\n"
    )
    assert result.cuts == {"pem": 1, "assignment": 1}


def test_a_text_that_is_json_keeps_its_structure() -> None:
    raw = json.dumps(
        {"todos": [{"id": "1", "content": PEM[:90]}], "uuid": "id-1"}, indent=2
    ).encode()

    result = json.loads(REDACTOR.text(raw).data)

    assert result == {"todos": [{"id": "1", "content": "[REDACTED:pem]"}], "uuid": "id-1"}


def test_a_value_keeps_lone_surrogates() -> None:
    assert REDACTOR.string(f"\udc80 {GITHUB} \ud83d") == (
        "\udc80 [REDACTED:github] \ud83d",
        {"github": 1},
    )


def test_an_empty_input_is_empty() -> None:
    assert REDACTOR.lines(b"") == REDACTOR.text(b"") == Redacted(b"", {})
    assert REDACTOR.string("") == ("", {})


def test_overlapping_secrets_are_one_cut_named_after_the_longest() -> None:
    text = f"Authorization: Bearer {GITHUB} and DB_SECRET=postgres://app:pw12345@db/x"

    result, cuts = REDACTOR.string(text)

    assert (
        result
        == "Authorization: Bearer [REDACTED:github] and DB_SECRET=postgres://app:[REDACTED:url]@db/x"
    )
    assert cuts == {"github": 1, "url": 1}


# --- rules of one's own


LITERAL = Rule(name="literal", pattern=re.escape('the "plan"/7'), source="")


def test_a_rule_without_keywords_is_tried_on_every_text() -> None:
    redactor = RuleRedactor([LITERAL, *DEFAULT_RULES])
    record = {"a": 'x the "plan"/7', "b": json.dumps({"c": 'the "plan"/7'}), "d": GITHUB}

    result = json.loads(redactor.lines(json.dumps(record).encode()).data)

    assert result["a"] == "x [REDACTED:literal]"
    assert json.loads(result["b"]) == {"c": "[REDACTED:literal]"}
    assert result["d"] == "[REDACTED:github]"


def test_a_rule_that_matches_markers_does_not_loop() -> None:
    redactor = RuleRedactor([Rule(name="all", pattern=r"[A-Za-z]+", source="")])

    assert redactor.string("ab cd")[0] == "[REDACTED:all] [REDACTED:all]"
    line = redactor.lines(b'{"k":["ab","cd"],"m":1}').data
    assert json.loads(line) == {"[REDACTED:all]": 1}, "two keys that were secrets fall together"


def test_no_rules_cut_nothing() -> None:
    assert RuleRedactor([]).lines(GITHUB.encode()).data == GITHUB.encode()


def test_the_version_changes_with_every_rule() -> None:
    again, shorter = default_redactor().version, RuleRedactor(DEFAULT_RULES[1:]).version
    other = RuleRedactor([replace(DEFAULT_RULES[0], pattern="x"), *DEFAULT_RULES[1:]]).version

    assert again == REDACTOR.version
    assert len({again, shorter, other, SLOW.version}) == 3
    assert SLOW.version == again, "what makes it fast does not change what comes out"


# --- failing closed


def broken(_name: bytes, secret: bytes) -> bool:
    raise LookupError(f"not in the dictionary: {secret!r}")


@pytest.mark.parametrize(
    "use",
    [
        lambda red: red.lines(b'{"a":"xy"}'),
        lambda red: red.text(b"xy"),
        lambda red: red.string("xy"),
    ],
)
def test_an_error_in_a_rule_lets_nothing_through(use: Callable[[RuleRedactor], object]) -> None:
    redactor = RuleRedactor(
        [Rule(name="x", pattern="xy", keywords=("xy",), source="", check=broken)]
    )

    with pytest.raises(RedactionFailed, match=r"LookupError\); it is not sent") as failure:
        use(redactor)

    assert "xy" not in str(failure.value)


def test_an_invalid_pattern_is_refused_with_the_name_of_its_rule() -> None:
    with pytest.raises(RedactionFailed, match="rule mine: not a valid RE2 pattern"):
        RuleRedactor([Rule(name="mine", pattern="(?<=x)y", source="")])


# --- escapes


@given(st.text())
def test_unescaping_reads_a_json_string(text: str) -> None:
    for ascii in (True, False):
        data = unescape(json.dumps(text, ensure_ascii=ascii)[1:-1].encode("utf-8", "surrogatepass"))
        assert data.decode("utf-16", "ignore") is not None
        assert _joined(data) == text


def _joined(data: bytes) -> str:
    """Decode UTF-8 in which a surrogate pair may be two sequences of three bytes."""
    return (
        data.decode("utf-8", "surrogatepass")
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "surrogatepass")
    )


escaped = st.lists(
    st.sampled_from(
        [
            b"\\",
            b"\\\\",
            b'\\"',
            b"\\n",
            b"\\u0041",
            b"\\ud83d\\ude00",
            b"\\x",
            b"a",
            b"n",
            b"\xc3\xa9",
            b"\xff",
        ]
    )
).map(b"".join)


@given(escaped, st.data())
def test_each_stretch_of_unescaped_text_is_mapped_to_its_source(
    source: bytes, data: st.DataObject
) -> None:
    layer = Unescaped(source)
    start = data.draw(st.integers(0, max(0, len(layer.data) - 1)))
    end = data.draw(st.integers(min(start + 1, len(layer.data)), len(layer.data)))
    if start == end:
        return

    first, last = layer.origin(start, end)

    assert layer.data[start:end] in unescape(source[first:last])
    assert snapped(source, first, last) == (first, last)
    assert (
        unescape(source[:first]) + unescape(source[first:last]) + unescape(source[last:])
        == layer.data
    )


@given(escaped)
def test_unescaping_bytes_that_are_not_utf8_gives_the_same(source: bytes) -> None:
    marked = unescape(source + b"\xff")

    assert marked == unescape(source) + b"\xff"
