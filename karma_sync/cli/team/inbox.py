"""The commands `inbox`, `invitation accept` and `invitation decline`."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.notices import print_if_down, warn_if_down
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import ago, print_json, print_line, print_next
from karma_sync.cli.screen import print_table
from karma_sync.domain.ids import fingerprint
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.invitation import Contact, Invitation
    from karma_sync.domain.team.invite import Joining
    from karma_sync.domain.team.machine import SameClaim
    from karma_sync.domain.team.member import Member
    from karma_sync.domain.team.team import Team
    from karma_sync.service.invitations import Waiting

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The id that `inbox` shows.",
        autocompletion=completion.invitations,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(inbox)
    group = typer.Typer(no_args_is_help=True, help="Answer invitations.")
    group.command()(accept)
    group.command()(decline)
    app.add_typer(group, name="invitation")


def inbox(as_json: JsonOption = False) -> None:
    """Show invitations.

    It shows the members who want to connect, the teams that invite you, whose invitation you wait
    for, and the projects that members ask you to share.

    Example: karma-sync inbox
    """
    from karma_sync.service import invitations
    from karma_sync.service.teams import led_by, proposals

    app = App.from_environment()
    warn_if_down(app)
    waiting = invitations.inbox(app.state, app.me, utc_now())
    proposed = proposals(led_by(app.state, app.me))
    if as_json:
        _print_as_json(waiting, proposed)
    else:
        _print(app, waiting, proposed)
    invitations.remember_shown(app.state, waiting.to_answer)


def _print(app: App, waiting: "Waiting", proposed: "list[tuple[Team, Member, str]]") -> None:
    from karma_sync.service.teams import led_by

    rows = _rows(waiting)
    rows += [("-", "proposal", f"{p} for {t.name}, by {m.tag}", "-") for t, m, p in proposed]
    if rows:
        print_table(("ID", "WHAT", "FROM", "SEEN"), rows)
        for each in waiting.invitations:
            if each.limited_to:
                print_line(f"{each.id} invites you {_terms_of_guest(each)}")
    else:
        print_line("There are no invitations. The leader of a team invites you: karma-sync invite.")
    if waiting.fetching:
        print_line("An invitation is arriving: its roster is not here yet.")
    if waiting.declined:
        declined = ", ".join(each.id for each in waiting.declined)
        print_line(f"You declined {declined}; you can still accept.")
    if proposed and not waiting.invitations and not waiting.contacts:
        print_next(f"karma-sync project share DIRECTORY, in your clone of {proposed[0][2]}")
        return
    print_next(_next(waiting, leads=bool(led_by(app.state, app.me))))


def _rows(waiting: "Waiting") -> list[tuple[str, str, str, str]]:
    from karma_sync.domain.team.member import as_guest

    claim = "its own claim, not verified"
    refusing = {each.device for each in waiting.refused}
    rows = [
        (
            c.id,
            "contact",
            f"{_who(c)} ({claim}{'; it refused your code' if c.device in refusing else ''})",
            ago(c.seen),
        )
        for c in waiting.contacts
    ]
    rows += [
        (
            i.id,
            "invitation",
            f"{i.team_name}{as_guest(i.limited_to)}, led by {i.leader_tag},"
            f" key {fingerprint(i.leader_key)}",
            ago(i.seen),
        )
        for i in waiting.invitations
    ]
    rows += [
        (d.id, "request", f"{d.tag}, key {fingerprint(d.key)}: asks to join", ago(d.seen))
        for d in waiting.asking
    ]
    rows += [(c.id, "machine", _claim(c), "-") for c in waiting.machines]
    rows += [
        (j.id, "joining", f"{_team_of(j)}: waiting for its leader", ago(j.made))
        for j in waiting.joining
    ]
    rows += [_refused(each) for each in waiting.refused]
    rows += [
        (p.id, "paired", f"{p.tag}, key {fingerprint(p.key)}: no invitation yet", ago(p.made))
        for p in waiting.paired
    ]
    rows += [
        (c.id, "accepted", f"{_who(c)} ({claim}): no invitation yet", ago(c.seen))
        for c in waiting.awaited
    ]
    return rows


def _refused(joining: "Joining") -> tuple[str, str, str, str]:
    from karma_sync.service.joining import refused

    return "-", "refused", f"{_team_of(joining)}: {refused(joining)}", ago(joining.made)


def _claim(claim: "SameClaim") -> str:
    """Return the claim about a member; names and keys only, so it is on one line."""
    member = claim.member
    whose = f"{member.tag}, key {fingerprint(member.key)}"
    who = f"the leader of {claim.team} says" if claim.by_leader else "says"
    return f"{whose}: {who} that it is another machine of yours"


def _terms_of_guest(invitation: "Invitation") -> str:
    projects = ", ".join(invitation.limited_to)
    return f"as a guest: you receive {projects} alone, and nobody receives anything from you."


def _team_of(joining: "Joining") -> str:
    return f"{joining.team_name}, led by {joining.leader}" if joining.team_name else "a team"


def _who(contact: "Contact") -> str:
    return f"{contact.name}, key {fingerprint(contact.key)}" if contact.key else contact.name


def _next(waiting: "Waiting", *, leads: bool) -> str:
    """Return the command for the first in the list, and the ones that need another command."""
    answer = "karma-sync invitation"
    asked = [each.id for each in waiting.asking] + [each.id for each in waiting.machines]
    asked += [each.id for each in waiting.invitations]
    if asked:
        first = asked[0]
        return f"{answer} accept {first}, or {answer} decline {first}"
    if waiting.contacts:
        first = waiting.contacts[0].id
        accept = f"{answer} accept {first}, or {answer} decline {first}"
        return f"karma-sync team add {first} for your team, or {accept}" if leads else accept
    others = [(p.id, p.tag) for p in waiting.paired] + [(c.id, c.name) for c in waiting.awaited]
    if others:
        first, name = others[0]
        theirs = f"karma-sync code, for {name} to type: karma-sync team add CODE"
        return f"karma-sync team add {first} for your team, or {theirs}" if leads else theirs
    return "karma-sync inbox, in a moment" if waiting.fetching else "karma-sync code"


def _print_as_json(waiting: "Waiting", proposed: "list[tuple[Team, Member, str]]") -> None:
    print_json(
        proposals=[
            {"team": t.name, "member": m.tag, "project": project} for t, m, project in proposed
        ],
        contacts=[c.to_fields() | {"id": c.id} for c in waiting.contacts],
        invitations=[
            i.to_fields() | {"id": i.id, "fingerprint": fingerprint(i.leader_key)}
            for i in waiting.invitations
        ],
        fetching=waiting.fetching,
        asking=[
            {"id": d.id, "tag": d.tag, "fingerprint": fingerprint(d.key)} for d in waiting.asking
        ],
        machines=[
            {
                "id": c.id,
                "tag": c.member.tag,
                "fingerprint": fingerprint(c.member.key),
                "team": c.team,
                "by_leader": c.by_leader,
            }
            for c in waiting.machines
        ],
        joining=[
            {"id": j.id, "team": j.team_name, "leader": j.leader, "agreed": j.agreed}
            for j in waiting.joining
        ],
        refused=[
            {"id": j.id, "team": j.team_name, "leader": j.leader, "why": j.why}
            for j in waiting.refused
        ],
        paired=[p.to_fields() | {"id": p.id} for p in waiting.paired],
        awaited=[c.id for c in waiting.awaited],
        declined=[each.to_fields() | {"id": each.id} for each in waiting.declined],
    )


def accept(wanted: IdArgument) -> None:
    """Accept a contact or an invitation.

    A contact is a device that wants to connect: to accept it fetches its invitation. To accept an
    invitation joins the team. To accept a request, made with a code of yours that needs your yes,
    puts who asks into your team. To accept a machine says that you and it are one person.

    Example: karma-sync invitation accept k5j2m3q
    """
    from karma_sync.domain.team.invitation import Contact
    from karma_sync.domain.team.invite import Door
    from karma_sync.domain.team.machine import SameClaim
    from karma_sync.service import invitations
    from karma_sync.service.teams import led_by

    app = App.from_environment()
    answered = invitations.answer(app.state, app.me, wanted, "accept", utc_now())
    if isinstance(answered, SameClaim):
        print_line(
            f"You say that {answered.member.tag}, key {fingerprint(answered.member.key)}, is"
            " another machine of yours.",
            "It counts once it says the same."
            if answered.by_leader
            else "It says the same: all members see the two under one name.",
        )
        after = "karma-sync machine list"
    elif isinstance(answered, Door):
        print_line(f"{answered.tag}, key {fingerprint(answered.key)}, may join.")
        after = "karma-sync invite list"
    elif isinstance(answered, Contact):
        print_line(f"Contact {answered.id} is accepted: it may send an invitation to its team.")
        after = "karma-sync inbox"
        if led_by(app.state, app.me):
            after = f"karma-sync team add {answered.id}, to add it to your team; or {after}"
    else:
        key = fingerprint(answered.leader_key)
        print_line(f"You join {answered.team_name}, led by {answered.leader_tag}, key {key}.")
        if answered.limited_to:
            print_line(f"You are in it {_terms_of_guest(answered)}")
        after = "karma-sync subscription list"
    print_if_down(app)
    print_next(after)


def decline(wanted: IdArgument) -> None:
    """Decline a contact or an invitation.

    Example: karma-sync invitation decline k5j2m3q
    """
    from karma_sync.domain.team.invite import Door
    from karma_sync.domain.team.machine import SameClaim
    from karma_sync.service import invitations

    app = App.from_environment()
    answered = invitations.answer(app.state, app.me, wanted, "decline", utc_now())
    print_line(f"{answered.id} is declined.")
    print_if_down(app)
    if isinstance(answered, SameClaim):
        print_next(f"karma-sync machine add {answered.member.tag}, if you change your mind")
        return
    if isinstance(answered, Door):
        return
    print_next(f"karma-sync invitation accept {answered.id}, if you change your mind")
