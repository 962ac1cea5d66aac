"""The commands `machine list`, `machine add` and `machine remove`."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.consent_all import agrees_to_everything, projects_here
from karma_sync.cli.notices import print_if_down, warn_if_down
from karma_sync.cli.options import JsonOption, YesOption
from karma_sync.cli.output import ago, print_json, print_line, print_next
from karma_sync.cli.screen import print_table
from karma_sync.cli.team.setup import read_code
from karma_sync.domain.ids import fingerprint
from karma_sync.errors import NeedsConsent
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.pairing_code import PairingCode
    from karma_sync.service.machines import KnownMachine
    from karma_sync.service.status_model import Peer

_TAG = re.compile(r"[^.\s]+\.[^.\s]+")  # a code has no dot

MachineArgument = Annotated[
    str,
    typer.Argument(
        metavar="TAG",
        help="The member, whole: alice.desk.",
        autocompletion=completion.members,
    ),
]


_IN_NO_TEAM = "karma-sync invite --me, for a machine that is in none of your teams"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Manage your other machines.")
    group.command(name="list")(list_)
    group.command()(add)
    group.command()(remove)
    app.add_typer(group, name="machine")


def list_(as_json: JsonOption = False) -> None:
    """List your machines.

    It shows when each was last connected to this one. A machine counts as yours, for all members
    of your teams, once both say so.

    Example: karma-sync machine list
    """
    from karma_sync.daemon.lock import running
    from karma_sync.service import machines
    from karma_sync.service.status_model import peers

    app = App.from_environment()
    warn_if_down(app)
    found = machines.known(app.state, app.key.public)
    is_up = running(app.paths) is not None
    seen = peers(app.work, (each.member for each in found), is_up=is_up)
    if as_json:
        print_json(
            machine={"tag": app.me.tag, "fingerprint": app.me.fingerprint},
            others=[_as_json(each, seen[each.member.key]) for each in found],
        )
        return
    rows = [(app.me.tag, "this machine", "-", "-", app.me.fingerprint)]
    for each in found:
        member, peer = each.member, seen[each.member.key]
        last = "now" if peer.connected else ago(peer.last_seen)
        teams = ", ".join(each.teams)
        rows.append((member.tag, _standing(each), last, teams, fingerprint(member.key)))
    print_table(("MACHINE", "STANDING", "LAST SEEN", "TEAMS", "KEY"), rows)
    waiting = [m.member.tag for m in found if not m.by_me]
    if waiting:
        print_next(f"karma-sync machine add {waiting[0]}, if it is yours")
    elif not found:
        print_next("karma-sync invite --me, for your other machine")


def _standing(machine: "KnownMachine") -> str:
    if machine.is_agreed:
        return "yours"
    return "waits for its yes" if machine.by_me else "says that it is yours"


def _as_json(machine: "KnownMachine", peer: "Peer") -> dict[str, object]:
    return {
        "tag": machine.member.tag,
        "fingerprint": fingerprint(machine.member.key),
        "teams": list(machine.teams),
        "said_here": machine.by_me,
        "said_there": machine.by_itself,
        "agreed": machine.is_agreed,
        "connected": peer.connected,
        "last_seen": peer.last_seen,
    }


def add(
    who: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TAG|CODE",
            help="A member, whole: alice.desk. Or the other machine's pairing code. Default:"
            " standard input.",
            autocompletion=completion.members,
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Add your other machine.

    You say that a member is another machine of yours; it must say the same. Then all members see
    the two under one name, and either can take back what the other sent, once that one is removed.
    It sends nothing.

    With the pairing code of a machine, typed on both within 24 hours, the two get a team of their
    own, as with `invite --me`, and no code that is a secret: all of your projects, and later ones,
    are on both. It shows what of this machine would be sent, and asks.

    Example: karma-sync machine add alice.desk
    """
    from karma_sync.service import machines

    app = App.from_environment()
    if who is None or not (len(who) == 1 and _TAG.fullmatch(who[0])):
        _add_by_code(app, read_code(app, who), yes=yes)
        return
    found = machines.find(app.state, app.me, who[0], hint=_IN_NO_TEAM)
    machines.require_both_members(app.state, app.me, found, hint=_IN_NO_TEAM)
    print_line(
        f"You say that {found.tag}, key {fingerprint(found.key)}, is another machine of yours.",
        "It shows its key with: karma-sync status. Compare the two.",
    )
    ask_unless(yes, hint=f"karma-sync machine add {found.tag} --yes, once the keys are the same")
    machines.add(app.state, found, utc_now())
    print_if_down(app)
    print_next(f"there: karma-sync machine add {app.me.tag}; then: karma-sync machine list")


def _add_by_code(app: App, other: "PairingCode", *, yes: bool) -> None:
    """Make a team of this machine and another one of the same person, after the person agreed.

    Raises:
        Conflict: this machine has such a team already.
        NeedsConsent: the person said no, or there is no terminal to ask at.
    """
    from karma_sync.domain.ids import user_of
    from karma_sync.domain.team.member import Member
    from karma_sync.service import pairing_machines as service
    from karma_sync.service.sessions.own_projects import as_offered

    service.require_new(app.state, app.me, other)
    print_line(
        f"You say that {other.tag}, key {other.fingerprint}, is another machine of yours.",
        "It shows its key with: karma-sync status. Compare the two.",
        "All of your projects, and later ones, will be on both machines.",
    )
    if user_of(other.tag) != user_of(app.me.tag):
        print_line(
            f"Your name here is {user_of(app.me.tag)}: for one name, first karma-sync down, then"
            f" karma-sync rename --user {user_of(other.tag)}"
        )
    found = projects_here(app)
    team = service.team_of_two(app.me, other)
    receiver = Member(tag=other.tag, device=other.device, key=other.key)
    offered = as_offered(team, app.me, found, [receiver])
    if not agrees_to_everything(app, offered, "Send all of it there? [y/N/?]", yes=yes):
        raise NeedsConsent("nothing was changed")
    service.pair(app.state, app.me, other, utc_now())
    print_if_down(app)
    print_next(
        "there: karma-sync machine add CODE, with the code that karma-sync code prints here; then:"
        " karma-sync machine list"
    )


def remove(tag: MachineArgument) -> None:
    """Remove your other machine.

    You say that a member is not a machine of yours. All members then see the two under their own
    names.

    Example: karma-sync machine remove alice.desk
    """
    from karma_sync.service import machines

    app = App.from_environment()
    found = machines.find(app.state, app.me, tag, hint="karma-sync machine list")
    machines.remove(app.state, found, utc_now())
    print_line(f"{found.tag} is not a machine of yours.")
    print_if_down(app)
    print_next("karma-sync machine list")
