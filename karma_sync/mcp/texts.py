"""Says sessions, hits and messages in the words of an answer; all foreign text is made harmless."""

from collections.abc import Iterator
from datetime import UTC, datetime

from karma_sync.domain.session.conversation import (
    Attached,
    Mark,
    Message,
    Part,
    Said,
    Thought,
    ToolCall,
)
from karma_sync.domain.session.quoting import clipped, quoted, quoted_line
from karma_sync.domain.session.readable import Readable
from karma_sync.library.hits import Hit
from karma_sync.mcp.answers import MESSAGE_CHARS, Item
from karma_sync.service.sessions.who import Work

_TITLE_CHARS = 100
_SNIPPET_CHARS = 200
_LINE_CHARS = 160
_RESULT_CHARS = 400
_MESSAGE_BYTES = 6_000  # of a message with letters of several bytes each
_MOST_FILES = 5
_MOST_LINES = 12  # of one change
_SHORT = 8  # characters of an id that are enough to name it


def short(name: str) -> str:
    """The beginning of an id."""
    return quoted_line(name[:_SHORT], _SHORT)


def whole_id(readable: Readable, message: str = "") -> str:
    """The id of a session, or of a message in it, that no other has: AUTHOR:SESSION@MESSAGE."""
    manifest = readable.manifest
    at = f"@{quoted_line(message, _LINE_CHARS)}" if message else ""
    return f"{manifest.member}:{manifest.session.session_id}{at}"


def moment(when: datetime | None) -> str:
    """A moment in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}Z" if when else "at an unknown time"


def source_of(readable: Readable, when: datetime | None) -> str:
    """The source of an item: its author, agent, time, and whether its signature was verified."""
    manifest = readable.manifest
    agent = quoted_line(manifest.session.wrote, _LINE_CHARS)
    # a session of the archive came through no folder: nobody signed it, and it is one's own
    known = "verified" if readable.folder else "own, unsigned"
    return f"by {manifest.member}, {agent}, {moment(when)}, {known}"


def title_of(readable: Readable) -> str:
    """The title of a session, on one line."""
    return quoted_line(readable.manifest.session.title, _TITLE_CHARS) or "(no title)"


def in_project(readable: Readable, bound: str) -> str:
    """The project of a session, where the answer is not about one project."""
    project = readable.manifest.project
    return f" in {quoted_line(project, _LINE_CHARS)}" if project and project != bound else ""


def hit_item(hit: Hit, bound: str) -> Item:
    """A hit of a search."""
    readable = hit.readable
    when = datetime.fromtimestamp(hit.time, UTC) if hit.time else None
    when = when or readable.manifest.session.last_activity
    at = f"@{short(hit.message)}" if hit.message else ""
    place = f"{short(readable.manifest.session.session_id)}{at}"
    lines = [f"{place} {source_of(readable, when)}{in_project(readable, bound)}"]
    lines.append(f"  {title_of(readable)}")
    if hit.path or hit.marks:
        more = f" (+{hit.more} more in it)" if hit.more else ""
        lines.append(f"  {hit.field}: {quoted_line(hit.snippet, _SNIPPET_CHARS)}{more}")
    return Item("\n".join(lines), whole_id(readable, hit.message))


def session_item(readable: Readable, bound: str, live: bool) -> Item:
    """A session in a list."""
    facts = readable.manifest.session
    when = facts.last_activity or readable.arrived
    branches = quoted_line(", ".join(facts.branches), _LINE_CHARS)
    about = [
        f"{facts.prompts} prompts",
        *(["live"] if live else []),
        *([branches] * bool(branches)),
    ]
    return Item(
        f"{short(facts.session_id)} {source_of(readable, when)}{in_project(readable, bound)}\n"
        f"  {title_of(readable)} ({', '.join(about)})",
        whole_id(readable),
    )


def work_item(work: Work, bound: str) -> Item:
    """The work of a session on a file."""
    readable = work.readable
    did = [
        f"{verb} {count} times" if count > 1 else f"{verb} once"
        for verb, count in (("changed", work.changes), ("read", work.reads))
        if count
    ]
    at = f"@{short(work.message)}" if work.message else ""
    place = f"{short(readable.manifest.session.session_id)}{at}"
    files = quoted_line(", ".join(work.files[:_MOST_FILES]), 2 * _LINE_CHARS)
    more = f" and {len(work.files) - _MOST_FILES} more" if len(work.files) > _MOST_FILES else ""
    return Item(
        f"{place} {source_of(readable, work.when)}{in_project(readable, bound)}\n"
        f"  {title_of(readable)}\n"
        f"  {', '.join(did)}: {files}{more}{' (live)' if work.is_live else ''}",
        whole_id(readable, work.message),
    )


def prompt_item(readable: Readable, message: Message) -> Item:
    """A prompt in the overview of a session."""
    text = quoted_line(message.text, _SNIPPET_CHARS) or "(no text)"
    return Item(
        f"@{short(message.id)} {moment(message.when)} {text}", whole_id(readable, message.id)
    )


def message_item(readable: Readable, message: Message, agent: str) -> Item:
    """A message of a session, with what its tools did."""
    at = f"@{short(message.id)} " if message.id else ""
    who = (
        f"{message.who} ({quoted_line(agent, _LINE_CHARS)})"
        if message.who == "assistant"
        else str(message.who)
    )
    head = f"{at}{who}, {moment(message.when)}:"
    text = clipped(
        "\n".join(line for part in message.parts for line in _lines(part)), MESSAGE_CHARS
    )
    while len(text.encode()) > _MESSAGE_BYTES:
        text = clipped(text[: len(text) * 3 // 4], MESSAGE_CHARS) + " [cut]"
    return Item(f"{head}\n{text}", whole_id(readable, message.id) if message.id else "")


def _lines(part: Part) -> Iterator[str]:
    match part:
        case Said():
            yield quoted(part.text)
        case Thought():
            if part.text:
                yield f"[thought] {quoted_line(part.text, _RESULT_CHARS)}"
        case Attached():
            yield f"[{quoted_line(part.media, _LINE_CHARS)}, {part.size} bytes]"
        case Mark():
            yield f"[{part.kind}] {quoted_line(part.text, _RESULT_CHARS)}"
        case ToolCall():
            yield from _call_lines(part)


def _call_lines(call: ToolCall) -> Iterator[str]:
    """A tool call as text: one line, and the beginning of its changes or of its result."""
    yield f"[tool] {quoted_line(call.summary, 2 * _LINE_CHARS)}"
    for change in call.changes:
        yield from (f"    {quoted_line(line, _LINE_CHARS)}" for line in change.lines[:_MOST_LINES])
    if call.result and not call.changes:
        yield f"    {quoted_line(call.result, _RESULT_CHARS)}"
