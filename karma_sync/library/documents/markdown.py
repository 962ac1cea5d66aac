"""A session as one Markdown file.

The texts are other people's. A viewer of Markdown may run HTML in it, so a text with HTML has
its `<` escaped; code stands in a fence that it cannot end.
"""

import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

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
from karma_sync.library.documents.parts import SessionDocument, heading, result_of

_FENCE = re.compile(r"`{3,}")
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
    """The text with every `<` escaped if a parser sees HTML in it."""
    tokens = _all(_PARSER.parse(text))
    if any(token.type in {"html_block", "html_inline"} for token in tokens):
        return text.replace("<", "&lt;")
    return text


def _all(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or ())


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
