"""A window holds the lines around a place, and never a part of a string's line or key."""

import json

import pytest

from karma_sync.redact.windows import window_in_record, window_in_text

LONG = b"word " * 2000


@pytest.mark.parametrize(
    ("record", "window"),
    [
        (rb'{"a": "one\ntwo HERE three\nfour"}', rb"\ntwo HERE three\n"),
        (rb'{"a": "one\ntwo HERE"}', rb'\ntwo HERE"'),
        (rb'{"a": "HERE\ntwo"}', rb'"a": "HERE\n'),
        (rb'{"b": "x", "a" : "HERE", "c": "y"}', rb'"a" : "HERE"'),
        (rb'{"a": ["x", "one\nHERE\ntwo"]}', rb"\nHERE\n"),
        (rb'{"a": "C:\\new HERE \\new"}', rb'"a": "C:\\new HERE \\new"'),
        (rb'{"a": "one\ntoken=\"HERE\" x\n"}', rb"\ntoken=\"HERE\" x\n"),
        (rb'{"a\"b": "\"HERE\\"}', rb'"a\"b": "\"HERE\\"'),
    ],
)
def test_a_window_is_a_line_or_a_string_with_its_key(record: bytes, window: bytes) -> None:
    place = record.index(b"HERE")

    found = window_in_record(record, place, place, 0)

    assert found is not None
    assert record[found.start : found.end] == window
    assert found.is_whole == (b"\\n" not in window.replace(b"\\\\", b""))


@pytest.mark.parametrize(
    "record",
    [
        b'{"HERE": "x"}',  # a key
        b'{"a": 1, "HERE": "x"}',
        b'{"a": ["HERE"]}',  # elements belong together
        b'{"a": ["x", "HERE", "y"]}',
        rb'{"a": ["x", "HERE\ny"]}',
        rb'{"a": ["one\nHERE", "x"]}',
        rb'{"a": ["one\nHERE"]}',
        b'{"a": "x", HERE "b": "y"}',  # between strings
        b'{"a": ", HERE"}',  # what follows the quote could follow the end of a string
        b'{"a": "' + LONG + b'HERE"}',  # the line begins far away
        b'{"a": "HERE' + LONG + b'"}',
        b"HERE",
    ],
)
def test_there_is_no_window_where_its_ends_are_not_certain(record: bytes) -> None:
    place = record.index(b"HERE")

    assert window_in_record(record, place, place, 0) is None


def test_a_hit_in_the_end_of_a_line_has_the_next_line_in_its_window() -> None:
    record = rb'{"a": "one\ntwo:\nthree\nfour"}'
    place = record.index(rb"\nthree") + 1

    found = window_in_record(record, place, place, 0)

    assert found is not None
    assert record[found.start : found.end] == rb"\ntwo:\nthree\n"


@pytest.mark.parametrize("reach", [100, 600])
def test_a_window_with_a_reach_holds_all_lines_within_it(reach: int) -> None:
    lines = [f"line {number}" for number in range(1000)]
    record = json.dumps({"a": "\n".join(lines)}).encode()
    place = record.index(b"line 500")

    found = window_in_record(record, place, place, reach)

    assert found is not None
    assert found.start <= place - 2 * reach
    assert found.end >= place + 2 * reach
    text = record[found.start : found.end]
    assert text.startswith(rb"\nline")
    assert text.endswith(rb"\n")


def test_a_window_with_a_reach_ends_where_its_string_does() -> None:
    record = b'{"x": "token", "a": "HERE", "b": "token"}'
    place = record.index(b"HERE")

    found = window_in_record(record, place, place, 600)

    assert found is not None
    assert record[found.start : found.end] == b'"a": "HERE"'


def test_a_text_of_its_own_is_a_window_as_a_whole_or_by_lines() -> None:
    text = rb"one\ntwo HERE\nthree"
    place = text.index(b"HERE")

    assert window_in_text(text, place, place, 0) == (3, 15, False)
    assert window_in_text(text, place, place, 600) == (0, len(text), True)
    assert window_in_text(b"HERE", 0, 0, 0) == (0, 4, True)
    assert window_in_text(LONG + b"HERE", len(LONG), len(LONG), 0) is None
