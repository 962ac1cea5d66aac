"""A session as one Markdown file.

The texts are other people's. A viewer of Markdown may run HTML in it, and load images, so these
are escaped; code stands in a fence that it cannot end.
"""

import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt

from karma_sync.domain.session.conversation import (
    Attached,
    Mark,
    MarkKind,
    Message,
    Part,
    Said,
    Thought,
    ToolCall,
)
from karma_sync.domain.text import printable
from karma_sync.library.documents.parts import SessionDocument, flat, heading, result_of

_FENCE = re.compile(r"`{3,}")
_RUNNING = re.compile(r"\]\((?=\s*<?\s*(?:javascript|vbscript|data|file):)", re.IGNORECASE)
_PARSER = MarkdownIt("commonmark", {"html": True})


def as_markdown(document: SessionDocument) -> Iterator[str]:
    """The document, piece by piece."""
    yield f"# {_line(document.about.title)}\n\n"
    yield "".join(f"- {_line(fact)}\n" for fact in document.about.facts)
    yield from _conversation(document.messages())
    for name, messages in document.subagents.items():
        yield f"\n# {_line(name)}\n"
        yield from _conversation(messages())


def _conversation(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        parts = [text for part in message.parts if (text := _part(part))]
        if parts:
            yield f"\n## {_line(heading(message))}\n\n" + "\n\n".join(parts) + "\n"


def _part(part: Part) -> str:
    match part:
        case Said(text):
            return without_html(text)
        case Thought(text):
            return _quoted(text) if text else ""
        case Attached(media, size):
            return f"*[{_line(media)}, {size:,} bytes]*"
        case Mark(MarkKind.WITHHELD, text):
            return f"*[stays with its author: {_line(text)}]*"
        case Mark(MarkKind.COMPACTION, text):
            return _quoted(f"[the agent goes on with a summary]\n{text}".rstrip())
        case Mark(_, text):
            return _quoted(text)
        case ToolCall():
            return _call(part)


def _call(call: ToolCall) -> str:
    texts = [f"- {_code(call.summary)}"]
    texts += [_fenced("\n".join(change.lines), "diff") for change in call.changes]
    if not call.changes and call.result:
        texts.append(_fenced(result_of(call.result)))
    texts += [f"*[{_line(each.media)}, {each.size:,} bytes]*" for each in call.attached]
    return "\n\n".join(texts)


def without_html(text: str) -> str:
    """The text as Markdown that runs and loads nothing, and controls nothing.

    Where a parser sees HTML, a character that controls something, or an image, `<`, `&` or `![` is
    escaped throughout, and so are links to what a viewer may run.
    """
    tokens = list(flat(_PARSER.parse(text)))
    if any(printable(token.content) != token.content for token in tokens):
        text = text.replace("&", "&amp;")  # an entity stands for any character
    if any(token.type in {"html_block", "html_inline"} for token in tokens):
        text = text.replace("<", "&lt;")
    if any(token.type == "image" for token in tokens):
        text = text.replace("![", r"\![")
    return _RUNNING.sub(r"]\\(", text)


def _line(text: str) -> str:
    """A text on one line, in which nothing is Markdown."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]>#|!~])", r"\\\1", line).replace("<", "&lt;")


def _code(text: str) -> str:
    """A text on one line as code."""
    line = " ".join(text.split())
    ticks = "`" * (max(map(len, re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _fenced(text: str, language: str = "") -> str:
    """A block of code that the text cannot end."""
    longest = max(map(len, _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in without_html(text).splitlines())
