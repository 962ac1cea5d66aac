"""Markdown that somebody else wrote, drawn on a screen.

Code stays as it is: a highlighter is a set of regular expressions, and the text is hostile. Links
show where they lead, and are not clickable.
"""

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, MarkdownElement
from rich.text import Text


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


def document(text: str) -> Markdown:
    """Return the text as a document that rich draws."""
    return _Document(text, hyperlinks=False)
