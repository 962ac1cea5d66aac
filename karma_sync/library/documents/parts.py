"""The parts of a session's document: its header, and the text of its other files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from markdown_it.token import Token

from karma_sync.domain.session.conversation import Message
from karma_sync.domain.session.readable import Readable
from karma_sync.domain.text import one_line, printable

_TITLE_CHARS = 200
RESULT_CHARS = 20_000  # of one tool's result


@dataclass(frozen=True)
class Header:
    """A session's title, and the facts below it, each on one line; safe to show."""

    title: str
    facts: list[str]


@dataclass(frozen=True)
class SessionDocument:
    """A session as a document: header, conversation, and its subagents' conversations by name.

    The conversations are read when they are asked for.
    """

    about: Header
    messages: Callable[[], Iterator[Message]]
    subagents: Mapping[str, Callable[[], Iterator[Message]]] = field(default_factory=dict)


def about(found: Readable) -> Header:
    """The header of a session."""
    manifest, facts = found.manifest, found.manifest.session
    lines = [
        f"by {manifest.member}, {facts.wrote}, in {manifest.project or 'no project'}",
        f"active {_moment(facts.first_activity)} to {_moment(facts.last_activity)} UTC",
    ]
    if facts.branches or facts.models:
        lines.append(f"on {', '.join(facts.branches) or '?'}, with {', '.join(facts.models)}")
    if manifest.redactions:
        cuts = ", ".join(f"{rule} {count}" for rule, count in sorted(manifest.redactions.items()))
        lines.append(f"cut out before it was sent: {cuts}")
    lines.append(f"session {facts.session_id}")
    title = one_line(facts.title, _TITLE_CHARS) or "(no title)"
    return Header(title, [printable(line) for line in lines])


def heading(message: Message) -> str:
    """The heading of a message: its author, time, model and tokens."""
    facts = [str(message.who)]
    if message.when:
        facts.append(f"{message.when:%Y-%m-%d %H:%M} UTC")
    if message.model:
        facts.append(message.model)
    spent = message.spent
    if spent.written or spent.read or spent.cached:
        taken = spent.read + spent.cached + spent.stored
        facts.append(f"{taken:,} tokens in, {spent.written:,} out")
    return " · ".join(facts)


def flat(tokens: Iterable[Token]) -> Iterator[Token]:
    """All tokens of a parsed text, those inside of others too."""
    for token in tokens:
        yield token
        yield from flat(token.children or ())


def result_of(result: str | None) -> str:
    """The beginning of a tool's result, and how much is left out."""
    result = result or ""
    if len(result) <= RESULT_CHARS:
        return result
    return f"{result[:RESULT_CHARS]}\n[{len(result) - RESULT_CHARS} more characters]"


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if when else "?"
