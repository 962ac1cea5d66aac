"""The command `join`."""

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_secret, confirm, is_terminal
from karma_sync.cli.beginning import (
    AddressOption,
    DiscoveryOption,
    MachineOption,
    NewIdentity,
    UserOption,
    begun,
)
from karma_sync.cli.consent_all import (
    agrees_to_everything,
    consented_to_all,
    load_ahead,
    projects_here,
)
from karma_sync.cli.hidden_code import OPTION, execute_without
from karma_sync.cli.options import DirectionOption, YesOption
from karma_sync.cli.output import flush, print_line, print_next, span
from karma_sync.domain.team.direction import Direction
from karma_sync.errors import NeedsConsent, TimedOut
from karma_sync.runtime.timing import Deadline, poll, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from karma_sync.domain.session.readable import Readable
    from karma_sync.domain.team.invite import Joining
    from karma_sync.domain.team.invite_code import InviteCode

_CODE_BYTES = 10_000
_WAIT_S = 600.0
_QUIET_S = 5.0  # the leader's machine may take this long before it counts as away
_SESSION_S = 30.0
_LOOK_S = 0.02
_SHOWN = 10  # projects of an offer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(join)


def join(
    code: Annotated[
        list[str] | None,
        typer.Argument(help="The code that `invite` printed. Default: it is asked for."),
    ] = None,
    direction: DirectionOption = None,
    user: UserOption = None,
    machine: MachineOption = None,
    address: AddressOption = None,
    discovery: DiscoveryOption = True,
    yes: YesOption = False,
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="With --yes, leave the rest to the daemon; answer later."),
    ] = False,
    me: Annotated[
        bool,
        typer.Option("--me", help="With --yes: the code is of your own other machine."),
    ] = False,
    code_from: Annotated[
        int | None, typer.Option(OPTION, hidden=True, help="A pipe with the code.")
    ] = None,
) -> None:
    """Join a team.

    It needs one invitation code. Without an identity or a daemon it makes these first. It shows who
    invites you, joins, receives what the team shares, shows what of yours would be sent, and asks.
    Pasted again, it goes on where it was interrupted.

    With a code of `invite --me` this machine becomes another one of the same person: all projects
    of both are on both.

    Example: karma-sync join KSI1-…
    """
    from karma_sync.domain.team.invite_code import decode_invite
    from karma_sync.service import joining as service

    if code and code != ["-"]:
        decode_invite("".join(code))  # text that is no invitation code is no secret, and is refused
        flush()
        execute_without(code)
    pasted = decode_invite(_typed(code_from))
    if not (yes or is_terminal()):
        raise NeedsConsent(
            "there is no terminal to ask at; nothing was changed",
            hint="karma-sync join --yes, with the code on standard input",
        )
    app = begun(NewIdentity(user, machine, address or (), discovery, at_once=True))
    begun_ = service.begin(app.state, app.me, pasted, utc_now())
    if not service.is_member(app.state, begun_):
        _agree(app, begun_, pasted, _Wishes(direction, me), yes=yes)
        if no_wait:
            print_line("The daemon goes on. Type the same command again to answer the projects.")
            return
        _wait_for_team(app, begun_)
    if not service.get(app.state, begun_).same_person:
        _answer_projects(app, begun_, direction, yes=yes)
    if not no_wait:
        _wait_for_session(app, begun_)
    print_next("karma-sync session list; karma-sync service install, to start with this machine")


def _typed(code_from: int | None) -> str:
    """Return the code: from the pipe, from standard input, or asked for without showing it."""
    if code_from is not None:
        with os.fdopen(code_from, "rb") as pipe:
            return pipe.read(_CODE_BYTES).decode(errors="replace")
    if sys.stdin.isatty():
        return ask_secret("The invitation code (it is not shown)")
    return sys.stdin.buffer.read(_CODE_BYTES).decode(errors="replace")


@dataclass(frozen=True)
class _Wishes:
    """The options of the answer, as typed."""

    direction: Direction | None
    me: bool


def _agree(app: App, joining: "Joining", code: "InviteCode", wishes: _Wishes, *, yes: bool) -> None:
    """Wait for the leader's offer, show it, and say yes; with `yes` say so at once.

    Raises:
        Conflict: the code cannot be used.
        NeedsConsent: the person said no.
        TimedOut: the leader's machine did not answer; the daemon goes on.
    """
    from karma_sync.service import joining as service

    chosen = wishes.direction or Direction.BOTH
    if not (yes or joining.agreed):
        offered = _wait(app, joining, lambda now: bool(now.team_name))
        if offered.machine:
            sent = _agrees_as_machine(app, offered, code, wishes.direction)
            service.agree(app.state, joining, same_person=True, direction=sent)
            return
        who = f"{offered.team_name}, led by {offered.leader} (key {code.fingerprint}), invites you"
        if offered.guest:
            print_line(f"{who} as a guest.", f"You would receive: {_projects(offered)}.")
            print_line("Nobody would receive anything of yours there.")
        else:
            print_line(f"{who}.", f"It shares: {_projects(offered)}.")
        if not confirm("Join?", default=True):
            service.cancel(app.state, joining)
            raise NeedsConsent("you joined no team")
    if yes and wishes.me and chosen is not Direction.RECEIVE:
        _agrees_to_send(app, "your other machine", code, yes=True)  # shows it, and does not ask
    service.agree(app.state, joining, same_person=wishes.me, direction=chosen)


