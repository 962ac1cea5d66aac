"""Draws a conversation: prompts, answers, a line for each tool, changes as diffs, marks."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from karma_sync.cli.output import print_line, size
from karma_sync.cli.screen import Line, Tone, print_drawn, print_markdown
from karma_sync.domain.session.conversation import (
    Attached,
    Change,
    FileChanges,
    Mark,
    MarkKind,
    Message,
    Part,
    Said,
    Thought,
    ToolCall,
    Who,
)

_RESULT_CHARS = 20_000  # of one tool's result, with --tools full


class ToolDetail(StrEnum):
    """The detail in which each tool is shown."""

    NONE = "none"
    SHORT = "short"  # one line
    FULL = "full"  # with its input and its result


@dataclass(frozen=True)
class View:
    """The part of a conversation that is shown; `last` counts prompts from the end, 0 for all."""

    tools: ToolDetail = ToolDetail.SHORT
    diffs: bool = False
    prompts_only: bool = False
    last: int = 0

    def pick(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages that are shown."""
        if self.prompts_only:
            messages = (message for message in messages if message.who is Who.USER)
        return iter(_last(messages, self.last)) if self.last else iter(messages)


def _last(messages: Iterable[Message], count: int) -> list[Message]:
    """The messages from the last `count` prompts on."""
    turns: deque[list[Message]] = deque([[]], maxlen=count)
    for message in messages:
        if message.who is Who.USER:
            turns.append([])
        turns[-1].append(message)
    return [message for turn in turns for message in turn]


def print_conversation(messages: Iterable[Message], view: View) -> None:
    """Print the messages, each as soon as it is read."""
    for message in view.pick(messages):
        _print_parts(message, view, message.parts)


class ConversationFollower:
    """Prints a conversation that grows; of messages that it gets again, it prints the new ones.

    The message at the end is printed part by part; a call of a tool once it has its result.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._messages = 0  # that were printed whole
        self._parts = 0  # of the next one
        self._is_first = True

    def print(self, messages: Iterable[Message], ended: bool = False) -> None:
        """Print what is new in the messages; no more parts follow if the session has `ended`."""
        known = list(messages)
        if self._is_first and self._view.last:
            self._messages = len(known) - len(_last(known, self._view.last))
        self._is_first = False
        for message in known[self._messages :]:
            is_open = message is known[-1] and not ended
            parts = _final(message.parts) if is_open else message.parts
            if message.who is Who.USER or not self._view.prompts_only:
                _print_parts(message, self._view, parts, self._parts)
            self._messages += not is_open
            self._parts = len(parts) if is_open else 0


def _final(parts: Sequence[Part]) -> Sequence[Part]:
    """The parts before the first call that waits for its result."""
    waits = (isinstance(part, ToolCall) and part.result is None for part in parts)
    return parts[: next((at for at, is_waiting in enumerate(waits) if is_waiting), len(parts))]


def _print_parts(message: Message, view: View, known: Sequence[Part], printed: int = 0) -> None:
    """Print the parts of a message that are `known`, of which the first were printed before."""
    parts = [part for part in known[printed:] if _is_shown(part, view)]
    if not parts:
        return
    if not any(_is_shown(part, view) for part in known[:printed]):
        print_line("")
        print_drawn([Line(_heading(message), Tone.TITLE)])
    for part in parts:
        if not _is_withheld(part):
            _print_part(part, message, view)
    withheld = Counter(part.text for part in parts if isinstance(part, Mark) and _is_withheld(part))
    if withheld:
        names = ", ".join(f"{name} {count}" for name, count in sorted(withheld.items()))
        print_drawn([Line(f"[stays with its author: {names}]", Tone.SECONDARY)])


def print_changes(files: Sequence[FileChanges]) -> None:
    """Print what a session changed, by file."""
    if not files:
        print_line("", "It changed no file.")
    for file in files:
        times = f" in {len(file.changes)} changes" if len(file.changes) > 1 else ""
        print_line("")
        print_drawn([Line(f"{file.path} +{file.added} −{file.removed}{times}", Tone.TITLE)])
        for change in file.changes:
            _print_diff(change)


def _is_shown(part: Part, view: View) -> bool:
    if isinstance(part, ToolCall):
        return view.tools is not ToolDetail.NONE or (view.diffs and bool(part.changes))
    if isinstance(part, Thought):
        return view.tools is ToolDetail.FULL and bool(part.text)
    return True


def _is_withheld(part: Part) -> bool:
    return isinstance(part, Mark) and part.kind is MarkKind.WITHHELD


def _heading(message: Message) -> str:
    facts = [f"{message.when:%Y-%m-%d %H:%M} UTC"] if message.when else []
    spent = message.spent
    if message.model:
        facts.append(message.model)
    if spent.written or spent.read or spent.cached:
        taken = spent.read + spent.cached + spent.stored
        facts.append(f"{taken:,} tokens in, {spent.written:,} out")
    return "  ".join([f"## {message.who}", ", ".join(facts)]).rstrip()


def _print_part(part: Part, message: Message, view: View) -> None:
    match part:
        case Said(text) if message.who is Who.ASSISTANT:
            print_markdown(text)
        case Said(text):
            print_line(text)
        case Thought(text):
            print_drawn([Line(f"(thinks) {line}", Tone.SECONDARY) for line in text.splitlines()])
        case Attached(media, count):
            print_drawn([Line(f"[{media}, {size(count)}]", Tone.SECONDARY)])
        case Mark(kind, text):
            print_drawn([Line(_mark(kind, text), Tone.SECONDARY)])
        case ToolCall():
            _print_call(part, view)


def _mark(kind: MarkKind, text: str) -> str:
    match kind:
        case MarkKind.COMPACTION:
            return f"[the agent goes on with a summary]\n{text}".rstrip()
        case MarkKind.UNREADABLE:
            return f"[{text}]"
        case _:
            return text


def _print_call(call: ToolCall, view: View) -> None:
    tone = Tone.STUCK if call.failed else Tone.SECONDARY
    agent = f" (subagent {call.agent})" if call.agent else ""
    print_drawn([Line(f"  {call.summary}{agent}", tone)])
    for each in call.attached:
        print_line(f"    [{each.media}, {size(each.size)}]")
    if view.diffs or view.tools is ToolDetail.FULL:
        for change in call.changes:
            _print_diff(change)
    if view.tools is not ToolDetail.FULL:
        return
    if not call.changes:
        print_drawn([Line(f"    {call.given}", Tone.SECONDARY)])
    result = call.result or ""
    for line in result[:_RESULT_CHARS].splitlines():
        print_line(f"    {line}")
    if len(result) > _RESULT_CHARS:
        print_line(f"    [{len(result) - _RESULT_CHARS} more characters: --raw has all]")


def _print_diff(change: Change) -> None:
    tones = {"+": Tone.CONFIRMED, "-": Tone.STUCK, "@": Tone.SECONDARY}
    print_drawn([Line(f"    {line}", tones.get(line[:1])) for line in change.lines])
