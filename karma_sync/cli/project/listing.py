"""The command `project list`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import JsonOption, PrivateOption
from karma_sync.cli.output import ago, print_json, print_line, print_next
from karma_sync.cli.screen import Line, Tone, print_table
from karma_sync.domain.text import one_line

if TYPE_CHECKING:
    from karma_sync.domain.team.team import Team
    from karma_sync.service.sessions.project_list import ListedProject

_NAMES = 3  # of members, branches and clones in one cell
_NAME_CHARS = 40


def list_projects(as_json: JsonOption = False, private: PrivateOption = False) -> None:
    """List projects.

    It lists yours and your teams', whether you have a clone or not: with your answer, the sessions
    that you can read, who wrote them, their branches, and the last activity.

    Example: karma-sync project list
    """
    from karma_sync.service.projects import all_answers
    from karma_sync.service.sessions.project_list import project_list
    from karma_sync.service.teams import all_teams

    app = App.from_environment()
    warn_if_down(app)
    answers = all_answers(app.state, app.me)
    found = project_list(app.state, app.sessions, app.scope, answers)
    if as_json:
        require_private(private, "these are names that others gave")
        print_json(projects=[asdict(each) for each in found])
        return
    if not found:
        print_line("There are no projects yet: share one, or let karma-sync run for a while.")
        print_next("karma-sync project share .")
        return
    teams = all_teams(app.state)
    header = ("PROJECT", "TEAM", "CLONE", "SESSIONS", "BY", "BRANCHES", "ACTIVE")
    print_table(header, [_row(app, each, teams) for each in found])
    offered = next((each for each in found if each.is_offered), None)
    print_next(
        f"karma-sync accept {offered.project}"
        if offered
        else f"karma-sync session list --project {found[0].project}"
    )


def _row(app: App, found: "ListedProject", teams: "list[Team]") -> tuple[str | Line, ...]:
    from karma_sync.library.reader import author

    sessions = f"{found.sessions}, {found.mine} of them yours" if found.mine else found.sessions
    return (
        one_line(found.project, 2 * _NAME_CHARS),
        _teams(found),
        _some(found.clones) if found.clones else Line("none here", Tone.SECONDARY),
        str(sessions),
        _some([author(tag, app.me.tag, teams) for tag in found.members]) or "-",
        _some(found.branches) or "-",
        ago(found.last) if found.last else "-",
    )


def _teams(found: "ListedProject") -> Line:
    """Return for instance: backend, accepted."""
    if not found.teams:
        return Line("not shared", Tone.SECONDARY)
    text = "; ".join(f"{each.team}, {each.answer}" for each in found.teams)
    return Line(text, Tone.WAITS if found.is_offered else Tone.CONFIRMED)


def _some(names: list[str]) -> str:
    """Return the first few of the names, and how many more there are."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(one_line(name, _NAME_CHARS) for name in names[:_NAMES]) + more
