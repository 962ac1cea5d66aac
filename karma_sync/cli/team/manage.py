"""The commands `team list`, `show`, `leave`, `remove`, `dissolve` and `rename`."""

from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import JsonOption, YesOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.screen import print_table
from karma_sync.domain.ids import fingerprint
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.member import Member
    from karma_sync.domain.team.team import Team

OfTeam = Annotated[
    str | None,
    typer.Option(
        "--team", help="The team, if you are in several.", autocompletion=completion.teams
    ),
]
TagArgument = Annotated[
    str,
    typer.Argument(
        metavar="TAG",
        help="The member: alice.laptop, or alice if only one has that name.",
        autocompletion=completion.members,
    ),
]


def add_to(group: typer.Typer) -> None:
    """Register the commands in the group `team`."""
    group.command(name="list")(list_)
    group.command()(show)
    group.command()(leave)
    group.command()(remove)
    group.command()(retract)
    group.command()(dissolve)
    group.command()(rename)


def list_(as_json: JsonOption = False) -> None:
    """List your teams.

    It also lists the teams that you left, and those from which you were removed.

    Example: karma-sync team list
    """
    from karma_sync.service import teams

    app = App.from_environment()
    found, former = teams.all_teams(app.state), teams.former_teams(app.state)
    rows = [(t.name, _standing(app, t), str(len(t.members)), str(len(t.projects))) for t in found]
    left = [f for f in former if f.team not in {t.id for t in found}]
    if as_json:
        print_json(
            teams=[_as_json(app, t) for t in found],
            former=[f.to_fields() for f in left],
        )
        return
    rows += [(f.name, f"{f.how} {f.at:%Y-%m-%d}", "-", "-") for f in left]
    if not rows:
        print_line("You are in no team.")
        print_next("karma-sync team create NAME")
        return
    print_table(("TEAM", "YOU", "MEMBERS", "PROJECTS"), rows)


def show(team: OfTeam = None, as_json: JsonOption = False) -> None:
    """Show a team.

    It shows its leader and successors, its members and guests with their keys, and its projects.

    Example: karma-sync team show --team backend
    """
    from karma_sync.service import machines, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    if as_json:
        print_json(**_as_json(app, found))
        return
    print_line(f"Team {found.name}: {_standing(app, found)}. Term {found.term}.")
    muted = machines.muted_keys(app.state)
    rows = [
        (
            m.tag,
            _role(found, m),
            m.status.value + (", muted" if m.key in muted else ""),
            fingerprint(m.key),
        )
        for m in found.everybody
    ]
    rows += [
        (m.tag, "-", m.removal.how.value, fingerprint(m.key)) for m in found.removed if m.removal
    ]
    print_table(("MEMBER", "ROLE", "STATUS", "KEY"), rows)
    for member in found.members:
        others = ", ".join(m.tag for m in found.machines_of(member.key))
        if others and all(member.tag < m.tag for m in found.machines_of(member.key)):
            print_line(f"One person: {member.tag}, {others}")
    for guest in found.guests:
        print_line(f"Guest {guest.tag} may receive: {', '.join(guest.limited_to)}")
    for project in found.projects:
        print_line(f"Project: {project.identity}")
    print_line(f"What a removed member received: {found.on_removal} (policy).")
    leads = found.leader == app.me.key and not found.is_dissolved
    if leads and not found.successors and len(found.members) > 1:
        named = f"karma-sync team successors TAG --team {found.name}"
        print_next(f"{named}, who may take over if this machine is lost")


