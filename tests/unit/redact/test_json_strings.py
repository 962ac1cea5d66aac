"""Whether a line is JSON: the fast check gives the same answer as the standard library."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from karma_sync.redact.json_strings import Strings, is_json, is_json_slowly
from tests.support.builders import examples

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_WILD = (b"\\ud83d", b"\\u12", b'"', b"1e999", b"NaN", b"\0", b"\xff", b"{", b"]", b"0", b",", b"x")


def _written(value: Any, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@examples(300)
@given(
    st.builds(_written, _VALUES, st.booleans()),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(_WILD)), max_size=2),
)
def test_the_fast_check_answers_like_the_standard_library(
    line: bytes, spliced: list[tuple[int, bytes]]
) -> None:
    for at, wild in spliced:
        line = line[:at] + wild + line[at:]

    assert is_json(line) == is_json_slowly(line)


@examples(300)
@given(st.builds(_written, _VALUES, st.booleans()), st.sampled_from([b"", b" ", b"\t "]))
def test_the_strings_of_json_are_found_as_in_any_text(line: bytes, blank: bytes) -> None:
    for sign in (b":", b",", b"["):
        line = line.replace(sign + b' "', blank + sign + blank + b'"')

    assume(is_json(line))

    found = list(Strings(line, valid=True).rows())

    assert found == list(Strings(line, valid=False).rows())


@examples(300)
@given(st.builds(_written, _VALUES, st.booleans()), st.integers(-9, 200), st.integers(0, 9))
def test_strings_from_the_middle_on_are_the_last_of_all(
    line: bytes, place: int, number: int
) -> None:
    strings = Strings(line, is_json(line))
    rows = list(strings.rows())
    done = rows[number % len(rows)][-1].end if rows else 0

    start = strings.start_before(place, done)

    assert done <= start <= max(done, place)
    assert list(strings.rows(start)) == [row for row in rows if row[0].start >= start]


@pytest.mark.parametrize(
    "text", ["a\\", "\\\\", '\\"', 'a\\\\\\"b\\\\', '"', "", "\\u005c"], ids=range(7)
)
def test_an_escaped_quote_ends_no_string_of_json(text: str) -> None:
    line = json.dumps([text, {text: text}, text]).encode()

    texts = [place.text(line) for row in Strings(line, valid=True).rows() for place in row]

    assert [json.loads(b'"%s"' % each) for each in texts] == [text, text, text, text]


@pytest.mark.parametrize("line", [b'{"a": "\\ud83d"}', b"[NaN]", b'{"a": ' + b"1" * 5_000 + b"}"])
def test_a_line_that_only_some_parsers_refuse_counts_as_json(line: bytes) -> None:
    assert is_json(line)


@pytest.mark.parametrize("line", [b"", b"{", b"{} {}", b"[" * 100_000, b'"\n"', b"\xef\xbb\xbf{}"])
def test_a_torn_or_spliced_line_is_not_json(line: bytes) -> None:
    assert not is_json(line)
