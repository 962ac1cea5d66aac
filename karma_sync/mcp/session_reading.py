"""Gives an agent a session in parts: first what it is about, then what stands around a message."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from zlib import crc32

from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.session.conversation import Message, Who
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.domain.session.quoting import clipped, quoted, quoted_line
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import NotFound
from karma_sync.library.conversation import conversation
from karma_sync.mcp.answers import READ_BYTES, Item, Page, PageCursor, ToolAnswer
from karma_sync.mcp.texts import message_item, moment, prompt_item, source_of, title_of, whole_id
from karma_sync.mcp.view import AgentView
from karma_sync.service.sessions.finding_messages import MessageFinder

_MOST_BYTES = 32_000_000  # of a session are read for one answer
_BEFORE_BYTES = 100_000  # before a message, searched for earlier messages
_BEFORE_SHARE = 3  # at most a third of the room is for text before the message
_LAST_CHARS = 600
_LIST_CHARS = 300
_END = "The session ends here."


@dataclass(frozen=True)
class SessionPart:
    """One session as an agent reads it.

    A cursor names a file of the session by its number, and the byte at which to continue: each
    part begins after the last one, even if several records have one ID.
    """

    view: AgentView
    readable: Readable
    cursor: PageCursor

    def overview(self, asked: str) -> ToolAnswer:
        """The session's header, prompts and end; with a cursor, the prompts from there."""
        page = Page(self._head(), READ_BYTES)
        part = self._part(TRANSCRIPT, self.cursor.numbers(asked)[1])
        last = ""
        for message in part.messages():
            if message.who is Who.USER and not page.add(prompt_item(self.readable, message)):
                return page.answer(self._cursor_at(part, message.at))
            if message.who is Who.ASSISTANT and message.text:
                last = message.text
        if part.more:
            return page.answer(self._cursor_at(part, part.at))
        if last:
            page.add(Item(f"The last answer: {clipped(quoted(last), _LAST_CHARS)}", ""))
        return page.answer(note="Read around a message: id SESSION@MESSAGE.")

    def around(self, wanted: str, asked: str) -> ToolAnswer:
        """The message whose id begins with `wanted`, some before it, and those after it.

        With a cursor, the messages from there on.

        Raises:
            NotFound: the session has no such message.
        """
        page = Page(self._line(), READ_BYTES)
        if asked:
            mark, at = self.cursor.numbers(asked)
            return self._rest(page, self._part(self._file(mark), at))
        finder = MessageFinder(self.view.sessions, self.view.scope, self.readable)
        file, at = finder.find(wanted, _MOST_BYTES)
        part = self._part(file, max(0, at - _BEFORE_BYTES))
        before: list[Item] = []
        for message in part.messages():
            if message.at >= at or any(name.startswith(wanted) for name in message.ids):
                for each in _last_that_fit(before, page.room // _BEFORE_SHARE):
                    page.add(each)
                page.fill([self._item(message)], _itself)
                return self._rest(page, part)
            before = [*before[-8:], self._item(message)]
        for each in _last_that_fit(before, page.room):
            page.add(each)
        return page.answer(note=_END)

    def _rest(self, page: Page, part: "_Part") -> ToolAnswer:
        """The messages that follow, as many as fit; a page has one at least."""
        for message in part.messages():
            item = self._item(message)
            if page.is_empty:
                page.fill([item], _itself)
            elif not page.add(item):
                return page.answer(self._cursor_at(part, message.at))
        return page.answer(self._cursor_at(part, part.at) if part.more else None, _END)

    def _item(self, message: Message) -> Item:
        return message_item(self.readable, message, self.readable.manifest.session.wrote)

    def _part(self, file: str, begin: int) -> "_Part":
        agent = self.readable.manifest.session.agent

        def content(begin: int) -> Iterator[bytes]:
            return self.view.sessions.content(self.view.scope, self.readable, file, begin)

        return _Part(agent, file, content, begin)

    def _cursor_at(self, part: "_Part", at: int) -> str:
        return self.cursor.at(f"{_mark(part.file)}.{at}")

    def _file(self, mark: int) -> str:
        for file in self.readable.manifest.files:
            if _mark(file.path) == mark:
                return file.path
        raise NotFound("this part of the session is gone")

    def _line(self) -> str:
        facts = self.readable.manifest.session
        when = facts.last_activity
        return f"{title_of(self.readable)}\n{source_of(self.readable, when)}"

    def _head(self) -> str:
        manifest = self.readable.manifest
        facts = manifest.session
        lines = [
            self._line(),
            f"session {whole_id(self.readable)} in {quoted_line(manifest.project, _LIST_CHARS)}",
            f"from {moment(facts.first_activity)}, {facts.records} records,"
            f" {facts.prompts} prompts{', live' if self.view.is_live(self.readable) else ''}",
        ]
        for what, values in (("branches", facts.branches), ("models", facts.models)):
            if values:
                lines.append(f"{what}: {quoted_line(', '.join(values), _LIST_CHARS)}")
        return "\n".join([*lines, "Prompts:"])


def _last_that_fit(items: Iterable[Item], room: int) -> list[Item]:
    """The last of these whose texts fit together."""
    found: list[Item] = []
    for item in reversed(list(items)):
        room -= len(item.text.encode()) + 1
        if room < 0:
            break
        found.insert(0, item)
    return found


class _Part:
    """The messages in one file of a session from a byte on, of `_MOST_BYTES` at most.

    `content` returns the file from a byte on. `at` is how far it was read; `more` is true
    if something is left after that.
    """

    def __init__(
        self, agent: str, file: str, content: Callable[[int], Iterator[bytes]], begin: int
    ) -> None:
        self.file = file
        self.at = begin
        self.more = False
        self._agent = agent
        self._content = content
        self._messages = self._read()

    def messages(self) -> Iterator[Message]:
        """The messages that nobody took yet; `at` counts from the beginning of the file."""
        return self._messages

    def _read(self) -> Iterator[Message]:
        lines = self._lines()
        first = next(lines, b"")
        begin = self.at
        for message in conversation(self._agent, chain([first], lines)):
            yield replace(message, at=begin + message.at)

    def _lines(self) -> Iterator[bytes]:
        """The lines that begin at the first byte or behind it."""
        begin = self.at
        pieces = self._content(max(0, begin - 1))
        lines = (line for block in whole_lines(pieces) for line in BytesIO(block))
        if begin:
            begin += len(next(lines, b"\n")) - 1
        self.at = begin
        for line in lines:
            if self.at - begin >= _MOST_BYTES:
                self.more = True
                return
            yield line
            self.at += len(line)


def _mark(file: str) -> int:
    """The number of a file in a cursor."""
    return crc32(file.encode())


def _itself(item: Item) -> Item:
    return item
