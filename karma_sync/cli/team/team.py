"""The commands `team create`, `add` and `guest`; the others of the group are in files beside."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import YesOption
from karma_sync.cli.output import print_line, print_next
from karma_sync.cli.team import leadership, manage
from karma_sync.cli.team.policy import policy
from karma_sync.cli.team.setup import read_code
from karma_sync.cli.widening import consent_to_more
from karma_sync.domain.ids import user_of
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.team import Team

_ID = re.compile(r"[A-Za-z2-7]{7}")  # shorter than any pairing code


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage teams.")
    group.command()(create)
    group.command()(add)
    group.command()(guest)
    manage.add_to(group)
    leadership.add_to(group)
    group.command()(policy)
    app.add_typer(group, name="team")


def create(name: Annotated[str, typer.Argument(help="The name of the team: backend")]) -> None:
    """Create a team.

    You lead it.

    Example: karma-sync team create backend
    """
    from karma_sync.service import teams

    app = App.from_environment()
    team = teams.create(app.state, app.me, name)
    print_line(
        f"You lead team {team.name}.",
        "Once others are in it, name who may take over if this machine is lost: karma-sync team"
        " successors TAG.",
        "A successor can take over at any time, without asking you: name only members whom you"
        " would give the team.",
    )
    print_if_down(app)
    print_next("karma-sync invite, or karma-sync team add CODE with the new member's pairing code")


def add(
    code: Annotated[
        list[str] | None,
        typer.Argument(
            help="The pairing code of the new member, or an ID that `inbox` shows. Default:"
            " standard input.",
            autocompletion=completion.invitations,
        ),
    ] = None,
    team: Annotated[
        str | None,
        typer.Option(help="The team, if you are in several.", autocompletion=completion.teams),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="The same person's machine, installed again: its old key is removed.",
        ),
    ] = False,
    same_person: Annotated[
        bool,
        typer.Option(
            "--same-person",
            help="Another machine of the member with its user name; both are asked.",
        ),
    ] = False,
    yes: YesOption = False,
) -> None:
    """Add a member to a team.

    The member is on the roster at once, and joins by accepting the invitation. Of a contact in the
    inbox, name and key are its own claim: then the command asks first. If you send projects to the
    team, it shows what the member can receive, and asks.

    Example: karma-sync team add AEAGQNA-4GGC73T-…
    """
    found = _admit(code, team, _Wishes(replaces=replace, same_person=same_person), yes=yes)
    if found.projects:
        print_next("karma-sync status")
    else:
        print_next("karma-sync project share . in the directory of a project")


def guest(
    code: Annotated[
        list[str],
        typer.Argument(
            help="The pairing code of the guest, an ID that `inbox` shows, or the tag of a guest.",
            autocompletion=completion.invitations,
        ),
    ],
    project: Annotated[
        list[str],
        typer.Option(
            help="A project that the guest may receive. Repeatable.",
            autocompletion=completion.projects,
        ),
    ],
    team: Annotated[
        str | None,
        typer.Option(help="The team, if you are in several.", autocompletion=completion.teams),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Add a guest to a team.

    A guest receives the projects that you name, and nobody receives anything from it. It sees the
    names of all members and projects. Typed again, other projects take the place of the earlier
    ones.

    Example: karma-sync team guest AEAGQNA-4GGC73T-… --project web
    """
    found = _admit(code, team, _Wishes(projects=tuple(project)), yes=yes)
    print_line(f"It sees the names of all members and projects of {found.name}.")
    print_next(f"karma-sync team show --team {found.name}")


@dataclass(frozen=True)
class _Wishes:
    replaces: bool = False
    projects: tuple[str, ...] = ()
    same_person: bool = False


def _admit(code: list[str] | None, team: str | None, wishes: _Wishes, *, yes: bool) -> "Team":
    """Put a member or guest on the roster, after the person agreed to what it can receive."""
    from karma_sync.domain.team.member import as_guest
    from karma_sync.service import invitations, machines, teams
    from karma_sync.service.sessions.widening import SendingRules
    from karma_sync.team.admission import Newcomer

    app = App.from_environment()
    by_id = code is not None and len(code) == 1 and _ID.fullmatch(code[0])
    known = teams.guest_code(app.state, code[0], team) if code and wishes.projects else None
    if known:
        theirs = known
    elif code and by_id:
        theirs = invitations.newcomer(app.state, code[0])
    else:
        theirs = read_code(app, code)
    newcomer = Newcomer(theirs, wishes.replaces, wishes.projects, wishes.same_person)
    at = utc_now()
    after = teams.with_member(app.state, app.me, newcomer, team, at)
    role = as_guest(wishes.projects)
    print_line(f"Adding {theirs.tag}, key {theirs.fingerprint}{role}.")
    is_mine = wishes.same_person and user_of(theirs.tag) == user_of(app.me.tag)
    if is_mine:
        print_line("You say that it is another machine of yours. Compare the key with its own.")
        ask_unless(yes, hint="--yes, once the keys are the same")
    if code and by_id and not known:
        print_line("The other machine shows its key with: karma-sync status. Compare the two.")
        ask_unless(yes, hint=f"karma-sync team add {code[0]} --yes, once the keys are the same")
    now = SendingRules.stored(app.state, app.me)
    consent_to_more(app, now.nothing_yet(), now.to(after, theirs.key), yes=yes)
    found = teams.add_member(app.state, app.me, newcomer, team, at)
    print_line(f"{theirs.tag} is on the roster of {found.name}{role}.")
    if is_mine:
        machines.add(app.state, found.tagged(theirs.tag), at)
    if wishes.same_person:
        whom = "It is" if is_mine else f"It and the other {user_of(theirs.tag)} are"
        print_line(f"{whom} asked, in the inbox. Then all members see the two under one name.")
    print_if_down(app)
    return found
