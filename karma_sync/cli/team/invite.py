"""The commands `invite`, `invite list` and `invite revoke`."""

import io
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import confirm, is_terminal
from karma_sync.cli.beginning import (
    AddressOption,
    DiscoveryOption,
    MachineOption,
    NewIdentity,
    UserOption,
    begun,
    has_team,
    team_to_lead,
)
from karma_sync.cli.consent_all import agrees_to_everything, projects_here
from karma_sync.cli.frame import framed_for_agent
from karma_sync.cli.notices import print_if_down, warn_if_down
from karma_sync.cli.options import JsonOption, YesOption
from karma_sync.cli.output import ago, flush, print_json, print_line, print_next, span
from karma_sync.cli.screen import has_colours, print_table
from karma_sync.cli.widening import consent_to_more
from karma_sync.errors import BadInput, Conflict, NeedsConsent, NotFound
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.invite import Door, Invite
    from karma_sync.domain.team.team import Team
    from karma_sync.service.invites import InviteTerms, KnownInvite

_LOOK_S = 0.1


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(invoke_without_command=True, callback=invite)
    group.command(name="list")(list_)
    group.command()(revoke)
    app.add_typer(group, name="invite")


def invite(
    context: typer.Context,
    team: Annotated[
        str | None,
        typer.Option(
            help="The team, if you lead several; a new one if you are in none.",
            autocompletion=completion.teams,
        ),
    ] = None,
    expires: Annotated[str, typer.Option(help="How long the code is good: 15m, 24h, 7d.")] = "24h",
    uses: Annotated[int, typer.Option(help="How many may join with it.")] = 1,
    confirm_each: Annotated[
        bool, typer.Option("--confirm", help="Ask you before anybody joins with it.")
    ] = False,
    guest: Annotated[
        bool, typer.Option("--guest", help="Let guests join; needs --project.")
    ] = False,
    project: Annotated[
        list[str] | None,
        typer.Option(
            help="With --guest, a project that the guest may receive. Repeatable.",
            autocompletion=completion.projects,
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait until somebody uses it.")
    ] = False,
    me: Annotated[
        bool,
        typer.Option(
            "--me", help="For another machine of yours: all your projects will be on both."
        ),
    ] = False,
    qr: Annotated[
        bool, typer.Option("--qr", help="Draw the code as well, for a camera to read.")
    ] = False,
    user: UserOption = None,
    machine: MachineOption = None,
    address: AddressOption = None,
    discovery: DiscoveryOption = True,
    yes: YesOption = False,
) -> None:
    """Invite somebody.

    It prints one code to send: whoever has it first can join the team. Without an identity, a
    daemon or a team it makes these first. If you send projects to the team, it shows what a new
    member can receive, and asks.

    A guest receives the projects that you name, and nobody receives anything from it. It sees the
    names of all members and projects.

    With --me it takes in another machine of yours: then all of your projects, and later ones, are
    on both. Such a code is good for 15 minutes, and the other machine joins only after your yes
    here.

    Example: karma-sync invite
    """
    if context.invoked_subcommand:
        return
    from karma_sync.domain.timespan import parse_duration
    from karma_sync.service import invites
    from karma_sync.service.sessions.widening import SendingRules

    terms = invites.InviteTerms(parse_duration(expires), uses, confirm_each)
    invites.require_terms(terms)
    if me and (team or project or guest or terms != invites.InviteTerms(confirm=confirm_each)):
        raise BadInput(
            "a code for a machine of yours is good for 15 minutes, for one, in a team of its own",
            hint="karma-sync invite --me",
        )
    _require_guests_projects(guest, project)
    if project:
        terms = _for_guests(terms, team, project)
    app = begun(NewIdentity(user, machine, address or (), discovery, at_once=True))
    if me:
        terms = invites.FOR_ME
    with framed_for_agent():
        if me:
            found = _all_shared_with_machines(app, yes=yes)
        else:
            found = team_to_lead(app, team)
            now = SendingRules.stored(app.state, app.me)
            consent_to_more(app, now.nothing_yet(), now.to_anybody(found, terms.projects), yes=yes)
        made, code = invites.create(app.state, app.me, found, terms, utc_now())
        if qr:
            _draw(code.encode())  # first: it fills a small screen, and the code is to stay in sight
        _print_code(found, terms, code.encode())
        if no_wait:
            print_next("karma-sync invite list")
        else:
            _wait(app, made)


def _all_shared_with_machines(app: App, *, yes: bool) -> "Team":
    """Return the team of my own machines, with all of my projects, after the person agreed.

    Raises:
        NeedsConsent: the person said no, or there is no terminal to ask at.
        NotLeader: another machine of mine leads it.
    """
    from karma_sync.domain.session.selection import Limits
    from karma_sync.domain.team.member import Member
    from karma_sync.service import projects, teams
    from karma_sync.service.sessions.own_projects import as_offered

    team = teams.personal_team(app.state) or teams.new_personal(app.state, app.me)
    team.lead_by(app.me.key)
    found = projects_here(app)
    new = [p for p in found if p not in team.aliases]
    others = [m for m in team.members if m.key != app.me.key]
    receivers = [*others, Member(tag="your other machine", device="", key="")]
    print_line("All of your projects, and later ones, will be on both machines.")
    offered = as_offered(team, app.me, new, receivers)
    if not agrees_to_everything(app, offered, "Send all of it there? [y/N/?]", yes=yes):
        raise NeedsConsent("nothing was changed")
    teams.keep_personal(app.state, team)
    terms = projects.Terms(limits=Limits())
    for each in offered:
        known = (
            projects.find(app.state, app.me, each.project, team.id)
            if team.project(each.project)
            else each
        )
        if not known.mine.engaged:
            projects.share(app.state, app.me, known, terms, utc_now())
    return teams.find_team(app.state, team.id)


def _require_guests_projects(guest: bool, projects: list[str] | None) -> None:
    if guest and not projects:
        raise BadInput(
            "a guest receives the projects that you name, and none was named",
            hint="karma-sync invite --guest --project NAME",
        )
    if projects and not guest:
        raise BadInput(
            "a member can receive all projects of its team; only a guest is limited to some",
            hint="karma-sync invite --guest --project NAME",
        )


def _for_guests(terms: "InviteTerms", team: str | None, projects: list[str]) -> "InviteTerms":
    """Return the terms of a code for guests; makes nothing, for a new team shares no project."""
    from karma_sync.service import invites

    app = App.from_environment()
    if not has_team(app):
        raise NotFound(
            "you are in no team, so no project can be shared",
            hint="karma-sync project share DIRECTORY --team NAME, which makes a team of that name",
        )
    return invites.for_guests(terms, team_to_lead(app, team), projects)


def _print_code(team: "Team", terms: "InviteTerms", code: str) -> None:
    if terms.for_me:
        print_line(
            "Invitation for another machine of yours, good for 15 minutes. There type:",
            f"  karma-sync join {code}",
            "It joins after your yes here. Whoever has the code can ask: compare the keys.",
        )
        flush()
        return
    one, several = ("guest", "guests") if terms.projects else ("person", "people")
    people = f"one {one}" if terms.uses == 1 else f"{terms.uses} {several}"
    good = span(int(terms.life.total_seconds()))
    if terms.projects:
        print_line(
            f"A guest receives {', '.join(terms.projects)}, sends nothing, and sees the names of"
            f" all members and projects of {team.name}."
        )
    print_line(
        f"Invitation to {team.name}, good for {good}, for {people}. Send this:",
        f"  karma-sync join {code}",
        "Whoever has the code first can join: send it to that person alone. A shell keeps what is"
        " typed in its history; karma-sync join without a code asks for it.",
    )
    flush()


def _draw(code: str) -> None:
    """Draw a code as a QR code, light on dark whatever the terminal's colours are."""
    import segno

    drawn = io.StringIO()
    segno.make_qr(code, error="l").terminal(drawn, compact=True)
    white_on_black, usual = ("\033[97;40m", "\033[0m") if has_colours(sys.stdout) else ("", "")
    print_line(*(f"{white_on_black}{line}{usual}" for line in drawn.getvalue().splitlines()))
    flush()


def _wait(app: App, made: "Invite") -> None:
    """Print who joins, until the code is over; ask about each who needs a yes."""
    from karma_sync.service import invites
    from karma_sync.service.invitations import remember_shown

    print_line("Waiting for somebody to use it (Ctrl-C is fine, the daemon goes on) …")
    flush()
    told: set[str] = set()
    while True:
        known = invites.find(app.state, made.id)
        for door in known.doors:
            if door.tag in known.joined and door.folder not in told:
                told.add(door.folder)
                print_line(f"{door.tag} joined, key {_print_of(door.key)}.")
                flush()
        for door in known.asking:
            if is_terminal():
                _answer(app, door, known.team, is_mine=made.for_me)
            elif door.folder not in told:
                told.add(door.folder)
                remember_shown(app.state, [door])
                print_line(
                    f"{invites.describe(door)}, asks: karma-sync invitation accept {door.id}"
                )
                flush()
        if known.invite.status != "open":
            _print_over(known)
            return
        time.sleep(_LOOK_S)


def _print_over(known: "KnownInvite") -> None:
    print_line(f"The invitation is {known.invite.status}.")
    if known.invite.for_me and known.joined:
        print_next(
            f"karma-sync team successors {known.joined[0]} --team {known.team}, so that it can lead"
            " if this machine is lost"
        )


def _answer(app: App, door: "Door", team: str, *, is_mine: bool) -> None:
    from karma_sync.service import invites

    if is_mine:
        print_line(
            f"{invites.describe(door)}, asks to be another machine of yours. It would receive all"
            " of your projects. Compare the key with the one that it shows."
        )
    else:
        print_line(f"{invites.describe(door)}, asks to join {team}. Compare the key.")
    agreed = confirm("Is it yours?" if is_mine else "Let it join?")
    try:
        invites.answer_request(app.state, door, agreed=agreed)
    except Conflict as error:
        print_line(f"{error}.")  # the next look shows the present request


def _print_of(key: str) -> str:
    from karma_sync.domain.ids import fingerprint

    return fingerprint(key)


def list_(as_json: JsonOption = False) -> None:
    """List invitation codes.

    It lists those of the last days, who joined with each, and who asks to.

    Example: karma-sync invite list
    """
    from karma_sync.service import invites

    app = App.from_environment()
    warn_if_down(app)
    found = invites.all_invites(app.state)
    if as_json:
        print_json(invites=[_as_json(each) for each in found])
        return
    if not found:
        print_line("You invited nobody in the last days.")
        print_next("karma-sync invite")
        return
    rows = [
        (
            each.invite.id,
            each.team,
            "guest" if each.invite.limited_to else "member",
            each.invite.status.value,
            ago(each.invite.made),
            f"{each.invite.used} of {each.invite.uses}",
            ", ".join(each.joined) or "-",
        )
        for each in found
    ]
    print_table(("ID", "TEAM", "FOR A", "STATE", "MADE", "USED", "BY"), rows)
    open_ = [each.invite.id for each in found if each.invite.status == "open"]
    if open_:
        print_next(f"karma-sync invite revoke {open_[0]}, to take it back")


def _as_json(known: "KnownInvite") -> dict[str, object]:
    """The code without its keys: they are nobody's business."""
    made = known.invite
    return {
        "for_me": made.for_me,
        "id": made.id,
        "team": known.team,
        "state": made.status.value,
        "made": made.made,
        "expires": made.expires,
        "uses": made.uses,
        "used": made.used,
        "confirm": made.confirm,
        "guest": bool(made.limited_to),
        "projects": made.limited_to,
        "joined": known.joined,
        "asking": [
            {"id": d.id, "tag": d.tag, "fingerprint": _print_of(d.key)} for d in known.asking
        ],
    }


def revoke(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The ID that `invite list` shows.")],
) -> None:
    """Take an invitation code back.

    Nobody can join with it any more. Members who joined with it stay in the team.

    Example: karma-sync invite revoke k5j2m3q
    """
    from karma_sync.service import invites

    app = App.from_environment()
    known = invites.revoke(app.state, wanted, utc_now())
    print_line(f"Nobody can join {known.team} with {known.invite.id} any more.")
    if known.joined:
        print_line(f"Members who joined with it stay: {', '.join(known.joined)}.")
    print_if_down(app)
