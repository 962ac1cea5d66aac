"""Answers: how much fits in one, and where the next goes on."""

import pytest

from karma_sync.domain.session.frame import Frames
from karma_sync.errors import BadCursor, NoProject, NotFound
from karma_sync.mcp.answers import MOST_ITEMS, SEARCH_BYTES, Item, Page, PageCursor, ToolAnswer
from karma_sync.mcp.desk import Given, marks_around, reason_of
from karma_sync.mcp.server import result_of, tool_list
from karma_sync.mcp.tools import TOOLS


def framed(answer: ToolAnswer) -> str:
    return Given(answer, *Frames(b"key").marks()).framed


@pytest.mark.parametrize("letters", ["x" * 300, "日本語" * 100, "x"])
def test_a_page_holds_what_fits_its_limit_and_thirty_items(letters: str) -> None:
    page = Page("head")
    done = page.fill(range(1000), lambda number: Item(f"{number} {letters}", str(number)))
    answer = page.answer(PageCursor.of("search", "x" * 1000).at(done))

    assert len(framed(answer).encode()) <= SEARCH_BYTES
    assert done == len(answer.ids) <= MOST_ITEMS
    assert done == MOST_ITEMS or len(framed(answer).encode()) > SEARCH_BYTES - 1400


def test_a_cursor_goes_on_with_the_same_question_alone() -> None:
    cursor = PageCursor.of("search", "retry")

    assert cursor.number(cursor.at(42)) == 42
    assert cursor.number("") == 0
    for bad in (
        PageCursor.of("search", "other").at(42),
        "x",
        "é",
        "e30",
        cursor.at("-1"),
        "A" * 900,
    ):
        with pytest.raises(BadCursor):
            cursor.number(bad)


def test_the_digits_of_the_marks_stand_nowhere_in_the_answer() -> None:
    class Known(Frames):
        made = 0

        def marks(self) -> tuple[str, str]:
            Known.made += 1
            digits = "a" * 32 if Known.made < 3 else "b" * 32
            return f"[[karma-sync begin {digits}]]", f"[[karma-sync end {digits}]]"

    begin, _ = marks_around(Known(b""), ToolAnswer(f"says {'a' * 32}"))

    assert "b" * 32 in begin


def test_the_structured_content_is_framed_from_its_first_value_to_its_last() -> None:
    given = Given(ToolAnswer("text", ("bob.box:1@2",), "more"), "BEGIN", "END")
    structured = result_of(given).structured_content

    assert structured is not None
    assert list(structured.values()) == ["BEGIN\ntext", ["bob.box:1@2"], True, "more", "END"]


def test_an_error_has_a_reason_code() -> None:
    assert reason_of(NotFound("x")) == "not-found"
    assert reason_of(NoProject("x")) == "no-project"


def test_the_tools_take_little_of_an_agents_context() -> None:
    said = tool_list().model_dump_json(by_alias=True, exclude_none=True)

    assert len(said) <= 4_000
    assert len(TOOLS) == 5


def test_each_tool_only_reads_and_says_what_it_answers() -> None:
    for tool in tool_list().tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.annotations.idempotent_hint
        assert tool.annotations.open_world_hint is False
        assert tool.output_schema is not None
