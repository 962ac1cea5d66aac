"""The command `session export`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import PrivateOption, SessionArgument, typed_directory
from karma_sync.cli.output import print_line, size
from karma_sync.cli.progress import waiting
from karma_sync.cli.session.listing import scope_of
from karma_sync.errors import BadInput, NotFound

if TYPE_CHECKING:
    from karma_sync.domain.access import AccessScope
    from karma_sync.domain.session.conversation import Message
    from karma_sync.domain.session.readable import Readable
    from karma_sync.library.documents.parts import SessionDocument
    from karma_sync.service.sessions.export import Exported, Exporter


def export(
    wanted: SessionArgument,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=typed_directory, help="The directory to write into."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="One Markdown file instead; printed without --to.")
    ] = False,
    html: Annotated[
        bool,
        typer.Option("--html", help="One HTML file instead, which needs nothing else to be read."),
    ] = False,
    by: Annotated[
        str,
        typer.Option(
            help="The author, if several members have this session: bob.desk. Default: you.",
            autocompletion=completion.members,
        ),
    ] = "",
    uncut: Annotated[
        bool,
        typer.Option("--archived", help="Of your own: the archive's copy, with nothing cut."),
    ] = False,
    private: PrivateOption = False,
) -> None:
    """Export a session.

    Without --markdown or --html it writes the files as the agent lays them out, so that programs
    that read the agent's directory open them: CLAUDE_CONFIG_DIR=DIR. It overwrites nothing. --html
    needs karma-sync's extra `web`.

    Example: karma-sync session export 3a782158 --to shared --html
    """
    if markdown and html:
        raise BadInput("one of --markdown and --html", hint="karma-sync session export KEY --html")
    if to is None and not (markdown or html):
        raise BadInput(
            "an export needs a directory", hint=f"karma-sync session export {wanted} --to DIR"
        )
    app = App.from_environment()
    warn_if_down(app)
    scope = scope_of(app)
    found = app.sessions.session(scope, wanted, by, uncut)
    if to is not None:  # printed text stands in a frame; a file does not
        require_private_for([found], app.me.tag, private)
    writer = _html if html else _markdown if markdown else None
    if writer is None and to is not None:
        with waiting("exporting"):
            done = _exporter(app).original(scope, found, _directory(to))
        _tell(done)
        return
    pieces = writer(app, scope, found) if writer else iter(())
    if to is None:
        for piece in pieces:
            print(piece, end="")
        return
    name = f"{found.manifest.session.session_id}.{'html' if html else 'md'}"
    encoded = (piece.encode(errors="replace") for piece in pieces)
    with waiting("exporting"):
        done = _exporter(app).document(_directory(to) / name, encoded)
    _tell(done)


def _tell(done: "Exported") -> None:
    count = len(done.files)
    files = "1 file" if count == 1 else f"{count} files"
    print_line(f"{files}, {size(done.size)}: {done.files[0]}")


def _exporter(app: App) -> "Exporter":
    from karma_sync.service.sessions.export import Exporter

    return Exporter(app.sessions, (*app.settings.claude_dirs, app.paths.data))


def _directory(to: Path) -> Path:
    from karma_sync.paths import directory_at

    return directory_at(to)


def _markdown(app: App, scope: "AccessScope", found: "Readable") -> Iterator[str]:
    from karma_sync.library.documents.markdown import as_markdown

    return as_markdown(_document(app, scope, found))


def _html(app: App, scope: "AccessScope", found: "Readable") -> Iterator[str]:
    try:
        from karma_sync.library.documents.page import as_html
    except ImportError as missing:
        raise NotFound(
            f"HTML needs the extra `web` of karma-sync: {missing.name} is not installed",
            hint="pipx inject karma-sync jinja2 nh3, or pip install 'karma-sync[web]'",
        ) from None
    return as_html(_document(app, scope, found))


def _document(app: App, scope: "AccessScope", found: "Readable") -> "SessionDocument":
    from karma_sync.domain.session.profile import TRANSCRIPT
    from karma_sync.library.conversation import conversation, subagents
    from karma_sync.library.documents.parts import SessionDocument, about

    def read(file: str) -> "Iterator[Message]":
        pieces = app.sessions.content(scope, found, file)
        return conversation(found.manifest.session.agent, pieces)

    others = {name: partial(read, name) for name in subagents(found)}
    return SessionDocument(about(found), partial(read, TRANSCRIPT), others)
