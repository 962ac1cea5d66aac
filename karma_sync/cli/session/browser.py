"""The screen of `browse`: a list of sessions that is filtered while one types, with a preview.

Every text in it is somebody else's, so it is shown as it is: nothing is markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

MOST_SHOWN = 500
_SEARCH = "/"
_PLACEHOLDER = "type to filter; / searches in what was said"


class BrowsedRow(NamedTuple):
    """A session in the list: its number among all of them, its line, and what a filter looks at."""

    number: int
    line: str
    text: str


@dataclass(frozen=True)
class Actions:
    """The functions that the screen calls.

    `preview` and `who` return a text, `search` the rows that fit. `show` returns the reason why
    it showed nothing, "" if it did.
    """

    preview: Callable[[BrowsedRow], str]
    who: Callable[[BrowsedRow], str]
    search: Callable[[str], Sequence[BrowsedRow]]
    show: Callable[[BrowsedRow], str]


class BrowserChoice(NamedTuple):
    """The action that the person chose; it is carried out after the screen is closed."""

    verb: str
    row: BrowsedRow


def fitting(rows: Sequence[BrowsedRow], typed: str) -> list[BrowsedRow]:
    """The rows that have every word that was typed, in any case."""
    words = typed.lower().split()
    return [row for row in rows if all(word in row.text for word in words)]


class SessionPicker(OptionList):
    """The list; letters that are no commands go on filtering."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "app.who", "who else"),
        Binding("f", "app.fork", "fork"),
        Binding("slash", "app.search", "search"),
    ]

    def on_key(self, event: events.Key) -> None:
        """Add typed letters to the filter."""
        if event.is_printable and event.character and event.character not in "wf/ ":
            field = self.app.query_one(Input)
            field.focus()
            field.value += event.character
            field.cursor_position = len(field.value)
            event.stop()


class Browser(App[BrowserChoice]):
    """Lists sessions; its result is the action to carry out after it, if any."""

    CSS = """
    #left { width: 45%; }
    SessionPicker { height: 1fr; }
    VerticalScroll { width: 1fr; border-left: solid $primary; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,tab", "list", "to the list", show=False, priority=True),
        Binding("up", "up", show=False, priority=True),
        Binding("enter", "show", "show", priority=True),
        Binding("escape", "quit", "quit", priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, rows: Sequence[BrowsedRow], actions: Actions) -> None:
        super().__init__()
        self._rows = rows
        self._actions = actions
        self._shown: list[BrowsedRow] = []

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        with Horizontal():
            with Vertical(id="left"):
                yield Input(placeholder=_PLACEHOLDER, select_on_focus=False)
                yield SessionPicker(markup=False)
            with VerticalScroll():
                yield Static(markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin with all sessions."""
        self._list(self._rows)
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter the list; a search begins with a slash."""
        typed = event.value
        if typed.startswith(_SEARCH):
            words = typed.removeprefix(_SEARCH).strip()
            self.run_worker(partial(self._search, words), thread=True, exclusive=True, group="list")
        else:
            self.workers.cancel_group(self, "list")
            self._list(fitting(self._rows, typed))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the beginning of the session beside the list."""
        self._explain(self._actions.preview)

    def action_list(self) -> None:
        """Go to the list, and down in it."""
        picker = self.query_one(SessionPicker)
        if picker.has_focus:
            picker.action_cursor_down()
        picker.focus()

    def action_up(self) -> None:
        """Go up in the list, or back to the filter."""
        picker = self.query_one(SessionPicker)
        if picker.has_focus and picker.highlighted:
            picker.action_cursor_up()
        else:
            self.query_one(Input).focus()

    def action_show(self) -> None:
        """Show the whole session."""
        if row := self._row():
            with self.suspend():
                failure = self._actions.show(row)
            if failure:
                self._show_text(row, failure)

    def action_who(self) -> None:
        """Say who else worked on the files of the session."""
        self._explain(self._actions.who)

    def action_fork(self) -> None:
        """Leave, and go on from the session."""
        if row := self._row():
            self.exit(BrowserChoice("fork", row))

    def action_search(self) -> None:
        """Begin a search."""
        field = self.query_one(Input)
        field.focus()
        field.value = _SEARCH
        field.cursor_position = len(_SEARCH)

    def _list(self, rows: Sequence[BrowsedRow]) -> None:
        self._shown = list(rows[:MOST_SHOWN])
        picker = self.query_one(SessionPicker)
        picker.clear_options()
        picker.add_options([Option(Content(row.line)) for row in self._shown])
        picker.highlighted = 0 if self._shown else None
        if not self._shown:
            self.query_one(Static).update(Content("Nothing fits."))

    def _row(self) -> BrowsedRow | None:
        at = self.query_one(SessionPicker).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def _search(self, words: str) -> None:
        found = self._actions.search(words) if words else self._rows
        self.call_from_thread(self._list, found)

    def _explain(self, explain: Callable[[BrowsedRow], str]) -> None:
        if row := self._row():
            work = partial(self._explained, explain, row)
            self.run_worker(work, thread=True, exclusive=True, group="preview")

    def _explained(self, explain: Callable[[BrowsedRow], str], row: BrowsedRow) -> None:
        text = explain(row)
        self.call_from_thread(self._show_text, row, text)

    def _show_text(self, row: BrowsedRow, text: str) -> None:
        if row == self._row():
            self.query_one(Static).update(Content(text))
            self.query_one(VerticalScroll).scroll_home(animate=False)
