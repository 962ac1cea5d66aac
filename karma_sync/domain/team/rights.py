"""Derives what a member may read and write from the rosters and from its own answers."""

from collections.abc import Iterable

from karma_sync.domain.access import AccessScope, admin_of, project_id, reading, writing
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Team


def rights_of(
    tag: str,
    teams: Iterable[Team],
    answers: Iterable[Subscription],
    left: Iterable[tuple[str, str]] = (),
) -> AccessScope:
    """The scope of the member with this tag.

    `answers` are the answers of all members. The leader of a team is its admin. A member reads and
    writes a project that it accepted in both directions, and writes or reads one that it accepted
    in one direction. Items that it received stay readable after it declined it, or after the
    project or the team is gone from its rosters; `left` are the (team, project) of the teams that
    the member left.
    """
    rosters = list(teams)
    keys = {m.key for team in rosters for m in team.everybody if m.tag == tag}
    mine = [each for each in answers if each.member in keys and each.incarnation]
    named = [(each, project_id(each.team, each.project)) for each in mine]
    sends = {name for each, name in named if each.sends}
    receives = {name for each, name in named if each.receives}
    kept = {name for each, name in named if not each.engaged}
    former = {(team, project_id(team, project)) for team, project in left}
    kept |= {name for _, name in former}
    return AccessScope(
        user=tag,
        teams=frozenset(
            {team.id for team in rosters}
            | {each.team for each in mine}
            | {team for team, _ in former}
        ),
        projects=frozenset(sends & receives),
        roles=frozenset(admin_of(team.id) for team in rosters if team.leader in keys),
        scopes=frozenset(
            {reading(name) for name in (receives | kept) - sends}
            | {writing(name) for name in sends - receives}
        ),
    )
