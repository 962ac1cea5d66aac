"""Models what a person decides about their other machines, and about each team as such."""

from collections.abc import Collection, Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from karma_sync.domain.ids import user_of
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.invitation import Answer, Shown, short_id, shown
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.team import Team
from karma_sync.domain.timespan import parse_since
from karma_sync.domain.value import Value

ASK, ALL = "ask", "all"


class Machine(Value, frozen=True, kw_only=True):
    """A member of a team of mine of whom I said that it is another machine of mine, or not.

    `key` is its public key in hex, `at` when I said so (UTC).
    """

    key: str
    tag: str
    device: str
    at: datetime
    answer: Answer = Answer.ACCEPTED

    @property
    def is_mine(self) -> bool:
        """Whether I said yes."""
        return self.answer is Answer.ACCEPTED


class Mute(Value, frozen=True, kw_only=True):
    """A member whose sessions I do not want to read, in any team.

    They still come to this machine, because it serves the others; they are not imported.
    """

    key: str
    tag: str
    at: datetime


class TeamPolicy(Value, frozen=True, kw_only=True):
    """My own rule for one team; nobody else decides it.

    A newly shared project is accepted by itself if `accept` allows it: `ask` (none), `all`, or a
    pattern of names. It is received only, unless `direction` says more: the person was shown that.
    `direction`, `since` (as typed), `last` and `profile` are also what an accept takes that names
    none. A `personal` team has my own machines alone.
    """

    team: str
    accept: str = ASK
    personal: bool = False
    direction: Direction | None = None
    since: str | None = None
    last: int | None = None
    profile: Profile | None = None

    @property
    def accepts_some(self) -> bool:
        """Whether any project is accepted without a question."""
        return self.accept != ASK

    @property
    def automatic(self) -> Direction:
        """The direction in which a project is accepted without a question."""
        return self.direction or Direction.RECEIVE

    @property
    def sends(self) -> bool:
        """Whether sessions may leave of a project about which nobody was asked."""
        return self.accepts_some and self.automatic is not Direction.RECEIVE

    def limits(self, now: datetime) -> Limits:
        """The limits of a project that is accepted without a question at `now` (UTC).

        Raises:
            BadInput: `since` is no moment.
        """
        since = parse_since(self.since, now)
        return Limits(since=since, profile=self.profile or Profile.STANDARD)

    def accepts(self, project: str) -> bool:
        """Whether a project with this name is accepted without a question.

        A pattern without a slash is compared with the last part of the name.
        """
        if self.accept in (ASK, ALL):
            return self.accept == ALL
        compared = project if "/" in self.accept else project.rpartition("/")[2]
        return fnmatchcase(compared, self.accept)


def personal_policy(team: str, direction: Direction) -> TeamPolicy:
    """The policy for a team of my own machines: all projects, with their whole history."""
    return TeamPolicy(team=team, accept=ALL, personal=True, direction=direction, since="all")


def machine_keys(
    me: str, machines: Iterable[Machine], teams: Iterable[Team], personal: Collection[str]
) -> frozenset[str]:
    """The keys of those that I call machines of mine; `me` is my key, `personal` are team ids.

    These are all members of a team of my own machines, and whoever I agreed to beside; never one to
    whom I said no.
    """
    said = {machine.key: machine.is_mine for machine in machines}
    found = {m.key for team in teams if team.id in personal for m in team.members}
    found |= {key for key, is_mine in said.items() if is_mine}
    return frozenset(key for key in found - {me} if said.get(key, True))


class SameClaim(Value, frozen=True, kw_only=True):
    """Somebody says that a member of a team is another machine of mine; I have not answered.

    The member says so itself, or else (`by_leader`) only the leader does.
    """

    team: str
    member: Member
    by_leader: bool

    @property
    def id(self) -> str:
        """The name that a person types to answer: the first group of the device ID."""
        return short_id(self.member.device)

    @property
    def shown(self) -> Shown:
        """The record of this question as a person is shown it."""
        said_by = "leader" if self.by_leader else "member"
        member = self.member
        return shown(self.id, member.device, member.tag, member.key, self.team, said_by)


def claims_on(
    me: str, teams: Iterable[Team], mine: Collection[str], answered: Collection[str]
) -> list[SameClaim]:
    """The claims that wait for my answer, one for each member; `me` is my key.

    `mine` are the keys of my machines, `answered` those about whom I said anything.
    """
    found: dict[str, SameClaim] = {}
    for team in teams:
        here = team.member(me)
        if here is None or team.is_dissolved:
            continue
        for other in team.members:
            if other.key == me or other.key in mine or other.key in answered:
                continue
            is_told = other.same_person or here.same_person
            by_leader = is_told and user_of(other.tag) == user_of(here.tag)
            itself = me in other.machines
            if itself or by_leader:
                claim = SameClaim(team=team.name, member=other, by_leader=not itself)
                if other.key not in found or itself:
                    found[other.key] = claim
    return sorted(found.values(), key=lambda claim: claim.member.tag)
