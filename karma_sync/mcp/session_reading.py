"""Gives an agent a session in parts: first what it is about, then what stands around a message."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from karma_sync.agents.growing_file import skipped
from karma_sync.domain.session.conversation import Message, Who
from karma_sync.domain.session.quoting import clipped, quoted, quoted_line
from karma_sync.domain.session.source_files import TRANSCRIPT
from karma_sync.library.conversation import conversation
from karma_sync.library.reader import Readable
from karma_sync.mcp.answers import READ_BYTES, Item, Page, PageCursor, ToolAnswer
from karma_sync.mcp.texts import message_item, moment, prompt_item, source_of, title_of, whole_id
from karma_sync.mcp.view import AgentView
from karma_sync.service.sessions.search import locate

_MOST_BYTES = 32_000_000  # of a transcript are read for one answer
_BEFORE_BYTES = 100_000  # before a message, in which those before it are looked for
_BEFORE_SHARE = 3  # at most a third of the room is for what stands before the message
_LAST_CHARS = 600
_LIST_CHARS = 300


@dataclass(frozen=True)
class SessionPart:
    """One session as an agent reads it."""

    view: AgentView
    readable: Readable
    cursor: PageCursor

    def overview(self, place: str) -> ToolAnswer:
        """What the session is, its prompts, how it ends; from the prompt with the id `place` on."""
        page = Page(self._head(), READ_BYTES)
        file, begin = self._located(place) if place else (TRANSCRIPT, 0)
        last = ""
        for message in self._messages(file, begin):
            if message.who is Who.USER and not page.add(prompt_item(self.readable, message)):
                if not message.id:  # no cursor could name it
                    return page.answer(note="More prompts follow; they have no ids.")
                return page.answer(self.cursor.at(message.id))
            if message.who is Who.ASSISTANT and message.text:
                last = message.text
        if last:
            page.add(Item(f"The last answer: {clipped(quoted(last), _LAST_CHARS)}", ""))
        return page.answer(note="Read around a message: id SESSION@MESSAGE.")

    def around(self, wanted: str, place: str) -> ToolAnswer:
        """The message with the id that begins with `wanted`, some before it, and those after it.

        With `place`, the messages from the one with that id on.

        Raises:
            NotFound: the session has no such message.
        """
        wanted = place or wanted
        file, at = self._located(wanted)
        begin = 0 if place and at == 0 else max(0, at - _BEFORE_BYTES)
        page = Page(self._line(), READ_BYTES)
        before: list[Item] = []
        found = False
        for message in self._messages(file, begin):
            item = self._item(message)
            if found:
                if not page.add(item):
                    return page.answer(self.cursor.at(message.id) if message.id else None)
            elif any(name.startswith(wanted) for name in message.ids):
                found = True
                fitting = [] if place else _last_that_fit(before, page.room // _BEFORE_SHARE)
                for each in (*fitting, item):
                    page.add(each)
            else:
                before = [*before[-8:], item]
        return page.answer(note="The session ends here.")

    def _item(self, message: Message) -> Item:
        return message_item(self.readable, message, self.readable.manifest.session.wrote)

    def _located(self, message: str) -> tuple[str, int]:
        return locate(self.view.sessions, self.view.scope, self.readable, message)

    def _messages(self, file: str, begin: int) -> Iterator[Message]:
        pieces = self.view.sessions.content(self.view.scope, self.readable, file)
        rest = skipped(pieces, begin)
        lines = _without_first_line(rest) if begin else rest
        return conversation(self.readable.manifest.session.agent, _first(lines, _MOST_BYTES))

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


def _without_first_line(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces from the first line end on: they may begin within a line."""
    for piece in pieces:
        _, end, rest = piece.partition(b"\n")
        if end:
            yield rest
            break
    yield from pieces


def _first(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The pieces until there were so many bytes."""
    for piece in pieces:
        yield piece
        most -= len(piece)
        if most <= 0:
            return
