"""The commands `team transfer`, `team successors` and `team take-over`."""

from typing import Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import YesOption
from karma_sync.cli.output import print_line, print_next
from karma_sync.cli.team.manage import OfTeam, TagArgument
from karma_sync.errors import BadInput


def add_to(group: typer.Typer) -> None:
    """Register the commands in the group `team`."""
    group.command()(transfer)
    group.command()(successors)
    group.command(name="take-over")(take_over)


def transfer(tag: TagArgument, team: OfTeam = None, yes: YesOption = False) -> None:
    """Pass leadership on.

    You lead the team no longer, at once. The new leader can remove you.

    Example: karma-sync team transfer bob.laptop
    """
    from karma_sync.service import leadership, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    member = leadership.heir(found, app.me, tag)
    print_line(f"{member.tag} will lead {found.name} in your place, and can remove you.")
    ask_unless(yes, hint=f"karma-sync team transfer {member.tag} --team {found.name} --yes")
    leadership.transfer(app.state, leadership.Person(app.me, app.key), member.tag, found.id)
    print_line(f"{member.tag} leads {found.name} now.")
    print_if_down(app)
    print_next(f"karma-sync team show --team {found.name}")


def successors(
    tags: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TAG",
            help="The members who may take over, the first one before the others. Default: show.",
            autocompletion=completion.members,
        ),
    ] = None,
    team: OfTeam = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Nobody may take over.")] = False,
    yes: YesOption = False,
) -> None:
    """Show or name the successors.

    A successor can take over the team without being asked, for good, even after you named another
    one: name only members whom you would give the team.

    Example: karma-sync team successors bob.laptop carol.desktop
    """
    from karma_sync.service import leadership, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    if tags and nobody:
        raise BadInput(
            "--nobody means that nobody may take over", hint="leave out --nobody, or the tags"
        )
    if tags or nobody:
        named = [m.tag for m in leadership.named_successors(found, app.me, tags or ())]
        if named:
            print_line(
                f"{found.name} can be taken over, without asking you, by: {', '.join(named)}."
            )
        else:
            print_line(f"Nobody can take over {found.name}.")
        typed = " ".join(named) or "--nobody"
        ask_unless(yes, hint=f"karma-sync team successors {typed} --team {found.name} --yes")
        person = leadership.Person(app.me, app.key)
        found = leadership.name_successors(app.state, person, named, found.id)
        print_if_down(app)
    tags_of = [m.tag for key in found.successors if (m := found.member(key))]
    print_line(f"Successors in {found.name}: {', '.join(tags_of) or 'none'}.")


def take_over(team: OfTeam = None, yes: YesOption = False) -> None:
    """Take over a team.

    It is for a team whose leader lost the machine, and that names you as a successor. Changes that
    the leader made and that nobody saw are lost.

    Example: karma-sync team take-over --team backend
    """
    from karma_sync.service import leadership, teams

    app = App.from_environment()
    found = teams.find_team(app.state, team)
    leadership.require_successor(found, app.me)
    leader = found.member(found.leader)
    print_line(f"You will lead {found.name} in place of {leader.tag if leader else 'its leader'}.")
    ask_unless(yes, hint=f"karma-sync team take-over --team {found.name} --yes")
    leadership.take_over(app.state, leadership.Person(app.me, app.key), found.id)
    print_line(f"You lead {found.name} now.")
    print_if_down(app)
    print_next(f"karma-sync team show --team {found.name}")
