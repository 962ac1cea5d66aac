"""The commands `session list` and `session show`."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import PrivateOption
from karma_sync.cli.output import (
    print_error,
    print_json,
    print_line,
    size,
    write_raw,
)
from karma_sync.cli.screen import Line, Tone, print_drawn, print_markdown
from karma_sync.cli.session import archived, sharing
from karma_sync.cli.session.listing import as_json_of, list_, many, scope_of, title_of
from karma_sync.cli.session.unshare import unshare

if TYPE_CHECKING:
    from karma_sync.domain.access import AccessScope
    from karma_sync.library.reader import Readable

_TITLE_CHARS = 60
_DETAIL_CHARS = 30


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage sessions.")
    group.command(name="list", context_settings={"ignore_unknown_options": True})(list_)
    group.command()(show)
    group.command()(unshare)
    sharing.add_to(app, group)
    archived.add_to(group)
    app.add_typer(group, name="session")


def show(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID[@MESSAGE]",
            help="The beginning of a session id; with @, the message to begin with.",
            autocompletion=completion.sessions,
        ),
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the exact bytes of the transcript.")
    ] = False,
    file: Annotated[
        str, typer.Option(help="Print another file of the session.")
    ] = "transcript.jsonl",
    by: Annotated[
        str,
        typer.Option(
            help="Its author, where members have the same id: bob.desk. Default: you.",
            autocompletion=completion.members,
        ),
    ] = "",
    uncut: Annotated[
        bool,
        typer.Option("--archived", help="Of your own: the archive's copy, with nothing cut."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print its metadata as JSON.")] = False,
    private: PrivateOption = False,
) -> None:
    """Show a session.

    On a terminal it is printed as a document; in a pipe as plain text.

    Example: karma-sync session show 3a782158 | less
    """
    app = App.from_environment()
    warn_if_down(app)
    scope = scope_of(app)
    wanted, _, message = wanted.partition("@")
    found = app.sessions.session(scope, wanted, by, uncut)
    if not by:
        _warn_of_others(app, scope, found)
    if (raw or as_json) and found.manifest.member != app.me.tag:
        require_private(private, f"the session is by {found.manifest.member}")
    if (raw or as_json) and archived.only_here(found):
        require_private(private, "the session is from the archive")
    if as_json:
        files = [f.path for f in found.manifest.files] + archived.earlier(found)
        print_json(session=as_json_of(found), files=files)
        return
    file, begin = _place(app, scope, found, message) if message else (file, 0)
    pieces = skipped(app.sessions.content(scope, found, file), begin)
    if raw:
        write_raw(pieces)
        return
    _show_header(found, message)
    if file.endswith(".jsonl"):
        _show_turns(pieces)
    else:
        from karma_sync.domain.text import printable

        print_line(printable(b"".join(pieces).decode(errors="replace")))


def _place(app: App, scope: "AccessScope", found: "Readable", message: str) -> tuple[str, int]:
    from karma_sync.service.sessions.search import locate

    return locate(app.sessions, scope, found, message)


def skipped(pieces: Iterable[bytes], begin: int) -> Iterator[bytes]:
    """Return the pieces without their first `begin` bytes."""
    for piece in pieces:
        if begin < len(piece):
            yield piece[begin:]
        begin = max(0, begin - len(piece))


def _warn_of_others(app: App, scope: "AccessScope", found: "Readable") -> None:
    """Name the other members who have a session with this id."""
    others = app.reader.others_with_id(scope, found)
    if others:
        wanted = found.manifest.session.session_id
        print_error(
            f"this is the session by {found.manifest.member}; {', '.join(others)} has one with the"
            " same id",
            f"karma-sync session show {wanted} --by {others[0]}",
        )


def _show_header(found: "Readable", message: str) -> None:
    from karma_sync.domain.text import printable

    manifest = found.manifest
    facts = manifest.session
    print_line(
        printable(title_of(found)),
        printable(f"by {manifest.member}, {facts.wrote}, in {archived.place(found)}"),
        f"active {_moment(facts.first_activity)} to {_moment(facts.last_activity)} UTC,"
        f" {many(facts.records, 'record')}, {many(facts.prompts, 'prompt')},"
        f" {size(manifest.size)}",
    )
    if facts.branches or facts.models:
        print_line(
            printable(f"on {', '.join(facts.branches) or '?'}, with {', '.join(facts.models)}")
        )
    if manifest.redactions:
        cuts = ", ".join(f"{rule} {count}" for rule, count in sorted(manifest.redactions.items()))
        print_line(f"cut out before it was sent: {cuts}")
    if archived.only_here(found):
        print_line("from the archive: with nothing cut, and only here")
    others = [f.path for f in manifest.files[0:] if f.path != "transcript.jsonl"]
    if others:
        print_line(f"with {', '.join(printable(o) for o in others)}")
    earlier = archived.earlier(found)
    if earlier:
        print_line(f"replaced: {', '.join(printable(name) for name in earlier)}")
    if message:
        whole = f"karma-sync session show {facts.session_id}"
        print_line(printable(f"from message {message} on; the whole of it: {whole}"))


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if when else "?"


def _show_turns(pieces: Iterable[bytes]) -> None:
    from karma_sync.agents.growing_file import whole_lines
    from karma_sync.domain.session.conversation import conversation

    lines = (line for block in whole_lines(pieces) for line in block.split(b"\n"))
    for turn in conversation(lines):
        print_line("")
        print_drawn([Line(f"## {turn.who}", Tone.TITLE)])
        if turn.who == "assistant":
            print_markdown(turn.text)
        else:
            print_line(turn.text)
