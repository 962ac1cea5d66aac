"""The command `project scan`."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.notices import warn_if_down, warn_of_unsearched
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import print_json, print_line, print_next, warn_of_unreadable
from karma_sync.cli.progress import waiting
from karma_sync.cli.screen import Line, Tone, print_table

if TYPE_CHECKING:
    from karma_sync.service.project_scan import FoundSessions


def scan(as_json: JsonOption = False) -> None:
    """Show the directories of the agent.

    It shows the project of each directory, its number of sessions, and why some belong to none.

    Example: karma-sync project scan
    """
    from karma_sync.service import projects, teams
    from karma_sync.service.project_scan import scan

    app = App.from_environment()
    warn_if_down(app)
    warn_of_unsearched(app)
    warn_of_unreadable(app.source.closed())
    shared = teams.all_teams(app.state)
    with waiting("reading sessions"):
        found = scan(app.decider, app.source, shared, projects.own_names(app.state))
    if as_json:
        print_json(directories=[asdict(each) for each in found])
        return
    if not found:
        roots = " or ".join(str(root) for root in app.source.roots)
        print_line(f"There are no sessions below {roots}.")
        return
    rows = [(_shown(each), each.project or "-", str(each.sessions), _state(each)) for each in found]
    print_table(("DIRECTORY", "PROJECT", "SESSIONS", "STATE"), rows)
    for step in _steps(found):
        print_next(step)


def _shown(found: "FoundSessions") -> str:
    from karma_sync.domain.text import printable

    below = all(Path(cwd).is_relative_to(found.place) for cwd in found.works_in)
    return printable(found.place if below else f"{found.place}, …")


def _state(found: "FoundSessions") -> Line:
    from karma_sync.domain.text import printable

    if found.excluded:
        return Line(printable(f"stays here: you exclude {found.excluded}"), Tone.WAITS)
    if found.teams:
        return Line(f"shared with {', '.join(found.teams)}", Tone.CONFIRMED)
    fork = f"; it may be a fork of {' or '.join(found.proposed)}" if found.proposed else ""
    why = f"{found.why or 'no team shares it'}{fork}"
    for shown in (f"{found.place}: ", f"{found.place} "):  # the first column shows it
        why = why.removeprefix(shown)
    return Line(printable(why), Tone.WAITS if found.proposed or found.same_as else Tone.SECONDARY)


def _steps(found: "list[FoundSessions]") -> list[str]:
    """Return the commands that may come next, each once."""
    steps = []
    for each in found:
        root = next((root for cwd in each.works_in if (root := _root_of(cwd))), each.place)
        steps += [
            f"karma-sync project map {quote(str(root))} {other}, if it is a fork of it"
            for other in each.proposed
        ]
        if each.same_as:
            steps.append(f"karma-sync project alias {each.project}, if it is {each.same_as}")
    if any(not each.project and each.works_in for each in found):
        steps.append("karma-sync project map DIRECTORY PROJECT, for a directory of a project")
    if found and not any(each.teams for each in found):
        steps.append("karma-sync project share DIRECTORY, to share its project with a team")
    return list(dict.fromkeys(steps))


def _root_of(cwd: str) -> Path | None:
    """Return the root of the repository of a directory; None if it is deleted."""
    from karma_sync.errors import KarmaError
    from karma_sync.git.repository import toplevel

    try:
        return toplevel(Path(cwd)) if Path(cwd).is_dir() else None
    except KarmaError:
        return None
