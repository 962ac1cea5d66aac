"""Text on a screen: tones, tables, wrapped lines and Markdown; plain text everywhere else.

Rich is imported only where something is drawn. It gets every text as `Text`, never as markup: a
title such as `[red]x[/red]` is somebody else's.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, TextIO

from karma_sync.domain.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_NO_SCREEN = ("", "dumb", "unknown")
_HANGING = 4  # columns by which the rest of a wrapped line is indented


class Tone(StrEnum):
    """The meanings of texts; the value is the style in which rich draws it."""

    STUCK = "red"
    WAITS = "yellow"
    CONFIRMED = "green"
    SECONDARY = "dim"
    TITLE = "bold"


@dataclass(frozen=True)
class Line:
    """A line, or a cell of a table, and its tone."""

    text: str
    tone: Tone | None = None


def is_screen(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in _NO_SCREEN


def has_colours(stream: TextIO) -> bool:
    """Whether the stream is a screen, and the person did not set NO_COLOR."""
    return is_screen(stream) and not os.environ.get("NO_COLOR")


def console(stream: TextIO) -> "Console":
    """Return a rich console that interprets nothing in what it prints."""
    return _console_class()(file=stream, highlight=False, markup=False, emoji=False)


@cache
def _console_class() -> "type[Console]":
    from rich.console import Console

    class Screen(Console):
        """Rich ends the process where the person left the pager; here that ends the output."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Screen


def clear_screen(wanted: bool) -> None:
    """Clear the screen if `wanted`; a pipe gets nothing."""
    if wanted and is_screen(sys.stdout):
        sys.stdout.write("\x1b[2J\x1b[H")


def print_drawn(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Print lines in their tones; plain where the stream shows no colours."""
    out = stream or sys.stdout
    if not has_colours(out):
        for line in lines:
            print(line.text, file=out)
        return
    screen = console(out)
    for line in lines:
        screen.print(_drawn(line), soft_wrap=True)


def print_marked(before: str, text: str, marks: Iterable[tuple[int, int]]) -> None:
    """Print a text on a line of its own, after `before`; on a screen the marks stand out."""
    if not has_colours(sys.stdout):
        print(before + text)
        return
    from rich.text import Text

    drawn = Text(before + text)
    for start, end in marks:
        drawn.stylize(f"{Tone.TITLE} {Tone.WAITS}", len(before) + start, len(before) + end)
    console(sys.stdout).print(drawn, soft_wrap=True)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str | Line]]) -> None:
    """Print rows in columns; on a screen, long cells are folded."""
    cells = [[_cell(each) for each in row] for row in rows]
    if not has_colours(sys.stdout):
        for line in columns(header, [[cell.text for cell in row] for row in cells]):
            print(line)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=Tone.TITLE)
    for number, name in enumerate(header):
        # a narrow screen breaks cells, never the word above them
        table.add_column(name, no_wrap=number == 0, overflow="fold", min_width=width_of(name))
    for row in cells:
        table.add_row(*(_drawn(cell) for cell in row))
    console(sys.stdout).print(table)


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines whose columns are as wide as their widest cell, as a screen measures it."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(width_of(line[i]) for line in lines) for i in range(len(header))]
    return [
        "  ".join(
            cell + " " * (width - width_of(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def width_of(text: str) -> int:
    """Return how many columns of a screen a text takes: 2 for most of Chinese and Japanese."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(lines: Sequence[Line]) -> list[Line]:
    """Return the lines as one screen holds them; all of them where there is no terminal.

    A line that is too wide is wrapped, since the reason often stands at its end. If the rows are
    too many, blank rows go first.
    """
    if not sys.stdout.isatty():
        return list(lines)
    from rich.console import Console

    screen = Console()
    rows = [row for line in lines for row in _wrapped(line, screen)]
    room = screen.height - 1  # for the prompt
    if len(rows) > room:
        rows = [row for row in rows if row.text]
    if len(rows) <= room:
        return rows
    left = len(rows) - room + 1
    return [*rows[: room - 1], Line(f"… and {left} more lines: karma-sync status | less")]


def print_markdown(text: str) -> None:
    """Print Markdown as a document on a screen, as it stands elsewhere."""
    if not has_colours(sys.stdout):
        print(text)
        return
    from karma_sync.cli.markdown import document

    console(sys.stdout).print(document(text))


def _wrapped(line: Line, screen: "Console") -> list[Line]:
    if width_of(line.text) <= screen.width:
        return [line]
    from rich.text import Text

    body = line.text.lstrip()
    indent = len(line.text) - len(body)
    room = max(1, screen.width - indent - _HANGING)
    rows = Text(body).wrap(screen, room, overflow="fold")
    margins = [indent, *[indent + _HANGING] * (len(rows) - 1)]
    return [
        Line(" " * margin + row.plain, line.tone) for margin, row in zip(margins, rows, strict=True)
    ]


def _cell(value: str | Line) -> Line:
    """Return a cell on one line, without anything that moves the cursor."""
    cell = value if isinstance(value, Line) else Line(value)
    return Line(" ".join(printable(cell.text).splitlines()).replace("\t", " "), cell.tone)


def _drawn(line: Line) -> "Text":
    from rich.text import Text

    return Text(line.text, style=line.tone or "")
