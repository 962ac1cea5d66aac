"""A session as Markdown and as a page: all that was said is in it, and nothing of it runs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from karma_sync.domain.session.conversation import (
    Attached,
    Change,
    Mark,
    MarkKind,
    Message,
    Part,
    Said,
    Thought,
    ToolCall,
    Who,
)
from karma_sync.library.documents.markdown import as_markdown
from karma_sync.library.documents.page import as_html
from karma_sync.library.documents.parts import RESULT_CHARS, Header, SessionDocument

HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[click](javascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "![pixel](https://example.org/pixel.png)",
    '<a href="https://example.org" onclick="x()">a</a>',
    "</pre></details><iframe src='//example.org'></iframe>",
    "<style>@import url(//example.org)</style>",
    "<https://example.org/?q=<script>>",
    "[a]: javascript:alert(1)\n\n[a]",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "> " * 60 + "<b>deep</b>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }} {% raw %}",
    "<!-- --><svg onload=alert(1)>",
    '<form action="//example.org"><input>',
    '<meta http-equiv="refresh" content="0;url=//example.org">',
)


def document(
    *parts: Part, who: Who = Who.ASSISTANT, about: Header | None = None
) -> SessionDocument:
    message = Message(("m1",), who, parts)

    def read() -> Iterator[Message]:
        yield message

    return SessionDocument(
        about or Header("a title", ["by alice"]), read, {"subagents/agent-1.jsonl": read}
    )


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


def every_part(text: str) -> list[Part]:
    call = ToolCall("c", text, text, text, text, True, text, [Attached(text, 3)])
    change = Change(text, [f"+{text}", f"-{text}"])
    edit = ToolCall("e", "Edit", text, text, changes=[change], result=text)
    marks = [Mark(kind, text) for kind in MarkKind]
    return [Said(text), Thought(text), Attached(text, 3), call, edit, *marks]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_runs_nothing_and_asks_for_nothing(text: str) -> None:
    page = "".join(as_html(document(*every_part(text), about=Header(text, [text]))))

    harmless = {
        *("html", "head", "meta", "title", "style", "body", "h1", "ul", "li", "article", "header"),
        *("p", "pre", "span", "details", "summary", "code", "blockquote", "a", "em", "strong"),
    }
    found = elements(page)
    assert {tag for tag, _ in found} <= harmless
    assert sum(tag in {"style", "meta", "title"} for tag, _ in found) == 6
    for tag, attributes in found:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attributes)
        if tag == "a":
            assert re.match(r"https?:|mailto:", attributes["href"] or "")
            assert "noopener" in (attributes["rel"] or "")
    assert "default-src 'none'" in page
    assert "49" not in page or "7 * 7" not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_holds_no_html_and_no_text_ends_its_fence(text: str) -> None:
    made = "".join(as_markdown(document(*every_part(text), about=Header(text, [text]))))

    tokens = MarkdownIt("commonmark", {"html": True}).parse(made)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [t for t in [*tokens, *inline] if t.type in {"html_block", "html_inline"}]


@pytest.mark.parametrize(
    "text",
    [
        "turned &#x202e;around&#8238;",
        "![seen](https://evil.example/x.png)",
        "![seen][a]\n\n[a]: https://evil.example/x.png",
        "[click]( javascript:alert(1))",
        "[click](<file:///etc/passwd>)",
    ],
)
def test_what_was_said_loads_runs_and_controls_nothing(text: str) -> None:
    page, made = ("".join(make(document(Said(text)))) for make in (as_html, as_markdown))

    tokens = MarkdownIt("commonmark", {"html": True}).parse(made)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [token for token in inline if token.type == "image"]
    assert "\u202e" not in page + "".join(token.content for token in inline)
    assert not re.search(r"\]\(\s*<?(javascript|file):", made)
    assert "evil.example" in page + made or "evil" not in text


def test_all_that_was_said_is_there() -> None:
    call = ToolCall("c", "Bash", "make test", "{}", "exit 1", True, "two failures")
    edit = ToolCall(
        "e", "Edit", "a.py", "{}", changes=[Change("a.py", ["@@ -1 +1 @@", "-x", "+y"])]
    )
    image = ToolCall("i", "Read", "a.png", "{}", attached=[Attached("image/png", 1234)])
    long = ToolCall("l", "Read", "long", "{}", result="z" * (RESULT_CHARS + 5))
    parts: list[Part] = [Said("**bold** words"), Thought("hm"), call, edit, image, long]
    parts += [Mark(MarkKind.WITHHELD, "environment"), Mark(MarkKind.COMPACTION, "in short")]
    page, text = ("".join(make(document(*parts))) for make in (as_html, as_markdown))

    assert "<strong>bold</strong> words" in page
    assert "**bold** words" in text
    for made in (page, text):
        for wanted in (
            *("a title", "by alice", "hm", "Bash make test → exit 1", "two failures"),
            *("Edit a.py +1 −1", "1,234 bytes", "stays with its author: environment"),
            *("in short", "[5 more characters]"),
        ):
            assert wanted in made
    assert "```diff\n@@ -1 +1 @@\n-x\n+y\n```" in text
    assert '<span class="added">+y</span>' in page
    assert page.count("two failures") == 2  # once more in the subagent's conversation


def test_without_the_extra_the_rest_works(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['nh3'] = None\n"
        "import karma_sync.library.documents.markdown\n"
        "from karma_sync.cli.session.export import _html\n"
        "try: _html(None, None, None)\n"
        "except Exception as error: print(type(error).__name__, error, '|', error.hint)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout.startswith("NotFound HTML needs the extra `web` of karma-sync: nh3 is not")
    assert "karma-sync[web]" in ran.stdout
