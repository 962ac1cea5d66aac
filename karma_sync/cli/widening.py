"""Consent to a change that makes more leave: shows what more, with which cuts and to whom; asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.consent import receivers, show_home, show_terms
from karma_sync.cli.output import print_line
from karma_sync.cli.progress import ProgressBar
from karma_sync.paths import user_home
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.service.sessions.widening import SendingRules, Wider


def always(_wider: "Wider") -> bool:
    """Later sessions of every project would leave too."""
    return True


def never(_wider: "Wider") -> bool:
    """The change is meant to make less leave."""
    return False


def consent_to_more(
    app: App,
    before: "SendingRules",
    after: "SendingRules",
    *,
    yes: bool,
    concerns: "Callable[[Wider], bool]" = always,
) -> None:
    """Show what leaves after a change and not before it, and ask; returns if the person agrees.

    Asks too if no session leaves now of a project that the change `concerns`: later ones would. So
    it does if the database was lost, and what is sent is not known. If nothing is sent that the
    change concerns, it prints nothing and does not ask.

    Raises:
        NeedsConsent: the answer was no, or there is no terminal to ask at.
    """
    from karma_sync.service.sessions.widening import forgotten

    unknown = forgotten(app.state, app.me, app.paths.intent)
    for project in unknown:
        print_line(f"More of {project} may be sent. The database was lost: nobody can tell yet.")
        print_line("  to see it:   karma-sync up -d, which rebuilds it; then repeat this command")
    found = _compare(app, before, after) if after.outlets else []
    shown = [w for w in found if w.leaving.sessions or w.takes_home or concerns(w)]
    for each in shown:
        _show(app, each, count=not yes)
    if shown or unknown:
        ask_unless(yes, "--yes")


def _compare(app: App, before: "SendingRules", after: "SendingRules") -> "list[Wider]":
    from karma_sync.service.sessions.widening import Widening

    with ProgressBar("reading sessions") as progress:
        widening = Widening(app.matcher, utc_now, str(user_home()))
        return widening.of(before, after, progress)


def _show(app: App, wider: "Wider", count: bool) -> None:
    standing = wider.answers
    where = f"{standing.project} in team {standing.team.name}"
    if not wider.leaving.sessions:
        print_line(f"Later sessions of {where} would be sent, and none now.")
        print_line(f"  receivers:   {receivers(standing)}")
    else:
        print_line(f"More of {where} would be sent.")
        show_terms(app, standing, wider.leaving, standing.mine.limits, count)
    if wider.takes_home:
        show_home()
