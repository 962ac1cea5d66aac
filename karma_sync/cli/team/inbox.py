"""The commands `inbox`, `invitation accept` and `invitation decline`."""

from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.notices import print_if_down, warn_if_down
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import ago, print_json, print_line, print_next
from karma_sync.cli.screen import print_table

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

    It shows the members who want to connect, and the teams that invite you.

    Example: karma-sync inbox
    """
    from karma_sync.domain.ids import fingerprint
    from karma_sync.service import invitations

    app = App.from_environment()
    warn_if_down(app)
    waiting = invitations.inbox(app.state)
    if as_json:
        print_json(
            contacts=[c.to_fields() | {"id": c.id} for c in waiting.contacts],
            invitations=[
                i.to_fields() | {"id": i.id, "fingerprint": fingerprint(i.leader_key)}
                for i in waiting.invitations
            ],
            fetching=waiting.fetching,
            awaited=[c.id for c in waiting.awaited],
            declined=[each.to_fields() | {"id": each.id} for each in waiting.declined],
        )
        return
    rows = [
        (c.id, "contact", f"{c.name} (its own claim, not verified)", ago(c.seen))
        for c in waiting.contacts
    ]
    rows += [
        (
            i.id,
            "invitation",
            f"{i.team_name}, led by {i.leader_tag}, key {fingerprint(i.leader_key)}",
            ago(i.seen),
        )
        for i in waiting.invitations
    ]
    if rows:
        print_table(("ID", "WHAT", "FROM", "SEEN"), rows)
        answer = "karma-sync invitation"
        print_next(f"{answer} accept {rows[0][0]}, or {answer} decline {rows[0][0]}")
    elif waiting.fetching:
        print_line("An invitation is arriving: its roster is not here yet.")
    elif waiting.awaited:
        names = ", ".join(f"{c.name} ({c.id})" for c in waiting.awaited)
        print_line(f"There is nothing to answer now. No invitation has arrived yet from {names}.")
        print_next("karma-sync inbox, in a minute")
    else:
        print_line("There are no invitations. A leader invites you with your pairing code.")
        print_next("karma-sync code")
    if waiting.declined:
        declined = ", ".join(each.id for each in waiting.declined)
        print_line(f"You declined {declined}; you can still accept.")


def accept(wanted: IdArgument) -> None:
    """Accept a contact or an invitation.

    A contact is a device that wants to connect: to accept it fetches its invitation. To accept an
    invitation joins the team.

    Example: karma-sync invitation accept k5j2m3q
    """
    from karma_sync.domain.ids import fingerprint
    from karma_sync.domain.team.invitation import Contact
    from karma_sync.service import invitations

    app = App.from_environment()
    answered = invitations.answer(app.state, wanted, "accept")
    if isinstance(answered, Contact):
        print_line(f"Contact {answered.id} is accepted; its invitation arrives next.")
        after = "karma-sync inbox"
    else:
        key = fingerprint(answered.leader_key)
        print_line(f"You join {answered.team_name}, led by {answered.leader_tag}, key {key}.")
        after = "karma-sync subscription list"
    print_if_down(app)
    print_next(after)


def decline(wanted: IdArgument) -> None:
    """Decline a contact or an invitation.

    Example: karma-sync invitation decline k5j2m3q
    """
    from karma_sync.service import invitations

    app = App.from_environment()
    answered = invitations.answer(app.state, wanted, "decline")
    print_line(f"{answered.id} is declined.")
    print_if_down(app)
    print_next(f"karma-sync invitation accept {answered.id}, if you change your mind")
