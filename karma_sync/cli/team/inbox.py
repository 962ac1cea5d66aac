"""Commands about being asked: inbox, invitation accept, invitation decline."""

from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.notices import say_if_down, warn_if_down
from karma_sync.cli.output import ago, next_step, say, say_json, table


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(inbox)
    group = typer.Typer(no_args_is_help=True, help="Answer who wants to connect, or invites you.")
    group.command()(accept)
    group.command()(decline)
    app.add_typer(group, name="invitation")


def inbox(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show who wants to connect, and which teams invite you.

    Example: karma-sync inbox
    """
    from karma_sync.domain.ids import fingerprint
    from karma_sync.service import invitations

    app = App.from_environment()
    warn_if_down(app)
    waiting = invitations.inbox(app.state)
    if as_json:
        say_json(
            contacts=[c.model_dump(mode="json") | {"id": c.id} for c in waiting.contacts],
            invitations=[
                i.model_dump(mode="json") | {"id": i.id, "fingerprint": fingerprint(i.leader_key)}
                for i in waiting.invitations
            ],
            fetching=waiting.fetching,
            awaited=[c.id for c in waiting.awaited],
            declined=[each.model_dump(mode="json") | {"id": each.id} for each in waiting.declined],
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
        table(("ID", "WHAT", "FROM", "SEEN"), rows)
        next_step(f"karma-sync invitation accept {rows[0][0]}, or decline {rows[0][0]}")
    elif waiting.fetching:
        say("An invitation is on its way: its roster has not arrived yet.")
    elif waiting.awaited:
        names = ", ".join(f"{c.name} ({c.id})" for c in waiting.awaited)
        say(f"Nothing to answer now. No invitation has come yet from {names}.")
        next_step("karma-sync inbox, in a moment")
    else:
        say("Nobody asks. An invitation comes after its leader added your code.")
        next_step("karma-sync code")
    if waiting.declined:
        declined = ", ".join(each.id for each in waiting.declined)
        say(f"Declined, and still to be had: {declined}.")


def accept(wanted: Annotated[str, typer.Argument(metavar="ID", help="From the inbox.")]) -> None:
    """Say yes to a contact or an invitation. A contact's fetches its invitation, which joins.

    Example: karma-sync invitation accept k5j2m3q
    """
    from karma_sync.domain.ids import fingerprint
    from karma_sync.domain.team.invitation import Contact
    from karma_sync.service import invitations

    app = App.from_environment()
    answered = invitations.answer(app.state, wanted, "accept")
    if isinstance(answered, Contact):
        say(f"Contact {answered.id} is accepted; its invitation is fetched now.")
        after = "karma-sync inbox"
    else:
        key = fingerprint(answered.leader_key)
        say(f"You join {answered.team_name}, led by {answered.leader_tag}, key {key}.")
        after = "karma-sync subscription list"
    say_if_down(app)
    next_step(after)


def decline(wanted: Annotated[str, typer.Argument(metavar="ID", help="From the inbox.")]) -> None:
    """Say no, for good.

    Example: karma-sync invitation decline k5j2m3q
    """
    from karma_sync.service import invitations

    app = App.from_environment()
    answered = invitations.answer(app.state, wanted, "decline")
    say(f"{answered.id} is declined.")
    say_if_down(app)
    next_step(f"karma-sync invitation accept {answered.id}, if you change your mind")
