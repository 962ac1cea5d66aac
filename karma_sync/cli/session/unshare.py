"""The command `session unshare`."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import YesOption
from karma_sync.cli.output import print_line, print_next
from karma_sync.cli.widening import consent_to_more
from karma_sync.errors import Conflict
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.service.sessions.withdrawal import Reach


_ID_CHARS = 8


def unshare(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The beginning of a session id; with --agent, the name of an agent.",
            autocompletion=completion.sent_sessions,
        ),
    ],
    agent: Annotated[
        bool,
        typer.Option(
            "--agent",
            help="ID is the name of an agent, such as claude-code or claude-code/reviewer: withdraw"
            " all its sessions, and send no later one.",
        ),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Allow it to be sent again.")] = False,
    yes: YesOption = False,
) -> None:
    """Withdraw a session.

    Every member deletes it, with its subagents, from disk, library and database. It is not sent
    again. With --undo, the command shows what would be sent, and asks.

    Example: karma-sync session unshare 3a782158
    """
    from karma_sync.domain.session.selection import Whose
    from karma_sync.service.sessions import withdrawal
    from karma_sync.service.sessions.widening import SendingRules

    app = App.from_environment()
    whose = Whose.AGENT if agent else Whose.SESSION
    if undo:
        lifted = withdrawal.find_unshared(app.state, wanted, whose)
        now = SendingRules.stored(app.state, app.me)
        consent_to_more(
            app,
            now,
            now.lifting(lifted),
            yes=yes,
            concerns=lambda wider: agent or lifted.name in wider.known,
        )
        withdrawal.lift(app.state, lifted)
        print_line(f"{lifted.whose} {lifted.name} can be sent again.")
    else:
        unshared, rows = withdrawal.find(app.work, wanted, whose, app.settings.tag)
        reach = withdrawal.reach(app.state, app.work, app.me, utc_now(), rows)
        if whose is Whose.SESSION and not reach.goes:
            _refuse(unshared.name, reach)
        withdrawal.unshare(app.state, unshared)
        count = f": {_sessions(withdrawal.count_sessions(rows))}" if agent else ""
        print_line(f"{unshared.whose} {unshared.name} is withdrawn{count}.")
        print_reach(reach)
        _tell_of_archive(app, unshared.name if whose is Whose.SESSION else "")
    print_if_down(app)
    print_next("karma-sync status")


def _tell_of_archive(app: App, session: str) -> None:
    """Print that the archive still has a session; of an agent's sessions, that it may have some."""
    from karma_sync.service.sessions.archive import is_archived

    if not session:
        tell_of_archive(app)
    elif is_archived(app.archive, app.scope, session):
        print_line(
            "The archive on this machine still has it:"
            f" karma-sync session purge {session[:_ID_CHARS]}"
        )


def tell_of_archive(app: App) -> None:
    """Print that the archive still has what was cut or withdrawn, if it has anything."""
    if app.archive.holds_any(app.scope):
        print_line(
            "The archive on this machine still has it, with nothing cut: to forget a session there,"
            " type karma-sync session purge ID"
        )


def print_reach(reach: "Reach") -> None:
    """Print the projects that a withdrawal does not reach, or not yet."""
    for project in sorted(reach.paused):
        print_line(f"{project} is paused: the other members hear of it when you resume.")
    for project in sorted(reach.closed):
        print_line(
            f"You no longer send {project}: what you sent stays with the receivers, until you type"
            f" karma-sync subscription change {project} --direction receive --retract"
        )


def _refuse(session: str, reach: "Reach") -> None:
    """Raise the reason why no member would hear of a withdrawal."""
    projects = sorted(reach.closed)
    if not projects:
        why = "it is already withdrawn, with its project"
        raise Conflict(f"session {session}: {why}", hint="karma-sync sent")
    ways = (f"karma-sync subscription change {p} --direction receive --retract" for p in projects)
    raise Conflict(
        f"you no longer send {', '.join(projects)}: session {session} stays with the receivers",
        hint=f"{' and '.join(ways)}, which withdraws all",
    )


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
