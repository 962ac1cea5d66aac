"""A session as one HTML file that loads nothing and runs nothing.

The texts are other people's, and a page that shows them is where scripts get in. So: the Markdown
parser makes no HTML of HTML and no images, `nh3` lets a short list of elements through, everything
else is escaped by the template, and the page's own policy forbids scripts and every request.
"""

from collections.abc import Iterator
from typing import Any

import nh3
from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt
from markupsafe import Markup

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

_TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"),
    *("pre", "code", "em", "strong", "s", "a", "table", "thead", "tbody", "tr", "th", "td"),
}
_SCHEMES = {"http", "https", "mailto"}
_MOST_NESTED = 20  # the parser drops what is nested more deeply
_KINDS = {"+": "added", "-": "removed", "@": "where"}


def as_html(document: SessionDocument) -> Iterator[str]:
    """The document, piece by piece."""
    loader = PackageLoader("karma_sync.library.documents", "")
    pages = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MOST_NESTED})
    parser.enable(["strikethrough", "table"]).disable("image")

    def shown(messages: Iterator[Message]) -> Iterator[dict[str, Any]]:
        for message in messages:
            parts = [_part(part, parser) for part in message.parts]
            parts = [part for part in parts if part]
            if parts:
                yield {"heading": heading(message), "who": message.who.value, "parts": parts}

    yield from pages.get_template("session.html.jinja").generate(
        about=document.about,
        messages=shown(document.messages()),
        subagents=((name, shown(read())) for name, read in document.subagents.items()),
    )


def clean(text: str, parser: MarkdownIt) -> Markup:
    """Somebody's Markdown as HTML that can do nothing but show it."""
    tokens = parser.parse(text)
    if any(token.level >= _MOST_NESTED - 2 for token in tokens):
        return Markup("<pre>{}</pre>").format(text)
    for token in flat(tokens):
        if not token.children:
            token.content = printable(token.content)  # an entity stands for any character
    made = parser.renderer.render(tokens, parser.options, {})
    return Markup(  # noqa: S704 nh3 made it harmless
        nh3.clean(made, tags=_TAGS, attributes={"a": {"href"}}, url_schemes=_SCHEMES)
    )


def _part(part: Part, parser: MarkdownIt) -> dict[str, Any]:
    match part:
        case Said(text):
            return {"kind": "said", "text": clean(text, parser)}
        case Thought(text):
            return {"kind": "folded", "title": "thinks", "text": text} if text else {}
        case Attached(media, size):
            return {"kind": "note", "text": f"[{media}, {size:,} bytes]"}
        case Mark(MarkKind.WITHHELD, text):
            return {"kind": "note", "text": f"[stays with its author: {text}]"}
        case Mark(MarkKind.COMPACTION, text):
            return {"kind": "folded", "title": "the agent goes on with a summary", "text": text}
        case Mark(_, text):
            return {"kind": "note", "text": text}
        case ToolCall():
            return _call(part)


def _call(call: ToolCall) -> dict[str, Any]:
    lines = [
        (_KINDS.get(line[:1], "same"), line) for change in call.changes for line in change.lines
    ]
    return {
        "kind": "call",
        "title": call.summary,
        "failed": call.failed,
        "given": "" if lines else call.given,
        "lines": lines,
        "text": result_of(call.result),
        "notes": [f"[{each.media}, {each.size:,} bytes]" for each in call.attached],
    }
