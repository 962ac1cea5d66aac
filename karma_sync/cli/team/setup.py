"""The commands `init`, `code` and `pair`."""

import sys
from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.beginning import (
    AddressOption,
    DiscoveryOption,
    MachineOption,
    NewIdentity,
    UserOption,
    make_identity,
)
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.domain.team import pairing_code
from karma_sync.errors import BadInput
from karma_sync.runtime.timing import utc_now

_CODE_BYTES = 10_000


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
    app.command()(code)
    app.command()(pair)


def init(
    user: UserOption = None,
    machine: MachineOption = None,
    address: AddressOption = None,
    discovery: DiscoveryOption = True,
) -> None:
    """Create an identity.

    On a terminal it asks for the names that were not given.

    Example: karma-sync init --user alice --machine laptop
    """
    make_identity(NewIdentity(user, machine, address or (), discovery))
    print_next("karma-sync up -d")


def code(
    as_json: JsonOption = False,
    check: Annotated[
        str | None,
        typer.Option(
            help="Show what a pairing code or invitation code contains. `-`: standard input."
        ),
    ] = None,
) -> None:
    """Print the pairing code.

    It names this machine, and is not a secret. With --check it reads another code, and changes
    nothing.

    Example: karma-sync code
    """
    if check is not None:
        _check(check, as_json)
        return
    me = App.from_environment().me
    if as_json:
        print_json(tag=me.tag, device=me.device, fingerprint=me.fingerprint, code=me.encode())
        return
    print_line(me.encode())
    if sys.stdout.isatty():
        print_next(
            "send it to the other member, who types: karma-sync team add CODE to take you in, or"
            " karma-sync pair CODE to join your team"
        )


def _check(text: str, as_json: bool) -> None:
    """Print the content of a code, without its secret."""
    from karma_sync.domain.team.invite_code import (
        InviteCode,
        Role,
        decode_invite,
        is_invite_code,
    )
    from karma_sync.domain.team.pairing_code import PairingCode

    if text == "-":
        text = sys.stdin.buffer.read(_CODE_BYTES).decode(errors="replace")
    found: PairingCode | InviteCode
    if is_invite_code(text):
        found = invited = decode_invite(text)
        over = "expired at" if utc_now() >= invited.expires else "good until"
        ends = f"{invited.expires:%Y-%m-%d %H:%M} UTC"
        who = {
            Role.MEMBER: "Whoever has it can join the team",
            Role.GUEST: "Whoever has it can join the team as a guest",
            Role.MACHINE: "It takes in another machine of the person who made it",
        }[invited.role]
        said = f"An invitation code, {over} {ends}. {who}."
        fields = {"kind": "invitation", "team": invited.team, "expires": str(invited.expires)}
        fields |= {"role": invited.role.value}
    else:
        found = paired = pairing_code.decode(text)
        said = f"A pairing code of {paired.tag}."
        fields = {"kind": "pairing", "tag": paired.tag}
    if as_json:
        fields |= {"device": found.device, "fingerprint": found.fingerprint}
        print_json(**fields, addresses=list(found.addresses))
        return
    reached = ", ".join(found.addresses) or "found by Syncthing's discovery"
    print_line(said, f"Key {found.fingerprint}, device {found.device}, {reached}.")


def pair(
    code: Annotated[
        list[str] | None,
        typer.Argument(help="The pairing code of the other member. Default: standard input."),
    ] = None,
) -> None:
    """Pair with a member.

    The first invitation from this member within 24 hours is accepted.

    Example: karma-sync pair AEAGQNA-4GGC73T-…
    """
    from karma_sync.service import invitations as service
    from karma_sync.service.teams import led_by

    app = App.from_environment()
    other = read_code(app, code)
    print_line(f"Pairing with {other.tag}, key {other.fingerprint}.")
    made = service.pair(app.state, app.me, other, utc_now())
    print_line("The first invitation from there within 24 hours is accepted.")
    print_if_down(app)
    theirs = f"karma-sync code, for {other.tag} to type: karma-sync team add CODE"
    leads = led_by(app.state, app.me)
    print_next(f"karma-sync team add {made.id} for your team, or {theirs}" if leads else theirs)


def read_code(app: App, parts: list[str] | None) -> pairing_code.PairingCode:
    """Return a pairing code from one or several arguments, or from standard input.

    Raises:
        BadInput: it is not a pairing code, or it is our own.
    """
    from karma_sync.service.teams import refuse_own

    if parts and parts != ["-"]:
        text = "".join(parts)
    else:
        if sys.stdin.isatty():
            sys.stderr.write("The pairing code of the other member [then Enter and Ctrl-D]: ")
            sys.stderr.flush()
        text = sys.stdin.buffer.read(_CODE_BYTES).decode(errors="replace")
    from karma_sync.domain.team.invite_code import is_invite_code

    if is_invite_code(text):
        raise BadInput("this is an invitation code, not a pairing code", hint="karma-sync join")
    code = pairing_code.decode(text)
    refuse_own(app.me, code)
    return code
