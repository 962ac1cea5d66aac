"""Every text that a person types is a query."""

import sqlite3
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from karma_sync.domain.session.bigrams import bigrams
from karma_sync.domain.session.marks import folded, marks, pattern_of, snippet
from karma_sync.domain.session.query import Filter, Key, Query, Word, moment
from karma_sync.store.search_index import COLUMNS
from tests.support.builders import NOW, examples


def parsed(text: str) -> Query:
    return Query.parse(text, NOW)


def test_words_phrases_exclusions_and_beginnings() -> None:
    assert parsed('retry "back off" -draft conf* -"a b"').words == (
        Word("retry"),
        Word("back off"),
        Word("draft", unwanted=True),
        Word("conf", prefix=True),
        Word("a b", unwanted=True),
    )


def test_filters() -> None:
    assert parsed('by:alice -project:web model:"opus 4" BRANCH:main').filters == (
        Filter(Key.BY, "alice"),
        Filter(Key.PROJECT, "web", unwanted=True),
        Filter(Key.MODEL, "opus 4"),
        Filter(Key.BRANCH, "main"),
    )


def test_what_is_given_again_counts_once() -> None:
    found = parsed("the by:alice the -the by:alice " * 3000)

    assert found.words == (Word("the"), Word("the", unwanted=True))
    assert found.filters == (Filter(Key.BY, "alice"),)
    assert found.notes == ()


@pytest.mark.parametrize("begin", ["", "-", "by:", "-file:", "since:", "no:"])
def test_of_very_much_text_the_beginning_counts_and_that_is_said(begin: str) -> None:
    found = parsed(" ".join(f"{begin}{number}d" for number in range(5000)))

    assert len(found.words) + len(found.filters) == 100
    assert len(found.notes) <= 101
    assert "first 100" in found.notes[-1]


@pytest.mark.parametrize("text", ['"{}"', "{}/", "-{}", "by:{}", 'by:"{}"', "no:{}"])
def test_of_a_very_long_word_the_beginning_counts_and_that_is_said(text: str) -> None:
    found = parsed(text.format("ab/" * 50_000))

    [word] = found.words
    assert word.prefix
    assert word.unwanted == text.startswith("-")
    assert len(word.text) == 1000
    assert "first 1000" in found.notes[0]
    assert len(found.notes[0]) < 100


@pytest.mark.parametrize(
    "text",
    ["http://x.org/a", "by:", "by: alice", "since:soon", "is:green", "foo:bar", "file:***", "::"],
)
def test_what_is_no_filter_is_words(text: str) -> None:
    found = parsed(text)

    assert found.filters == ()
    assert found.words


@pytest.mark.parametrize("text", ["since:soon", "is:green", "tool:-"])
def test_a_filter_with_a_wrong_value_is_said(text: str) -> None:
    assert len(parsed(text).notes) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("today", datetime(2026, 5, 31, tzinfo=UTC)),
        ("yesterday", datetime(2026, 5, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 5, 31, 10, tzinfo=UTC)),
        ("1w", datetime(2026, 5, 24, 12, tzinfo=UTC)),
    ],
)
def test_moments(text: str, found: datetime) -> None:
    assert moment(text, NOW) == found


@pytest.fixture(scope="module")
def index() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.execute(
        f"CREATE VIRTUAL TABLE f USING fts5 ({', '.join(COLUMNS)}, content='',"
        " tokenize = 'unicode61 remove_diacritics 2')"
    )
    return made


# what people paste: code, paths, quotes, half of them; and what no keyboard has
pasted = st.sampled_from(
    ["src/auth.py:42", "x = \"a\" if b else 'c'", "C:\\Users\\a b", "a AND b OR", "NEAR(a b, 3)"]
    + ["{title} : x", "col:*", "^x", "🚀🎉", "検索", "é", "-", '"', "--flag", "^", "*", "(", "a*b*"]
)
anything = st.text() | st.lists(pasted | st.text(max_size=8), max_size=12).map(" ".join)


@examples(400)
@given(anything)
@example('"')
@example("-\0*")
@example("検")
@example("a" * 5000)
@example(" ".join("abc" for _ in range(3000)))
@example("\ud83d by:x")
def test_any_input_is_a_query_that_the_index_takes(index: sqlite3.Connection, text: str) -> None:
    found = parsed(text)

    for expression in filter(None, (found.match(), found.refused())):
        index.execute("SELECT rowid FROM f WHERE f MATCH ?", [expression]).fetchall()


@examples(200)
@given(anything, anything)
def test_any_text_can_be_marked_and_cut(text: str, query: str) -> None:
    places = marks(text, pattern_of(parsed(query).wanted))
    shown, shown_marks = snippet(text, places, 40)

    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(0 <= start <= end <= len(shown) for start, end in shown_marks)
    assert len(folded(text)) == len(text)


def marked(text: str, query: str) -> list[str]:
    shown, places = snippet(text, marks(text, pattern_of(parsed(query).wanted)), 60)
    return [shown[start:end] for start, end in places]


def test_words_are_marked_as_the_index_finds_them() -> None:
    assert marked("The Café\n\n  is a CAFE, no cafeteria", "cafe") == ["Café", "CAFE"]
    assert marked("configure the Config now", "conf*") == ["configure", "Config"]
    assert marked("in src/auth/login_page.py", "login_page.py") == ["login_page.py"]
    assert marked("全文検索機能です", "検索") == ["検索"]
    assert marked("x " * 500 + "needle " + "y " * 500, "needle") == ["needle"]


def test_text_without_spaces_gives_its_pairs() -> None:
    assert bigrams(("abc 検索機 x", "", "語")) == "検索 索機 機 語"
    assert bigrams(("plain", "–")) == ""


def test_an_unknown_filter_is_searched_for_as_words_and_the_known_ones_are_named() -> None:
    query = Query.parse("author:alice retry", NOW)

    assert [word.text for word in query.words] == ["author:alice", "retry"]
    [note] = query.notes
    assert note.startswith("author:alice is searched for as words: author is none of by, project,")


@pytest.mark.parametrize(
    "text", ["localhost:8080", "http://x", "a::b", "C:\\x", "x:=1", '"author:alice"', "12:30"]
)
def test_what_is_no_filter_by_its_look_needs_no_note(text: str) -> None:
    assert Query.parse(text, NOW).notes == ()
