"""The output on a screen and in a pipe: columns, tones, Markdown, texts of others."""

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest

from karma_sync.cli.output import ago, print_error, size, span
from karma_sync.cli.pager import paged
from karma_sync.cli.screen import Line, Tone, columns, print_drawn, print_markdown, print_table

HEADER = ("ID", "AUTHOR", "TITLE")
JAPANESE = "ログインの不具合を直す"
HOSTILE = ("[red]x[/red]", "[link=https://evil.example]here[/link]", "[bold", ":smile:")


class Terminal(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a colour terminal of 80 columns."""
    for name, value in (("TERM", "xterm"), ("COLUMNS", "80"), ("LINES", "24")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)


def on_terminal(draw: Callable[[], None]) -> str:
    """The standard output and standard error of `draw` as a terminal shows them."""
    terminal = Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        draw()
    return terminal.getvalue()


def test_columns_stay_aligned_beside_a_title_of_wide_characters() -> None:
    lines = columns(("TITLE", "SIZE"), [(JAPANESE, "1 kB"), ("plain", "2 kB")])

    assert lines == [
        "TITLE                   SIZE",
        f"{JAPANESE}  1 kB",
        "plain                   2 kB",
    ]


def test_a_table_in_a_pipe_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADER, [("3a78", Line("by bob", Tone.CONFIRMED), "Fix"), ("9f", "you", "")])

    assert capsys.readouterr().out == (
        "ID    AUTHOR  TITLE\n3a78  by bob  Fix\n9f    you\n"  # no blanks at the end of a line
    )


def draw_all() -> None:
    print_table(("ID", "WHY"), [("1", Line("stuck", Tone.STUCK))])
    print_drawn([Line("waits", Tone.WAITS)])
    print_markdown("# Title\n\n*text*")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_a_plain_terminal_gets_the_text_of_a_pipe(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert on_terminal(draw_all) == "ID  WHY\n1   stuck\nwaits\n# Title\n\n*text*\n"


@pytest.mark.parametrize(
    ("tone", "code"),
    [(Tone.STUCK, "31"), (Tone.WAITS, "33"), (Tone.CONFIRMED, "32"), (Tone.SECONDARY, "2")],
)
def test_each_tone_has_its_colour(tone: Tone, code: str) -> None:
    assert on_terminal(lambda: print_drawn([Line("text", tone)])) == f"\x1b[{code}mtext\x1b[0m\n"


def in_table(text: str) -> None:
    print_table(("ID", "TITLE"), [("1", text)])


def in_line(text: str) -> None:
    print_drawn([Line(text)])


def in_error(text: str) -> None:
    print_error(text, "")


@pytest.mark.parametrize("draw", [in_table, in_line, in_error])
@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_text_of_others_is_shown_as_it_is(
    draw: Callable[[str], None], text: str
) -> None:
    assert text in on_terminal(lambda: draw(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_markdown_of_others_starts_no_link_and_no_colour(text: str) -> None:
    shown = on_terminal(lambda: print_markdown(text))

    assert text in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "Use Vec<String>",
        "<thinking>\nsecret plan\n</thinking>\nok",
        "<!-- x -->visible",
        "> " * 25 + "deep",
        "[ref]: https://evil.example 'hidden'",
        "line one\nline two",
    ],
)
def test_markdown_hides_no_word_of_the_text(text: str) -> None:
    shown = [line.rstrip() for line in on_terminal(lambda: print_markdown(text)).splitlines()]

    assert [line for line in shown if line] == text.splitlines()


def test_an_entity_in_markdown_cannot_turn_the_direction_of_a_line() -> None:
    shown = on_terminal(lambda: print_markdown("a &#x202e; b &rlm; c"))

    assert not {"\u202e", "\u200f"} & set(shown)


def test_a_link_in_markdown_shows_where_it_leads() -> None:
    text = "see [the docs](https://evil.example)\n\n```python\nimport os\n```"
    shown = on_terminal(lambda: print_markdown(text))

    assert "https://evil.example" in shown
    assert "\x1b]8" not in shown  # OSC 8 makes a clickable link
    assert "import os" in shown


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\u202e", "\n", "\r", "\t"])
def test_a_cell_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str], character: str) -> None:
    print_table(("ID", "TITLE"), [("1", f"a{character}b")])

    assert character not in capsys.readouterr().out.replace("\n", "", 2)


def test_an_error_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("a\x1b[2Jb", "c\x1b[2Jd")

    assert "\x1b" not in capsys.readouterr().err


def test_a_command_in_a_long_line_is_not_broken() -> None:
    command = "karma-sync project map " + "x" * 90

    assert command in on_terminal(lambda: print_drawn([Line(f"Next: {command}")]))


def test_sizes_and_times_are_in_words() -> None:
    assert [size(n) for n in (1, 512, 9_700, 1_400_000)] == [
        "1 Byte",
        "512 Bytes",
        "9.7 kB",
        "1.4 MB",
    ]
    assert [span(n) for n in (40, 130, 600)] == ["40 seconds", "2 minutes", "10 minutes"]
    assert ago(None) == "never"


def test_a_narrow_screen_breaks_no_word_of_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    row = ["180bce32", "github.com/acme/web", "a long title of a session that does not fit", "both"]
    shown = on_terminal(lambda: print_table(("ID", "PROJECT", "TITLE", "DIRECTION"), [row]))

    assert re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()[0].split()[-1] == "DIRECTION"


@pytest.mark.parametrize("pager", ["cat", "/nonexistent/pager"])
def test_what_is_shown_without_a_pager_stays_until_the_person_has_seen_it(
    monkeypatch: pytest.MonkeyPatch, pager: str
) -> None:
    monkeypatch.setenv("PAGER", pager)
    typed = io.StringIO("\nmore\n")
    monkeypatch.setattr("sys.stdin", typed)

    def draw() -> None:
        with paged(stays=True):
            print("a session")

    assert on_terminal(draw) == "a session\nEnter goes back.\n"
    assert typed.read() == "more\n"


def test_a_person_who_leaves_the_pager_ends_the_output_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAGER", "true")
    printed = 0

    def draw() -> None:
        nonlocal printed
        with paged():
            for _ in range(100_000):
                print_drawn([Line("x" * 80, Tone.TITLE)])
                printed += 1
        print("after it")

    assert on_terminal(draw) == "after it\n"
    assert printed < 100_000