def _agrees_as_machine(
    app: App, offered: "Joining", code: "InviteCode", direction: Direction | None
) -> Direction:
    """Ask whether this is another machine of the inviting person; return the content it may send.

    Raises:
        NeedsConsent: the person said no.
    """
    from karma_sync.domain.ids import user_of
    from karma_sync.service import joining as service

    print_line(
        f"{offered.leader} (key {code.fingerprint}) says that this machine and it are of one"
        " person.",
        f"It would send all of its projects: {_projects(offered)}.",
        "In every team that has both, all members would see the two under one name.",
    )
    if user_of(offered.leader) != user_of(app.me.tag):
        print_line(
            f"Your name here is {user_of(app.me.tag)}: for one name, first karma-sync down, then"
            f" karma-sync rename --user {user_of(offered.leader)}"
        )
    if not confirm("Are both yours?"):
        service.cancel(app.state, offered)
        raise NeedsConsent("you joined no team")
    if direction is Direction.RECEIVE:
        return direction
    agreed = _agrees_to_send(app, offered.leader, code, yes=False)
    return (direction or Direction.BOTH) if agreed else Direction.RECEIVE


def _agrees_to_send(app: App, inviting: str, code: "InviteCode", *, yes: bool) -> bool:
    """Show what of this machine would be sent to the one that invites (its tag), and ask."""
    from karma_sync.domain.team.member import Member
    from karma_sync.domain.team.team import found_team
    from karma_sync.service.sessions.own_projects import as_offered

    found = projects_here(app)
    other = Member(tag=inviting, device=code.device, key=code.key)
    mine = as_offered(found_team("machines", other, nonce=""), app.me, found, [other])
    question = "Send all of yours there, and later projects? [y/N/?]"
    return agrees_to_everything(app, mine, question, yes=yes)


def _projects(joining: "Joining") -> str:
    shown = ", ".join(joining.projects[:_SHOWN])
    more = len(joining.projects) - _SHOWN
    return (shown + (f" and {more} more" if more > 0 else "")) or "nothing yet"


def _wait_for_team(app: App, joining: "Joining") -> None:
    from karma_sync.service import joining as service

    load_ahead(app)  # meanwhile the two machines find each other
    joined = _wait(app, joining, lambda now: service.is_member(app.state, now))
    print_line(f"You are in team {joined.team_name or service.team_name(app.state, joined)}.")
    flush()


def _wait(app: App, joining: "Joining", is_there: "Callable[[Joining], bool]") -> "Joining":
    """Wait until something of a joining is there; says after a while that the leader is away.

    Raises:
        Conflict: the leader refused.
        TimedOut: ten minutes are over.
    """
    from karma_sync.service import joining as service

    quiet, deadline = Deadline(_QUIET_S), Deadline(_WAIT_S)
    is_told = False
    while True:
        now = service.get(app.state, joining)
        if is_there(now):
            return now
        if now.why and not now.is_open:
            raise service.refused(now)
        if deadline.is_over:
            raise TimedOut(
                f"the leader's machine did not answer within {span(int(_WAIT_S))}",
                hint="the daemon goes on; type the same command again later",
            )
        if quiet.is_over and not is_told:
            is_told = True
            print_line(_why_it_takes(app, now))
            flush()
        time.sleep(_LOOK_S)


def _why_it_takes(app: App, joining: "Joining") -> str:
    if joining.agreed and joining.confirm:
        return (
            f"Somebody at {joining.leader} must say yes. Your key there: {app.me.fingerprint}."
            " Waiting (Ctrl-C is fine, the daemon goes on) …"
        )
    return (
        "The leader's machine has not answered yet: it must be on, with its daemon. Waiting (Ctrl-C"
        " is fine, the daemon goes on) …"
    )


def _answer_projects(
    app: App, joining: "Joining", direction: Direction | None, *, yes: bool
) -> None:
    """Accept the projects that the team shares, after one question about all of them."""
    from karma_sync.service import projects

    offered = [
        each
        for each in projects.all_answers(app.state, app.me)
        if each.team.id == joining.team and each.mine.status == "offered"
    ]
    for answers, terms in consented_to_all(app, offered, direction, yes=yes) if offered else ():
        projects.accept(app.state, app.me, answers, terms, utc_now())


def _wait_for_session(app: App, joining: "Joining") -> None:
    """Wait a while for a first session of somebody else, if anybody sends one."""

    def newest() -> "Readable | None":
        return app.reader.newest_by_others(app.scope.within(team=joining.team))

    found = poll(newest, _LOOK_S, _SESSION_S)
    if found:
        print_line(f"Readable: sessions by {found.manifest.member}.")
    else:
        print_line("No session of the others is here yet.")
