"""The command `browse`."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import typer

from karma_sync.app import App
from karma_sync.cli.ask import is_under_agent
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.output import ago, print_line
from karma_sync.cli.screen import is_screen
from karma_sync.domain.text import one_line, printable
from karma_sync.errors import KarmaError, NotFound
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.cli.session.browser import BrowsedRow
    from karma_sync.domain.access import AccessScope
    from karma_sync.domain.session.conversation import Message
    from karma_sync.domain.session.readable import Readable

_TITLE_CHARS = 100
_PREVIEWED = 60  # messages
_PREVIEW_CHARS = 2000  # of one message
_FILES = 10
_OTHERS = 5
_HITS = 200


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(browse)


def browse() -> None:
    """Browse sessions.

    Type to filter, or / and words to search in what was said. The arrows go through the list; there
    Enter shows a session, w shows who else worked on its files, f forks it. It needs karma-sync's
    extra `tui`. Piped, it prints the list, with the id in the first column.

    Example: karma-sync browse | fzf --preview 'karma-sync session show {1}'
    """
    from karma_sync.domain.ids import short_ids

    app = App.from_environment()
    warn_if_down(app)
    scope = app.scope
    found = app.sessions.sessions(scope)
    short = short_ids(each.manifest.session.session_id for each in found)
    lines = [_line(app, each, short[each.manifest.session.session_id]) for each in found]
    if is_under_agent() or not (is_screen(sys.stdout) and sys.stdin.isatty()):
        print_line(*("\t".join(line) for line in lines))
        return
    if not found:
        print_line("There are no sessions yet.")
        return
    _Screen(app, scope, found).run(lines)


def _line(app: App, found: "Readable", short: str) -> tuple[str, ...]:
    from karma_sync.cli.session import archived

    manifest = found.manifest
    is_mine = manifest.member == app.settings.tag
    return (
        short,
        ago(manifest.session.last_activity or found.arrived),
        "you" if is_mine else printable(manifest.member),
        archived.place(found),
        one_line(manifest.session.title, _TITLE_CHARS) or "(no title)",
    )


class _Screen:
    """Answers the screen's requests about these sessions."""

    def __init__(self, app: App, scope: "AccessScope", found: "Sequence[Readable]") -> None:
        self._app = app
        self._scope = scope
        self._found = found

    def run(self, lines: Sequence[tuple[str, ...]]) -> None:
        """Show the screen, and carry out the action that was chosen in it."""
        try:
            from karma_sync.cli.session.browser import Actions, BrowsedRow, Browser
        except ImportError as missing:
            raise NotFound(
                f"browse needs the extra `tui` of karma-sync: {missing.name} is not installed",
                hint="pipx inject karma-sync textual, or pip install 'karma-sync[tui]'",
            ) from None
        self._rows = [
            BrowsedRow(number, "  ".join(line), " ".join((*line, *self._more(number))).lower())
            for number, line in enumerate(lines)
        ]
        actions = Actions(self._preview, self._who, self._search, self._show)
        chosen = Browser(self._rows, actions).run()
        if chosen is not None:
            from karma_sync.cli.session.fork import fork

            manifest = self._found[chosen.row.number].manifest
            fork(manifest.session.session_id, by=manifest.member)

    def _more(self, number: int) -> tuple[str, ...]:
        """The texts that a filter searches besides those in the line."""
        facts = self._found[number].manifest.session
        return (facts.session_id, facts.wrote, *facts.branches, *facts.models)

    def _preview(self, row: "BrowsedRow") -> str:
        """The beginning of a session: its messages with their writers."""
        try:
            return "\n\n".join(self._said(self._found[row.number]))
        except KarmaError as error:
            return printable(f"{error}\n{error.hint}")

    def _said(self, found: "Readable") -> Iterator[str]:
        yield one_line(found.manifest.session.title, _TITLE_CHARS) or "(no title)"
        for message in islice(self._messages(found), _PREVIEWED):
            parts = [message.text[:_PREVIEW_CHARS], *(f"  {c.summary}" for c in message.calls)]
            if text := "\n".join(filter(None, parts)):
                yield f"{message.who}\n{text}"

    def _messages(self, found: "Readable") -> "Iterator[Message]":
        from karma_sync.domain.session.profile import TRANSCRIPT
        from karma_sync.library.conversation import conversation

        pieces = self._app.sessions.content(self._scope, found, TRANSCRIPT)
        return conversation(found.manifest.session.agent, pieces)

    def _who(self, row: "BrowsedRow") -> str:
        """The files that a session changed, and who else worked on each."""
        from karma_sync.domain.session.activity import WantedFile
        from karma_sync.domain.session.conversation import changes_by_file
        from karma_sync.library.conversation import with_subagents
        from karma_sync.service.sessions.who import who

        found = self._found[row.number]
        manifest = found.manifest
        try:
            read = partial(self._app.sessions.content, self._scope, found)
            paths = [each.path for each in changes_by_file(with_subagents(found, read))]
            texts = ["It changed no file." if not paths else "Files it changed, and who else:"]
            for path in paths[:_FILES]:
                wanted = WantedFile(path, [manifest.project] if manifest.project else None)
                works = who(self._app.search, self._scope, wanted, _OTHERS)
                others = [
                    f"  {w.readable.manifest.member}, {ago(w.when)}{', live' if w.is_live else ''}"
                    for w in works
                    if w.readable.manifest.session.session_id != manifest.session.session_id
                ]
                texts.append("\n".join([path, *(others or ["  nobody else"])]))
        except KarmaError as error:
            return printable(f"{error}\n{error.hint}")
        return printable("\n\n".join(texts))

    def _search(self, words: str) -> "list[BrowsedRow]":
        from karma_sync.domain.session.query import Query
        from karma_sync.library.hits import Manner

        query = Query.parse(words, utc_now())
        hits = self._app.search.search(self._scope, query, Manner(_HITS)).hits
        known = {
            (r.manifest.member, r.manifest.session.session_id): row
            for r, row in zip(self._found, self._rows, strict=True)
        }
        keys = [(h.readable.manifest.member, h.readable.manifest.session.session_id) for h in hits]
        return [known[key] for key in dict.fromkeys(keys) if key in known]

    def _show(self, row: "BrowsedRow") -> str:
        """Show a session; returns why it could not be shown, "" if it was."""
        from karma_sync.cli.session.show import show_until_left

        manifest = self._found[row.number].manifest
        try:
            show_until_left(self._app, self._scope, manifest.session.session_id, manifest.member)
        except KarmaError as error:
            return printable(f"{error}\n{error.hint}")
        return ""
