"""The answers of tools: a text with a limit, in a frame, and the ids of everything in it."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from karma_sync.errors import BadCursor

SEARCH_BYTES = 4_096  # of a text with hits, its frame included
READ_BYTES = 8_192  # of a part of a session
CONTEXT_BYTES = 2_048  # of the answer when an agent's session begins
MOST_ITEMS = 30
MESSAGE_CHARS = 2_000
_FRAME_BYTES = 130  # two marks and their line ends
_CURSOR_BYTES = 160
_MOST_DIGITS = 16
_CUT = " [cut]"

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """One thing in an answer: its text, and its id, as `read_session` takes it."""

    text: str
    id: str


@dataclass(frozen=True)
class ToolAnswer:
    """The text of an answer, not framed yet; the ids in it; where the next answer goes on."""

    text: str
    ids: Sequence[str] = ()
    next: str | None = None

    @property
    def truncated(self) -> bool:
        """Whether there is more."""
        return self.next is not None


@dataclass
class Page:
    """A text of at most `limit` bytes with its frame; it begins with `head`."""

    head: str
    limit: int = SEARCH_BYTES
    _lines: list[str] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)
    _size: int = 0

    @property
    def room(self) -> int:
        """The bytes that are left."""
        used = len(self.head.encode()) + self._size + _FRAME_BYTES + _CURSOR_BYTES
        return self.limit - used

    def add(self, item: Item) -> bool:
        """Add an item if it fits; whether it did."""
        needed = len(item.text.encode()) + 1
        if needed > self.room:
            return False
        self._lines.append(item.text)
        self._size += needed
        if item.id:
            self._ids.append(item.id)
        return True

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._lines

    @property
    def is_full(self) -> bool:
        """Whether it has as many items as it may."""
        return len(self._ids) >= MOST_ITEMS

    def fill(self, found: Sequence[T], shown: Callable[[T], Item | None]) -> int:
        """Add as many as fit, 30 at most; how many of `found` are dealt with.

        What `shown` gives None for is left out. The first item is cut if it is too large: whoever
        made it so long must not hide those after it.
        """
        before = len(self._lines)
        for number, each in enumerate(found):
            if self.is_full:
                return number
            item = shown(each)
            if item is None or self.add(item):
                continue
            if len(self._lines) > before or not self.add(self._cut(item)):
                return number
        return len(found)

    def _cut(self, item: Item) -> Item:
        """An item with as much of its text as there is room for."""
        room = max(0, self.room - len(_CUT.encode()) - 1)
        return Item(item.text.encode()[:room].decode(errors="ignore") + _CUT, item.id)

    def answer(self, next_: str | None = None, note: str = "") -> ToolAnswer:
        """The answer with everything that was added, and the cursor of the next page."""
        lines = [self.head, *self._lines, *([note] if note and not next_ else [])]
        if next_:
            lines.append(f"More: call again with cursor {next_}")
        return ToolAnswer("\n".join(lines), tuple(self._ids), next_)


@dataclass(frozen=True)
class PageCursor:
    """The place at which a question goes on: opaque to agents, and good for that question alone."""

    question: str

    @classmethod
    def of(cls, tool: str, *asked: str) -> "PageCursor":
        """The cursors of a tool for these arguments."""
        text = json.dumps([tool, *asked]).encode()
        return cls(hashlib.sha256(text).hexdigest()[:8])

    def at(self, place: str | int) -> str:
        """The cursor that goes on at a place."""
        text = json.dumps([self.question, str(place)]).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    def place(self, cursor: str) -> str:
        """The place that a cursor names; "" without one.

        Raises:
            BadCursor: it is none of this question.
        """
        if not cursor:
            return ""
        try:
            padded = cursor.encode() + b"=" * (-len(cursor) % 4)
            question, place = json.loads(base64.b64decode(padded, b"-_", validate=True))
        except (ValueError, TypeError):
            question, place = "", ""
        if question != self.question or not isinstance(place, str):
            raise _bad_cursor()
        return place

    def numbers(self, cursor: str) -> tuple[int, int]:
        """The same where a place is two numbers; (0, 0) without a cursor."""
        first, _, second = (self.place(cursor) or "0.0").partition(".")
        if not all(each.isdecimal() and len(each) < _MOST_DIGITS for each in (first, second)):
            raise _bad_cursor()
        return int(first), int(second)

    def number(self, cursor: str) -> int:
        """The same where a place is a number; 0 without a cursor."""
        place = self.place(cursor)
        if place and not (place.isdecimal() and len(place) < _MOST_DIGITS):
            raise _bad_cursor()
        return int(place or 0)


def _bad_cursor() -> BadCursor:
    return BadCursor(
        "this cursor belongs to no answer to the same question",
        hint="ask without a cursor, or take `next` of the last answer unchanged",
    )
