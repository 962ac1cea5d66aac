"""The commands `mcp`, `mcp log` and `context`."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private
from karma_sync.cli.options import JsonOption, PrivateOption
from karma_sync.cli.output import ago, print_error, print_json, print_line
from karma_sync.cli.screen import print_table
from karma_sync.errors import BadInput, KarmaError
from karma_sync.paths import current_directory

if TYPE_CHECKING:
    from karma_sync.mcp.desk import Desk
    from karma_sync.service.sessions.agent_scope import AgentReach

_ADD = "claude mcp add karma -- karma-sync mcp"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(invoke_without_command=True, help=serve.__doc__)
    group.callback()(serve)
    group.command()(log)
    app.add_typer(group, name="mcp")
    app.command()(context)


ProjectOption = Annotated[
    str,
    typer.Option(
        help="This project, not that of the working directory.",
        autocompletion=completion.projects,
    ),
]


def serve(
    typed: typer.Context,
    project: ProjectOption = "",
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="Serve all projects.")
    ] = False,
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="Also serve your own sessions that do not leave this machine."
        ),
    ] = False,
) -> None:
    """Serve sessions to an agent.

    An agent starts it, and asks over standard input and output (the Model Context Protocol). It
    answers with the sessions of the project in which the agent works, and changes nothing.

    Example: claude mcp add karma -- karma-sync mcp
    """
    if typed.invoked_subcommand:
        return
    if project and all_projects:
        raise BadInput("--project names one project, --all-projects means all", hint=_ADD)
    try:
        from karma_sync.mcp.server import serve as serve_agent
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("mcp"):
            raise
        raise KarmaError(
            "the package mcp is not installed", hint="pip install 'karma-sync[mcp]'"
        ) from None
    from karma_sync.service.sessions.agent_scope import AgentReach

    app = App.from_environment()
    if sys.stdin.isatty():
        print_error("an agent starts this command, and talks to it; Ctrl-C ends it", _ADD)
    serve_agent(_desk(app, AgentReach(project, all_projects, private)))


def context(project: ProjectOption = "") -> None:
    """Tell an agent of recent work.

    It prints the sessions of the last 7 days in this project, in a frame that stays here; nothing
    if there are none. A hook at the start of an agent's session can run it.

    Example: karma-sync context
    """
    from karma_sync.service.sessions.agent_scope import AgentReach

    given = _desk(App.from_environment(), AgentReach(project)).context()
    if given is not None:
        print_line(given.framed)


def _desk(app: App, reach: "AgentReach") -> "Desk":
    from karma_sync.mcp.desk import Desk
    from karma_sync.mcp.view import Views
    from karma_sync.runtime.installation import this_program
    from karma_sync.service.served_log import ServedLog

    is_replaced = this_program().is_replaced
    views = Views(app.paths, os.environ, current_directory(), reach, is_replaced)
    return Desk(views, ServedLog(app.paths.served), is_replaced)


def log(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Print at most this many.")] = 20,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Show what agents were given.

    The latest answer is first. The log has ids, and no text of a session.

    Example: karma-sync mcp log --limit 50
    """
    from karma_sync.service.served_log import ServedLog

    app = App.from_environment()
    found = ServedLog(app.paths.served).latest(limit)
    if as_json:
        if found:
            require_private(private, "these are ids of sessions of others")
        print_json(served=[vars(each) for each in found])
        return
    if not found:
        print_line("No agent was given anything yet.")
        return
    rows = [
        (
            ago(each.when),
            each.tool,
            each.project or "all",
            each.reason or f"{each.items} named, {each.size} characters",
            ", ".join(name.partition(":")[2][:8] for name in each.ids[:3]),
        )
        for each in found
    ]
    print_table(("WHEN", "TOOL", "PROJECT", "GAVE", "SESSIONS"), rows)
