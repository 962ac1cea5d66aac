"""The command that shows every project directory of the agent's."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.output import next_step, say, say_json, table, warn_of_closed

if TYPE_CHECKING:
    from karma_sync.service.project_scan import FoundSessions


def scan(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the agent's directories, and to which projects they belong.

    Example: karma-sync project scan
    """
    from karma_sync.service import projects
    from karma_sync.service.project_scan import scan
    from karma_sync.store import state

    app = App.from_environment()
    warn_if_down(app)
    warn_of_closed(app.source.closed())
    with app.state.reading() as tx:
        teams = state.teams.all(tx)
    found = scan(app.matcher, app.source, teams, projects.own_names(app.state))
    if as_json:
        say_json(directories=[asdict(each) for each in found])
        return
    if not found:
        say(f"There are no sessions below {app.source.root}.")
        return
    rows = [(_shown(each), each.project or "-", str(each.sessions), _state(each)) for each in found]
    table(("DIRECTORY", "PROJECT", "SESSIONS", "STATE"), rows)
    for step in _steps(found):
        next_step(step)


def _shown(found: "FoundSessions") -> str:
    from karma_sync.domain.text import printable

    below = all(Path(cwd).is_relative_to(found.place) for cwd in found.works_in)
    return printable(found.place if below else f"{found.place}, …")


def _state(found: "FoundSessions") -> str:
    from karma_sync.domain.text import printable

    if found.teams:
        return f"shared with {', '.join(found.teams)}"
    fork = f"; it may be a fork of {' or '.join(found.proposed)}" if found.proposed else ""
    why = f"{found.why or 'no team shares it'}{fork}"
    for said in (f"{found.place}: ", f"{found.place} "):  # it stands at the beginning of the line
        why = why.removeprefix(said)
    return printable(why)


def _steps(found: "list[FoundSessions]") -> list[str]:
    """What may be typed about these, each once."""
    steps = []
    for each in found:
        root = next((root for cwd in each.works_in if (root := _root_of(cwd))), each.place)
        steps += [
            f"karma-sync project map {quote(str(root))} {other}, if it is a fork of that"
            for other in each.proposed
        ]
        if each.same_as:
            steps.append(f"karma-sync project alias {each.project}, if it is {each.same_as}")
    if any(not each.project and each.works_in for each in found):
        steps.append(
            "karma-sync project map DIRECTORY PROJECT, where a directory belongs to a project"
        )
    if found and not any(each.teams for each in found):
        steps.append("karma-sync project share DIRECTORY, for what a team of yours shall have")
    return list(dict.fromkeys(steps))


def _root_of(cwd: str) -> Path | None:
    """The root of the repository that a working directory is in; None if it vanished."""
    from karma_sync.errors import KarmaError
    from karma_sync.git.repository import toplevel

    try:
        return toplevel(Path(cwd)) if Path(cwd).is_dir() else None
    except KarmaError:
        return None
