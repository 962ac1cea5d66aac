"""The lines around places in a text, as it is written and with one layer of escapes undone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.redact.escapes import unescape
from karma_sync.redact.stretches import Around, escaped_lines_around, lines_around
from tests.support.builders import examples

PIECES = [b"\\n", b"\\\\n", b"\\\\\\n", b"\\", b"n", b"\n", b"\\t", b"\\u000a", b'\\"', b"a", b"bc"]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


@pytest.mark.parametrize(
    ("text", "places", "lines"),
    [
        (b"ab\ncd\nef", [4], [b"cd"]),
        (b"ab\ncd\nef", [0, 1, 7], [b"ab", b"ef"]),
        (b"ab\ncd", [], []),
        (b"\n\nab\n", [2], [b"ab"]),
        (b"ab", [0], [b"ab"]),
    ],
)
def test_the_lines_that_hold_a_place_are_found(
    text: bytes, places: list[int], lines: list[bytes]
) -> None:
    assert [text[start:end] for start, end in lines_around(text, places)] == lines


@pytest.mark.parametrize(
    ("text", "places", "stretches"),
    [
        (rb"ab\ncd\nef", [4], [rb"\ncd\n"]),
        (rb"ab\ncd\nef", [0, 8], [rb"ab\n", rb"\nef"]),
        (rb"ab\ncd\nef", [3], [rb"ab\ncd\n"]),  # the place is in an escape: the lines around it
        (rb"C:\\new\ncd", [5], [rb"C:\\new\n"]),  # an escaped backslash, then an n
        (rb"ab\\\ncd", [0], [rb"ab\\\ncd"]),  # too many backslashes to be certain
        (b"ab\ncc\\nd\nef", [3], [rb"cc\n"]),
        (b"ab", [0], [b"ab"]),
    ],
)
def test_stretches_end_where_unescaped_lines_end(
    text: bytes, places: list[int], stretches: list[bytes]
) -> None:
    found = [
        text[start:end]
        for start, end in escaped_lines_around(text, [Around(at, at) for at in places])
    ]

    assert found == stretches


@examples(500)
@given(texts, st.data())
def test_stretches_hold_whole_lines_and_all_places(text: bytes, data: st.DataObject) -> None:
    within = st.integers(0, max(0, len(text) - 1))
    places = sorted(data.draw(st.sets(within, max_size=4))) if text else []

    found = list(escaped_lines_around(text, [Around(at, at) for at in places]))

    for place in places:
        assert any(start <= place <= end for start, end in found)
    for start, end in found:
        before, within_it, after = map(unescape, (text[:start], text[start:end], text[end:]))
        assert before + within_it + after == unescape(text)  # no escape is split
        assert not before or before.endswith(b"\n") or within_it.startswith(b"\n")
        assert not after or after.startswith(b"\n") or within_it.endswith(b"\n")