def leave(
    team: OfTeam = None,
    keep_shared: Annotated[
        bool, typer.Option("--keep-shared", help="The others keep the sessions that you sent.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what you received. Default: deleted after 7 days.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Leave a team.

    Nothing more is sent or received. The others delete what you sent, unless --keep-shared is
    typed.

    Example: karma-sync team leave --team backend
    """
    from karma_sync.service import membership, teams
    from karma_sync.team.departures import LeaveTerms

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    membership.require_leave(found, app.me)
    print_line(f"You leave team {found.name}.")
    stays = "stays with them" if keep_shared else "is deleted at the others"
    me = found.known(app.me.key)
    is_alone = len(found.everybody) == 1
    why = "nobody else is in the team" if is_alone else _nothing_of(me)
    print_line(f"  what you sent:     {why or stays}")
    print_line(f"  what you received: {'stays here' if keep else 'is deleted in 7 days'}")
    kept = [*["--keep-shared"] * keep_shared, *["--keep"] * keep]
    ask_unless(yes, hint=" ".join(["karma-sync team leave --team", found.name, *kept, "--yes"]))
    terms = LeaveTerms(utc_now(), retracted=not keep_shared, keep=keep)
    membership.leave(app.state, app.me, found.id, terms)
    seen = "" if is_alone else " The others see it as soon as one of them is connected."
    print_line(f"You left {found.name}.{seen}")
    print_if_down(app)
    print_next("karma-sync team list")


def remove(
    tag: Annotated[
        str,
        typer.Argument(
            metavar="TAG",
            help="The member or guest: alice.laptop, or alice if only one has that name.",
            autocompletion=completion.everybody,
        ),
    ],
    team: OfTeam = None,
    stolen: Annotated[
        bool,
        typer.Option(
            "--stolen", help="Its machine was stolen: do not notify it, and never add it again."
        ),
    ] = False,
    retract: Annotated[
        bool, typer.Option("--retract", help="All others delete what it sent.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Remove a member or guest.

    Only the leader can. Nothing more is sent to it or taken from it, at any member. Sessions that
    it has already stay on its machine, unless the team's policy has its karma-sync delete them.

    Example: karma-sync team remove bob.laptop
    """
    from karma_sync.service import membership
    from karma_sync.service.leadership import Person

    app = App.from_environment()
    found, member = membership.find_member(app.state, tag, team)
    membership.require_removal(found, app.me, member)
    print_line(f"Removing {member.tag}, key {fingerprint(member.key)}, from {found.name}.")
    sent = "is deleted at all others" if retract else "stays with the others"
    print_line(f"  what it sent:     {_nothing_of(member) or sent}")
    print_line(f"  what it received: {_received(found, member, stolen)}")
    how = [*["--stolen"] * stolen, *["--retract"] * retract, "--yes"]
    ask_unless(
        yes, hint=" ".join(["karma-sync team remove", member.tag, "--team", found.name, *how])
    )
    terms = membership.RemovalTerms(stolen, retract)
    person = Person(app.me, app.key)
    membership.remove(app.state, person, (found, member), terms, utc_now())
    print_line(f"{member.tag} is removed from {found.name}.")
    print_if_down(app)
    print_next(f"karma-sync team show --team {found.name}")


def retract(
    tag: Annotated[
        str,
        typer.Argument(
            metavar="TAG",
            help="The removed member: bob.laptop.",
            autocompletion=completion.removed_members,
        ),
    ],
    team: OfTeam = None,
    yes: YesOption = False,
) -> None:
    """Retract a removed member's sessions.

    All others delete what it sent. The leader can, and another machine of the same person: one that
    was its machine when it was removed.

    Example: karma-sync team retract alice.old
    """
    from karma_sync.service import membership, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    gone = found.removed_tagged(tag)
    membership.require_retract(found, app.me, gone)
    print_line(f"All members of {found.name} delete what {gone.tag} sent; nobody can undo that.")
    ask_unless(yes, hint=f"karma-sync team retract {gone.tag} --team {found.name} --yes")
    membership.retract(app.state, app.me, gone.tag, found.id)
    print_line(f"What {gone.tag} sent is taken back.")
    print_if_down(app)
    print_next(f"karma-sync team show --team {found.name}")


def _nothing_of(member: "Member | None") -> str:
    """Return a text for the sessions of a member who can have sent none; "" for any other."""
    if member and member.limited_to:
        return "nothing: a guest sends nothing"
    return "nothing: it has not joined" if member and not member.active else ""


def _received(team: "Team", member: "Member", stolen: bool) -> str:
    if not member.active:
        return "nothing: it has not joined"
    if stolen:
        return "cannot be taken back: its machine is not told"
    if team.on_removal == "keep":
        return "stays there (policy)"
    return "is deleted by its karma-sync, if that is not changed; nobody can be sure"


def dissolve(team: OfTeam = None, yes: YesOption = False) -> None:
    """Dissolve a team.

    Only the leader can. Nothing more is exchanged. Sessions exchanged before stay, and each member
    can still take back its own.

    Example: karma-sync team dissolve --team backend
    """
    from karma_sync.service import membership, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team).lead_by(app.me.key)
    found.dissolve()  # raises before the command asks
    size = len(found.everybody)
    whose = "" if size == 1 else f" with {size} members and guests"
    print_line(f"Team {found.name}{whose} ends; nobody can undo that.")
    ask_unless(yes, hint=f"karma-sync team dissolve --team {found.name} --yes")
    membership.dissolve(app.state, app.me, found.id, utc_now())
    print_line(f"{found.name} is dissolved.")
    print_if_down(app)
    print_next(f"karma-sync team leave --team {found.name}, which also withdraws what you sent")


def rename(
    name: Annotated[str, typer.Argument(help="The new name of the team.")], team: OfTeam = None
) -> None:
    """Rename a team.

    Only the leader can.

    Example: karma-sync team rename platform --team backend
    """
    from karma_sync.service import membership

    app = App.from_environment()
    found = membership.rename(app.state, app.me, name, team)
    print_line(f"The team is called {found.name} now.")
    print_if_down(app)
    print_next(f"karma-sync team show --team {found.name}")


def _standing(app: App, team: "Team") -> str:
    if team.is_leaving(app.me.key):
        return "leaving"
    if team.is_dissolved:
        return "dissolved"
    me = team.anybody(app.me.key)
    role = _role(team, me) if me else "removed"
    if role == "leader":
        return "you lead it"
    return f"you are {role}" if role[-1].isdigit() else f"you are a {role}"


def _role(team: "Team", member: "Member") -> str:
    if member.key == team.leader:
        return "leader"
    if member.limited_to:
        return "guest"
    if member.key in team.successors:
        return f"successor {team.successors.index(member.key) + 1}"
    return "member"


def _as_json(app: App, team: "Team") -> dict[str, object]:
    from karma_sync.service.machines import muted_keys

    muted = muted_keys(app.state)
    return {
        "id": team.id,
        "name": team.name,
        "status": team.status.value,
        "you": _standing(app, team),
        "term": team.term,
        "on_removal": team.on_removal.value,
        "members": [
            {
                "tag": m.tag,
                "role": _role(team, m),
                "status": m.status.value,
                "fingerprint": fingerprint(m.key),
                "projects": list(m.limited_to),
                "machines": [other.tag for other in team.machines_of(m.key)],
                "muted": m.key in muted,
            }
            for m in team.everybody
        ],
        "removed": [
            {"tag": m.tag, "how": m.removal.how.value, "fingerprint": fingerprint(m.key)}
            for m in team.removed
            if m.removal
        ],
        "projects": [p.identity for p in team.projects],
        "unshared": [p.identity for p in team.unshared],
    }
