"""Markdown that somebody else wrote, drawn on a screen.

Every word of the text is shown: HTML is text, a definition of a link stays where it stands, a line
end stays a line end, and a text that is nested too deeply for the parser is drawn as it is. Code
stays as it is: a highlighter is a set of regular expressions, and the text is hostile. Links show
where they lead, and are not clickable.
"""

from collections.abc import Iterable
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import CodeBlock, Markdown, MarkdownElement
from rich.text import Text

from karma_sync.domain.text import printable

_MOST_NESTED = 20  # the parser drops what is nested more deeply


class _Code(CodeBlock):
    """A block of code without highlighting."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text).rstrip(), style="cyan")


class _Document(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, parsed: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = parsed


def document(text: str) -> RenderableType:
    """Return the text as a document that rich draws."""
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MOST_NESTED})
    parser.enable(["strikethrough", "table"]).disable(["reference", "html_block", "html_inline"])
    parsed = parser.parse(text)
    if any(token.level >= _MOST_NESTED - 2 for token in _all(parsed)):
        return Text(text)
    for token in _all(parsed):
        if token.type == "softbreak":
            token.type = "hardbreak"
        elif token.content and not token.children:
            token.content = printable(token.content)  # an entity stands for any character
    return _Document(parsed)


def _all(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or ())
