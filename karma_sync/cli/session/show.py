"""The group of commands `session`, and the command `session show`."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import PrivateOption, WordsCommand
from karma_sync.cli.output import flush, print_error, print_json, print_line, size, write_raw
from karma_sync.cli.pager import paged
from karma_sync.cli.screen import Line, Tone, print_drawn
from karma_sync.cli.session import archived, sharing
from karma_sync.cli.session.continuing import continue_
from karma_sync.cli.session.export import export
from karma_sync.cli.session.fork import fork
from karma_sync.cli.session.listing import as_json_of, list_, many, scope_of, title_of
from karma_sync.cli.session.stats import stats
from karma_sync.cli.session.turns import (
    ConversationFollower,
    ToolDetail,
    View,
    print_changes,
    print_conversation,
)
from karma_sync.cli.session.unshare import unshare
from karma_sync.domain.text import one_line, printable
from karma_sync.errors import BadInput

if TYPE_CHECKING:
    from karma_sync.domain.access import AccessScope
    from karma_sync.domain.session.conversation import Message
    from karma_sync.domain.session.readable import Readable

_TRANSCRIPT = "transcript.jsonl"
_TASK_CHARS = 120
_HEADER_CHARS = 4000
_FOLLOW_S = 1.0
_TASK_BYTES = 1_000_000  # of one file with a task; more is no task


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage sessions.")
    group.command(name="list", cls=WordsCommand)(list_)
    group.command()(show)
    group.command()(export)
    group.command()(fork)
    group.command(name="continue")(continue_)
    group.command()(stats)
    group.command()(unshare)
    sharing.add_to(app, group)
    archived.add_to(group)
    app.add_typer(group, name="session")


def show(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID[@MESSAGE]",
            help="The beginning of a session id, and of a message's from which to begin.",
            autocompletion=completion.sessions,
        ),
    ],
    tools: Annotated[
        ToolDetail, typer.Option(help="How much of each tool: none, short (a line) or full.")
    ] = ToolDetail.SHORT,
    diff: Annotated[bool, typer.Option("--diff", help="Show edits as diffs.")] = False,
    changes: Annotated[
        bool,
        typer.Option("--changes", help="Show only what it and its subagents changed, by file."),
    ] = False,
    prompts: Annotated[bool, typer.Option("--prompts", help="Show only the prompts.")] = False,
    last: Annotated[
        int, typer.Option(min=0, help="Show the last N prompts and what follows; 0: all.")
    ] = 0,
    subagents: Annotated[
        bool, typer.Option("--subagents", help="Show the subagents' conversations too.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what arrives, until Ctrl-C.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the exact bytes of the transcript.")
    ] = False,
    file: Annotated[str, typer.Option(help="Print another file of the session.")] = _TRANSCRIPT,
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
    as_json: Annotated[bool, typer.Option("--json", help="Print its metadata as JSON.")] = False,
    private: PrivateOption = False,
) -> None:
    """Show a session.

    A terminal shows it in a pager, as a document; a pipe gets plain text.

    Example: karma-sync session show 3a782158 --last 2
    """
    session, _, message = wanted.partition("@")
    chosen = {
        "--raw": raw,
        "--json": as_json,
        "--follow": follow,
        "--changes": changes,
        "--prompts": prompts,
        "--file": file != _TRANSCRIPT,
        "@MESSAGE": bool(message),
        "--last": bool(last),
        "--subagents": subagents,
        "--diff": diff,
        "--tools": tools is not ToolDetail.SHORT,
    }
    _require_together(wanted, [name for name, is_chosen in chosen.items() if is_chosen])
    app = App.from_environment()
    warn_if_down(app)
    scope = scope_of(app)
    found = app.sessions.session(scope, session, by, uncut)
    if not by:
        _warn_of_others(app, scope, found)
    if raw or as_json:
        require_private_for([found], app.me.tag, private)
    if as_json:
        files = [f.path for f in found.manifest.files] + archived.earlier(found)
        print_json(session=as_json_of(found), files=files)
        return
    file, begin = _place(app, scope, found, message) if message else (file, 0)
    if raw:
        pieces = app.sessions.content(scope, found, file, begin)
        write_raw(harmless(pieces, wanted) if sys.stdout.isatty() else pieces)
        return
    view = View(tools=tools, diffs=diff, prompts_only=prompts, last=last)
    shown = _Shown(app, scope, found, message, begin)
    if follow:
        shown.follow(view, by, uncut)
        return
    with paged():
        shown.show(file, view, changes, subagents)


def harmless(pieces: Iterable[bytes], wanted: str) -> Iterator[bytes]:
    """The same bytes, for a terminal.

    Raises:
        BadInput: the next ones would control it, and they are to be exact.
    """
    for piece in pieces:
        text = piece.decode(errors="replace")
        if printable(text) != text:
            raise BadInput(
                "what follows holds characters that would control this terminal",
                hint=f"karma-sync session show {quote(printable(wanted))} --raw > session.jsonl",
            )
        yield piece


_VIEWS = ("--changes", "--prompts", "--last", "--subagents", "--diff", "--tools")
# The options that another option would ignore, in the order of precedence.
_APART: Mapping[str, tuple[str, ...]] = {
    "--raw": ("--json", "--follow", *_VIEWS),
    "--json": ("--follow", "--file", "@MESSAGE", *_VIEWS),
    "--follow": ("--changes", "--file", "@MESSAGE", "--subagents"),
    "--changes": ("--prompts", "--last", "--tools"),
    "--prompts": ("--subagents", "--diff", "--tools"),
    "--file": ("@MESSAGE", "--subagents"),
}


def _require_together(wanted: str, chosen: list[str]) -> None:
    """Raises BadInput if one of the options would make another one count for nothing."""
    for option, others in _APART.items():
        beside = next((other for other in others if other in chosen), None)
        if option in chosen and beside:
            raise BadInput(
                f"{option} and {beside} do not go together",
                hint=f"karma-sync session show {quote(wanted)} with one of them",
            )


def _require_conversation(file: str, chosen: View, changes: bool) -> None:
    """Raises BadInput if a file that holds no conversation is to be shown as one."""
    if changes or chosen != View():
        raise BadInput(
            f"{printable(file)} holds no conversation, so it is shown as it is",
            hint=f"--file {quote(printable(file))} alone",
        )


def show_until_left(app: App, scope: "AccessScope", wanted: str, by: str) -> None:
    """Show a session on the whole screen, until the person has seen it."""
    found = app.sessions.session(scope, wanted, by)
    with paged(stays=True):
        _Shown(app, scope, found, "", 0).show(_TRANSCRIPT, View(), changes=False, subagents=False)


@dataclass
class _Shown:
    """One session, for the eyes of this reader; from byte `begin` on, where `message` begins."""

    app: App
    scope: "AccessScope"
    found: "Readable"
    message: str
    begin: int

    def show(self, file: str, view: View, changes: bool, subagents: bool) -> None:
        """Print a file of the session, which is its transcript unless the person named another."""
        from karma_sync.library.conversation import is_conversation

        if not is_conversation(file):
            _require_conversation(file, view, changes)
            content = b"".join(self.app.sessions.content(self.scope, self.found, file))
            is_binary = b"\0" in content
            text = f"[binary, {size(len(content))}: --raw has it]" if is_binary else ""
            print_line(text or printable(content.decode(errors="replace")))
            return
        is_whole = changes and file == _TRANSCRIPT and not self.message
        messages = self._all() if is_whole else self._conversation(file, self.begin)
        first = next(messages, None)  # an error comes before the first line, not in the pager
        _show_header(self.found, self.message)
        if changes:
            from karma_sync.domain.session.conversation import changes_by_file

            print_changes(changes_by_file(_with(first, messages)))
            return
        print_conversation(_with(first, messages), view)
        self._show_tasks()
        for name in _subagents(self.found) if subagents else ():
            print_line("")
            print_drawn([Line(printable(f"# {name}"), Tone.TITLE)])
            print_conversation(self._conversation(name), View(view.tools, view.diffs))

    def follow(self, view: View, by: str, uncut: bool) -> None:
        """Print the conversation, and each message that is added, until a person stops it."""
        from karma_sync.runtime.timing import poll

        _show_header(self.found, self.message)
        follower = ConversationFollower(view)
        follower.print(self._conversation(_TRANSCRIPT))
        wanted = self.found.manifest.session.session_id
        while True:
            flush()
            revision = self.found.manifest.revision

            def is_newer(known: int = revision) -> bool:
                self.found = self.app.sessions.session(self.scope, wanted, by, uncut)
                return self.found.manifest.revision != known

            while not poll(is_newer, _FOLLOW_S, _FOLLOW_S):
                continue
            ended = self.found.manifest.session.running is False
            follower.print(self._conversation(_TRANSCRIPT), ended)

    def _conversation(self, file: str, begin: int = 0) -> "Iterator[Message]":
        from karma_sync.library.conversation import conversation

        pieces = self.app.sessions.content(self.scope, self.found, file, begin)
        return conversation(self.found.manifest.session.agent, pieces)

    def _all(self) -> "Iterator[Message]":
        from karma_sync.library.conversation import with_subagents

        read = partial(self.app.sessions.content, self.scope, self.found)
        return with_subagents(self.found, read)

    def _show_tasks(self) -> None:
        """Print the tasks and todos of the session, and the names of its plans."""
        names = [f.path for f in self.found.manifest.files if f.size <= _TASK_BYTES]
        tasks = [
            task
            for name in names
            if name.startswith(("tasks/", "todos/"))
            for task in self._tasks(name)
        ]
        if tasks:
            print_line("", f"Tasks: {sum(done for done, _ in tasks)} of {len(tasks)} done")
            print_line(*(f"  [{'x' if done else ' '}] {text}" for done, text in tasks))
        for name in names:
            if name.startswith("plans/"):
                session = self.found.manifest.session.session_id
                command = f"karma-sync session show {session} --file {quote(printable(name))}"
                print_line("", f"Plan: {command}")

    def _tasks(self, name: str) -> list[tuple[bool, str]]:
        try:
            value = json.loads(b"".join(self.app.sessions.content(self.scope, self.found, name)))
        except (ValueError, RecursionError):
            return []
        found = []
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                text = each.get("subject") or each.get("content") or ""
                found.append((each.get("status") == "completed", one_line(str(text), _TASK_CHARS)))
        return found


def _with(first: "Message | None", rest: "Iterator[Message]") -> "Iterator[Message]":
    if first is not None:
        yield first
        yield from rest


def _subagents(found: "Readable") -> list[str]:
    from karma_sync.library.conversation import subagents

    return subagents(found)


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


def _place(app: App, scope: "AccessScope", found: "Readable", message: str) -> tuple[str, int]:
    from karma_sync.service.sessions.finding_messages import MessageFinder

    return MessageFinder(app.sessions, scope, found).find(message)


def _show_header(found: "Readable", message: str) -> None:
    manifest = found.manifest
    facts = manifest.session
    lines = [
        title_of(found),
        f"by {manifest.member}, {facts.wrote}, in {archived.place(found)}",
        f"active {_moment(facts.first_activity)} to {_moment(facts.last_activity)} UTC,"
        f" {many(facts.records, 'record')}, {many(facts.prompts, 'prompt')},"
        f" {size(manifest.size)}",
    ]
    if facts.branches or facts.models:
        lines.append(f"on {', '.join(facts.branches) or '?'}, with {', '.join(facts.models)}")
    if manifest.redactions:
        cuts = ", ".join(f"{rule} {count}" for rule, count in sorted(manifest.redactions.items()))
        lines.append(f"cut out before it was sent: {cuts}")
    if archived.only_here(found):
        lines.append("from the archive: with nothing cut, and only here")
    others = [f.path for f in manifest.files if f.path != _TRANSCRIPT]
    if others:
        lines.append(f"with {', '.join(others)}")
    earlier = archived.earlier(found)
    if earlier:
        lines.append(f"replaced: {', '.join(earlier)}")
    if message:
        whole = f"karma-sync session show {facts.session_id}"
        lines.append(f"from message {message} on; the whole of it: {whole}")
    # others gave these names: a line end in one could begin a line that looks like ours
    print_line(*(one_line(line, _HEADER_CHARS) for line in lines))


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if when else "?"
