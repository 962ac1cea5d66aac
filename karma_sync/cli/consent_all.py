"""One consent to several projects: shows for each what would be sent, and asks once for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.ask import answer_of, is_terminal
from karma_sync.cli.consent import receivers, show_terms, takes_home
from karma_sync.cli.output import print_line, warn_of_unreadable
from karma_sync.cli.progress import ProgressBar
from karma_sync.domain.team.direction import Direction
from karma_sync.errors import NeedsConsent
from karma_sync.paths import current_directory, user_home
from karma_sync.runtime.timing import Deadline, utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.selection import Limits
    from karma_sync.service.projects import ProjectAnswers, Terms
    from karma_sync.service.sessions.survey import LeavingSessions

_COUNT_S = 10.0  # seconds of counting redactions, before the count is called a sample


@dataclass(frozen=True)
class _Proposal:
    """A project, and what of it would be sent; `received_only` says why nothing is, "" if it is."""

    answers: "ProjectAnswers"
    leaving: "LeavingSessions"
    received_only: str
    limits: "Limits"


def consented_to_all(
    app: App,
    projects: "Sequence[ProjectAnswers]",
    direction: Direction | None,
    *,
    yes: bool,
    clones: Sequence[Path] = (),
) -> "list[tuple[ProjectAnswers, Terms]]":
    """Show what of these projects would be sent, and ask once; returns the terms of each.

    `clones` are directories of them that the person named, beside the working directory.

    A no means to receive only. So are projects of which no clone is here, because nothing of them
    was shown, those of a team whose guest I am, and those that would take all of the person's home.

    Raises:
        NeedsConsent: there is no terminal, and no option says yes or a direction.
    """
    from karma_sync.service import policies
    from karma_sync.service.projects import Terms

    own = {each.team.id: policies.of_team(app.state, each.team.id) for each in projects}
    limits = {team: policy.limits(utc_now()) for team, policy in own.items()}
    if direction is Direction.RECEIVE:
        return [
            (each, Terms(direction=Direction.RECEIVE, limits=limits[each.team.id]))
            for each in projects
        ]
    proposals = _proposals(app, projects, limits, (current_directory(), *clones))
    for each in proposals:
        print_line(_told(app, each, count=not yes))
    sends = [each for each in proposals if not each.received_only]
    agreed = bool(sends) and (yes or _agrees(app, sends, direction))

    def way(each: _Proposal) -> Direction:
        if not agreed or each.received_only:
            return Direction.RECEIVE
        return direction or own[each.answers.team.id].direction or Direction.BOTH

    return [(each.answers, Terms(direction=way(each), limits=each.limits)) for each in proposals]


def agrees_to_everything(
    app: App,
    projects: "Sequence[ProjectAnswers]",
    question: str,
    *,
    yes: bool,
) -> bool:
    """Show what of these projects would be sent, with their whole history, and ask once.

    Raises:
        NeedsConsent: there is no terminal, and no option says yes.
    """
    from karma_sync.domain.session.selection import Limits

    limits = Limits()
    proposals = _proposals(app, projects, {each.team.id: limits for each in projects}, ())
    for each in proposals:
        print_line(_told(app, each, count=not yes))
    if not proposals:
        print_line("No project with sessions is here yet; later ones would be sent.")
    if yes:
        return True
    if not is_terminal():
        raise NeedsConsent("there is no terminal to ask at; nothing was changed", hint="--yes")
    return _answered(app, proposals, question)


def show_everything(
    app: App, projects: "Sequence[ProjectAnswers]", limits: "Limits", *, count: bool
) -> None:
    """Show at length what of these projects would be sent; with `count`, its cuts by rule."""
    for each in _proposals(app, projects, {p.team.id: limits for p in projects}, ()):
        print_line(f"{each.answers.project} in team {each.answers.team.name}")
        show_terms(app, each.answers, each.leaving, each.limits, count=count)
    if not projects:
        print_line("No project with sessions is here that fits; later ones would be sent.")


def projects_here(app: App) -> list[str]:
    """Return the projects of the sessions on this machine, without one that takes the whole home.

    What git told of their directories is stored.
    """
    from karma_sync.service.sessions.own_projects import own_projects

    found = own_projects(app.matcher, app.source.sessions(), user_home())
    app.roots.learn()
    return found


def load_ahead(app: App) -> None:
    """Load what `consented_to_all` needs, for a command that has to wait before it can ask."""
    from karma_sync.service.projects import Terms
    from karma_sync.service.sessions.redaction_preview import count_cuts
    from karma_sync.service.sessions.survey import survey
    from karma_sync.service.sessions.widening import has_home

    _ = Terms, count_cuts, survey, has_home, app.decider
    app.matcher.places.of(str(current_directory()))
    app.source.sessions()


def _proposals(
    app: App,
    projects: "Sequence[ProjectAnswers]",
    limits: "Mapping[str, Limits]",
    clones: Sequence[Path],
) -> list[_Proposal]:
    """The sessions of each project that would be sent; `limits` are by team."""
    from karma_sync.service.sessions.survey import survey, what_would_leave

    warn_of_unreadable(app.source.closed())
    sessions = app.source.sessions()
    here = [app.matcher.places.of(str(clone)) for clone in clones]
    found = []
    for answers in projects:
        with ProgressBar("reading sessions") as progress:
            mine = survey(app.decider, sessions, answers.names, progress)
        allowed = limits[answers.team.id]
        leaving = what_would_leave(app.decider, mine, allowed)
        is_here = bool(mine.found) or any(answers.names.of(p) == answers.project for p in here)
        why = _why_received_only(app, answers, is_here)
        found.append(_Proposal(answers, leaving, why, allowed))
    return found


def _why_received_only(app: App, answers: "ProjectAnswers", is_here: bool) -> str:
    """Return why nothing of a project is sent in this way; "" if it is."""
    if answers.is_guest:
        return f"you are a guest of {answers.team.name}"
    if takes_home(app, answers):
        return (
            f"it would take all of your home, {user_home()} (to send it: karma-sync subscription"
            f" change {answers.named} --direction both)"
        )
    return "" if is_here else "no clone of it with sessions is here"


def _told(app: App, proposal: _Proposal, *, count: bool) -> str:
    answers, sessions = proposal.answers, proposal.leaving.sessions
    if proposal.received_only:
        return f"{answers.project}: received only; {proposal.received_only}."
    if not sessions:
        return (
            f"{answers.project}: later sessions of yours would be sent, and none now,"
            f" to {receivers(answers)}."
        )
    many = "1 session" if len(sessions) == 1 else f"{len(sessions)} sessions"
    cuts = f" ({_redactions(app, proposal)})" if count else ""
    return f"{answers.project}: {many} of yours would be sent{cuts}, to {receivers(answers)}."


def _redactions(app: App, proposal: _Proposal) -> str:
    from karma_sync.service.sessions.redaction_preview import count_cuts

    deadline, sessions = Deadline(_COUNT_S), proposal.leaving.sessions
    with ProgressBar("counting redactions") as progress:

        def go_on(done: int) -> bool:
            progress(done, len(sessions))
            return not deadline.is_over

        profile = proposal.limits.profile
        counted = count_cuts(app.redactions.redactor(), sessions, profile, go_on)
    total = sum(counted.cuts.values())
    many = "1 redaction" if total == 1 else f"{total} redactions"
    return many if counted.searched == counted.all else f"{many} in the newest {counted.searched}"


def _agrees(app: App, proposals: Sequence[_Proposal], direction: Direction | None) -> bool:
    if is_terminal():
        return _answered(app, proposals, "Share yours too? [y/N/?]")
    if direction is None:
        raise NeedsConsent(
            "there is no terminal to ask at; nothing was changed",
            hint="--yes, or an explicit --direction",
        )
    return True


def _answered(app: App, proposals: Sequence[_Proposal], question: str) -> bool:
    """Ask until the answer is a yes or a no; `?` shows each project."""
    while True:
        said = answer_of(question)
        if said != "?":
            return said in {"y", "yes"}
        for each in proposals:
            print_line(f"{each.answers.project} in team {each.answers.team.name}")
            show_terms(app, each.answers, each.leaving, each.limits, count=True)
