"""The command `team policy`."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.consent_all import show_everything
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import DirectionOption, JsonOption, LastOption, ProfileOption, YesOption
from karma_sync.cli.output import print_json, print_line
from karma_sync.cli.team.manage import OfTeam
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.paths import user_home
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.machine import TeamPolicy
    from karma_sync.domain.team.team import Team


def policy(
    removed: Annotated[
        AfterRemoval | None,
        typer.Option(help="purge or keep: what a removed member's karma-sync does (leader)."),
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(
            metavar="ask|all|GLOB",
            help="Which newly shared projects you accept without a question.",
        ),
    ] = None,
    direction: DirectionOption = None,
    since: Annotated[
        str | None, typer.Option(help="Your usual --since for projects of this team.")
    ] = None,
    last: LastOption = None,
    profile: ProfileOption = None,
    team: OfTeam = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Show or set a team's policy.

    --removed is the team's, and only its leader sets it. All else is yours alone: which projects
    you accept without a question, and what an accept takes that names no option. Projects that you
    accept so are received only, unless you also say --direction send or both: then it shows what
    would be sent, and asks.

    Example: karma-sync team policy --accept all
    """
    from karma_sync.service import membership, policies, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    if removed:
        found = membership.set_policy(app.state, app.me, removed, found.id)
    before = policies.of_team(app.state, found.id)
    typed = {"accept": accept, "direction": direction, "since": since, "last": last}
    typed["profile"] = profile
    after = before.changed(**{name: value for name, value in typed.items() if value is not None})
    if after != before:
        policies.require_possible(found, app.me.key, after)
        policies.require_usable(after, utc_now())
        if after.sends:
            _consent(app, found, after, yes=yes)
        policies.keep(app.state, after)
    if as_json:
        print_json(team=found.name, on_removal=found.on_removal.value, **_as_json(after))
        return
    if removed or after != before:
        print_if_down(app)
    _show(found, after)


def _consent(app: App, team: "Team", policy: "TeamPolicy", *, yes: bool) -> None:
    """Show what would be sent of projects that are accepted without a question, and ask.

    Raises:
        NeedsConsent: the person said no, or there is no terminal to ask at.
    """
    from karma_sync.service.sessions.own_projects import as_offered, own_projects

    mine = own_projects(app.matcher, app.source.sessions(), user_home())
    fitting = [p for p in mine if policy.accepts(p)]
    others = [m for m in team.members if m.key != app.me.key]
    print_line(f"Once {team.name} shares them, these would be sent without a question:")
    offered = as_offered(team, app.me, fitting, others)
    show_everything(app, offered, policy.limits(utc_now()), count=not yes)
    ask_unless(yes, "--yes")


def _show(team: "Team", mine: "TeamPolicy") -> None:
    verb = "deletes" if team.on_removal is AfterRemoval.PURGE else "keeps"
    print_line(f"{team.name}: a removed member's karma-sync {verb} what it received.")
    if not mine.accepts_some:
        print_line("New projects: you are asked about each.")
    else:
        which = "all" if mine.accept == "all" else f"those named {mine.accept}"
        how = f"direction {mine.automatic}" if mine.sends else "received only"
        print_line(f"New projects: {which} are accepted without a question, {how}.")
    usual = {
        "--direction": mine.direction,
        "--since": mine.since,
        "--last": mine.last,
        "--profile": mine.profile,
    }
    named = [f"{option} {value}" for option, value in usual.items() if value is not None]
    if named:
        print_line(f"Usual for an accept here: {' '.join(named)}.")


def _as_json(mine: "TeamPolicy") -> dict[str, object]:
    return {
        "accept": mine.accept,
        "personal": mine.personal,
        "direction": mine.direction,
        "since": mine.since,
        "last": mine.last,
        "profile": mine.profile,
        "sends": mine.sends,
    }
