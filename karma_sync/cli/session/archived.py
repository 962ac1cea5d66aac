"""The commands `session restore` and `session purge`, and how archived sessions are shown."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.options import YesOption
from karma_sync.cli.output import print_line, print_next, size
from karma_sync.cli.screen import print_table
from karma_sync.errors import BadInput
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.readable import Readable
    from karma_sync.service.sessions.archive import Forgettable

_ID_CHARS = 8
_TITLE_CHARS = 60
_SHOWN = 10
_PLACE_CHARS = 100


def add_to(sessions: typer.Typer) -> None:
    """Register the commands in the group `session`."""
    sessions.command()(restore)
    sessions.command()(purge)


def restore(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The beginning of a session id.",
            autocompletion=completion.archived_sessions,
        ),
    ],
) -> None:
    """Restore a session.

    A session that the agent deleted is put back from the archive where the agent looks for it, with
    its files. It overwrites nothing. The session stays here until you share it.

    Example: karma-sync session restore 3a782158
    """
    import shlex

    from karma_sync.domain.text import printable
    from karma_sync.service.sessions.archive import restore_session

    app = App.from_environment()
    done = restore_session(app.archive, app.state, app.scope, wanted, app.settings.claude_dirs)
    count = len(done.files.written)
    files = "1 file" if count == 1 else f"{count} files"
    print_line(f"{done.session} is back: {files}, {size(done.files.size)}.")
    for path in done.files.kept:
        print_line(f"{printable(str(path))} was there already, and is left as it is.")
    print_line(
        "It stays on this machine until you type karma-sync session share"
        f" {done.session[:_ID_CHARS]}; what was sent of it before stays with the others, unchanged."
    )
    where = f"cd {shlex.quote(done.cwd)} && " if done.cwd else ""
    print_next(printable(f"{where}claude --resume {done.session}"))


def purge(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            help="The beginning of a session id, or user:agent:project:session.",
            autocompletion=completion.archived_sessions,
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Only if this agent wrote it: claude-code, or claude-code/reviewer."),
    ] = None,
    directory: Annotated[
        str | None, typer.Option(help="All sessions that worked first in this directory.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """Forget an archived session.

    It is deleted from the archive for good, and never archived again. The agent's own files, and
    copies that were sent, stay.

    Example: karma-sync session purge 3a782158
    """
    from karma_sync.service.sessions.archive import purge as forget
    from karma_sync.service.sessions.archive import to_purge

    if (wanted is None) == (directory is None):
        raise BadInput(
            "purge needs one of the two: a session, or a directory",
            hint="karma-sync session purge ID, or karma-sync session purge --directory DIR",
        )
    app = App.from_environment()
    scope = app.scope.within(agent=agent)
    found = to_purge(app.archive, scope, wanted, directory)
    _show(found)
    print_line("The archive forgets this for good. The agent's own files and what was sent stay.")
    ask_unless(yes, "--yes")
    forget(app.paths.archive, app.archive_store, found, utc_now())
    print_line(f"{_sessions(len(found))} purged from the archive.")
    print_next("karma-sync status")


def _show(found: "list[Forgettable]") -> None:
    from karma_sync.domain.text import one_line

    rows = [
        (
            each.session[:_ID_CHARS],
            one_line(each.wrote, _TITLE_CHARS),
            size(each.size),
            one_line(each.title, _TITLE_CHARS),
        )
        for each in found[:_SHOWN]
    ]
    print_table(("ID", "AGENT", "SIZE", "TITLE"), rows)
    if len(found) > _SHOWN:
        print_line(f"and {len(found) - _SHOWN} more")


def _sessions(count: int) -> str:
    return "1 session is" if count == 1 else f"{count} sessions are"


def only_here(found: "Readable") -> str:
    """Return the mark of a session that only the archive has."""
    from karma_sync.service.sessions.reading import ReadableCopy

    return ", only here" if isinstance(found, ReadableCopy) else ""


def place(found: "Readable") -> str:
    """Return the project, or the directory of an archived session that has none."""
    from karma_sync.domain.text import one_line

    return one_line(found.place, _PLACE_CHARS) or "-"


def earlier(found: "Readable") -> list[str]:
    """Return the names of the versions of files that were replaced; the archive keeps them."""
    from karma_sync.service.sessions.reading import ReadableCopy

    return found.earlier if isinstance(found, ReadableCopy) else []
