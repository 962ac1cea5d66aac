"""Accepting is consent: show what would leave, to whom, and ask."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.output import confirm, is_terminal, say, size
from karma_sync.domain.subscription import Direction
from karma_sync.errors import NeedsConsent

if TYPE_CHECKING:
    from karma_sync.domain.source import SourceSession
    from karma_sync.service.consent import Leaving
    from karma_sync.service.projects import Standing, Terms

TeamOption = Annotated[str | None, typer.Option(help="The team, if several share the project.")]
DirectionOption = Annotated[
    Direction | None, typer.Option(help="send, receive or both; both if not given.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(help="Send sessions active since: all, now, 14d, 2026-05-31; 30d if not given."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def consented(
    app: App, standing: "Standing", direction: Direction | None, since: str | None, yes: bool
) -> "Terms":
    """Show what would leave and ask; the terms that were agreed to.

    Raises:
        NeedsConsent: the answer was no, or nobody could be asked.
    """
    from karma_sync.service.consent import parse_since, what_would_leave
    from karma_sync.service.projects import Terms

    chosen = direction or Direction.BOTH
    limit = parse_since(since, utc_now())
    terms = Terms(direction=chosen, since=limit)
    say(f"{standing.project} in team {standing.team.name}, direction {chosen}.")
    if standing.names.aliases:
        say(f"  also named:  {', '.join(sorted(standing.names.aliases))}")
    if chosen is not Direction.RECEIVE:
        sessions = app.source.sessions()
        leaving = what_would_leave(app.matcher, sessions, standing.names, limit)
        _show(leaving, [m.tag for m in standing.recipients])
        _propose(app, standing, sessions)
    if not yes and is_terminal() and not confirm("Go ahead?"):
        raise NeedsConsent("nothing was changed")
    if not yes and not is_terminal() and direction is None:
        raise NeedsConsent("nobody is here to say yes", hint="--yes, or an explicit --direction")
    return terms


def _propose(app: App, standing: "Standing", sessions: "list[SourceSession]") -> None:
    """Clones that may be forks of the project: only the person can say so."""
    from karma_sync.service.scan import forks_of

    for fork in forks_of(app.matcher, sessions, standing.names):
        origin = f"its `origin` is {fork.origin}" if fork.origin else "it has no `origin`"
        say(f"  not from:    {fork.root}: {origin}, only `{fork.remote}` is this project")
        say(f"               to add it: karma-sync project map {fork.root} {standing.project}")


def _show(leaving: "Leaving", recipients: list[str]) -> None:
    if leaving.sessions:
        oldest = f", the oldest last active {leaving.oldest:%Y-%m-%d}" if leaving.oldest else ""
        say(f"  leaves now:  {leaving.sessions} sessions, {size(leaving.size)}{oldest}")
        for directory in leaving.directories:
            say(f"               from {directory}")
    else:
        say("  leaves now:  nothing; sessions of this project leave as they are written")
    if leaving.earlier:
        say(f"  stays here:  {leaving.earlier} earlier sessions (--since all sends them)")
    if leaving.mixed:
        say(f"  stays here:  {leaving.mixed} sessions that also worked in another place")
    say(f"  goes to:     {', '.join(recipients) or 'nobody yet; later everybody in the team'}")
    say("  first:       secrets are cut out, as far as our rules know them: a net, not a proof")
