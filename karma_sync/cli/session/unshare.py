"""The command that takes back what has left: session unshare; and how far such a step gets."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import say_if_down
from karma_sync.cli.output import next_step, say
from karma_sync.errors import Conflict

if TYPE_CHECKING:
    from karma_sync.service.sessions.withdrawal import Reach
    from karma_sync.store.ledger import Departed


def unshare(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The beginning of a session's id; with --agent, an agent's name."
        ),
    ],
    agent: Annotated[
        bool,
        typer.Option(
            "--agent",
            help="ID is an agent's name, such as claude-code or claude-code/reviewer: withdraw all"
            " of its sessions, and let none leave from now on.",
        ),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Let it leave again.")] = False,
) -> None:
    """Withdraw what has left, from every member. It goes from disk, library and database.

    A session goes with all that belongs to it, its subagents too, and does not leave again.

    Example: karma-sync session unshare 3a782158
    """
    from karma_sync.domain.session.selection import Whose
    from karma_sync.service.sessions import withdrawal

    app = App.from_environment()
    whose = Whose.AGENT if agent else Whose.SESSION
    if undo:
        lifted = withdrawal.lift(app.state, wanted, whose)
        say(f"{lifted.whose} {lifted.name} may leave again.")
    else:
        unshared, rows = withdrawal.find(app.work, wanted, whose)
        reach = withdrawal.reach(app.state, app.work, app.me, utc_now(), rows)
        if whose is Whose.SESSION and not reach.goes:
            _refuse(unshared.name, reach)
        withdrawal.unshare(app.state, unshared)
        say(f"{unshared.whose} {unshared.name} is withdrawn{_count(rows) if agent else ''}.")
        say_reach(reach)
    say_if_down(app)
    next_step("karma-sync status")


def say_reach(reach: "Reach") -> None:
    """Name what a withdrawal does not reach, or not yet."""
    for project in sorted(reach.paused):
        say(f"{project} is paused: the others are told once it goes on.")
    for project in sorted(reach.closed):
        say(
            f"{project} is not sent any more: what left through it stays, until you type"
            f" karma-sync subscription change {project} --direction receive --retract"
        )


def _refuse(session: str, reach: "Reach") -> None:
    """Nothing would carry it to the others."""
    projects = sorted(reach.closed)
    if not projects:
        why = "it is withdrawn already, with its whole project"
        raise Conflict(f"session {session}: {why}", hint="karma-sync sent")
    ways = (f"karma-sync subscription change {p} --direction receive --retract" for p in projects)
    raise Conflict(
        f"you do not send {', '.join(projects)} any more; what left of session {session} stays",
        hint=f"{' and '.join(ways)}, which takes back all",
    )


def _count(rows: "list[Departed]") -> str:
    sessions = len({row.session for row in rows})
    return f": {sessions} session{'' if sessions == 1 else 's'}"
