"""What Syncthing should look like, as values: `desired` says it.

Pure: everything comes in as a `World` and goes out as values; nothing here acts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Names
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Member, Team
from karma_sync.paths import channel_folder, metadata_folder


@dataclass(frozen=True, order=True)
class Device:
    """A machine Syncthing may talk to: its device ID, the name shown, the addresses to dial.

    `refused` are metadata folders of its offer that were declined for good.
    """

    id: str
    name: str
    addresses: tuple[str, ...]
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Channel:
    """What one member sends for one project to one team: exactly one folder.

    `agreed` are names of the project under which I agreed to send.
    """

    id: str
    team: Team
    project: str
    owner: Member
    subscription: Subscription
    agreed: frozenset[str] = frozenset()

    @property
    def profile(self) -> Profile:
        """How much of a session I send."""
        return self.subscription.limits.profile

    @property
    def names(self) -> Names:
        """Under which names I take a directory for this project's."""
        shared = self.team.project(self.project)
        return Names(self.project, frozenset(shared.aliases if shared else ()), self.agreed)


@dataclass(frozen=True)
class World:
    """All that decides about folders and devices.

    `subscriptions` are everybody's; `paired` are devices to talk to that are in no team yet;
    `fetching` are metadata folders offered by a device whose roster is still to come; `halted`
    pauses all that I send and receive; `answered` are devices that dial me, so that I need not;
    `recovering` are outboxes of mine that take back what they lost before they send again;
    `agreed` are names of projects under which I agreed to send: (team, project, name).
    """

    key: str
    teams: tuple[Team, ...]
    subscriptions: tuple[Subscription, ...]
    paired: frozenset[Device] = frozenset()
    fetching: frozenset[tuple[str, str]] = frozenset()
    halted: bool = False
    answered: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    refused: frozenset[tuple[str, str]] = frozenset()
    too_large: frozenset[str] = frozenset()
    recovering: frozenset[str] = frozenset()
    agreed: frozenset[tuple[str, str, str]] = frozenset()


def channels(world: World) -> Iterator[Channel]:
    """Every channel that is open: someone on a roster sends for a project on that roster."""
    teams = {team.id: team for team in world.teams}
    for sub in world.subscriptions:
        team = teams.get(sub.team)
        owner = team.member(sub.member) if team else None
        if team is None or owner is None or not owner.active or not sub.sends:
            continue
        folder = channel_id(team, sub)
        if folder is not None:
            place = team.id, sub.project
            agreed = frozenset(name for *of, name in world.agreed if tuple(of) == place)
            yield Channel(folder, team, sub.project, owner, sub, agreed)


def outboxes(world: World) -> list[Channel]:
    """The channels I send, whether paused or not."""
    return [c for c in channels(world) if c.owner.key == world.key]


def open_outboxes(world: World) -> list[Channel]:
    """The channels I send and into which something may be packaged now."""
    return [
        c
        for c in outboxes(world)
        if c.subscription.status is Status.ACCEPTED
        and not world.halted
        and c.id not in world.recovering
    ]


def inboxes(world: World) -> list[Channel]:
    """The channels I receive, whether paused or not."""
    mine = _mine(world)
    return [
        c
        for c in channels(world)
        if c.owner.key != world.key
        and (sub := mine.get((c.team.id, c.project))) is not None
        and sub.receives
    ]


def receivers(world: World, channel: Channel) -> frozenset[str]:
    """Devices of the members who take what comes through a channel of mine."""
    taking = {
        s.member
        for s in world.subscriptions
        if (s.team, s.project) == (channel.team.id, channel.project) and s.receives
    }
    return frozenset(
        m.device for m in channel.team.members if m.active and m.key in taking - {world.key}
    )


@dataclass(frozen=True, order=True)
class Kept:
    """What of a member is kept of one project: what came through `folder`, or nothing ("")."""

    team: str
    project: str
    member: str
    folder: str


def kept(world: World) -> frozenset[Kept]:
    """For each answer of the others, the one channel whose items stay.

    A decline withdraws all. So does a channel that was opened anew: what came through an earlier
    one was withdrawn in between, even if we were away and never saw the decline.
    """
    teams = {team.id: team for team in world.teams}
    found = set()
    for sub in world.subscriptions:
        team = teams.get(sub.team)
        member = team.member(sub.member) if team else None
        if team is None or member is None or sub.member == world.key:
            continue
        folder = "" if sub.status is Status.DECLINED else channel_id(team, sub)
        if folder is not None:
            found.add(Kept(team.id, sub.project, member.tag, folder))
    return frozenset(found)


def channel_id(team: Team, sub: Subscription) -> str | None:
    """The id of the channel that an answer opens; None if the project is not shared any more."""
    project = team.project(sub.project)
    if project is None:
        return None
    incarnation = f"{project.incarnation}.{sub.incarnation}"
    return channel_folder(team.id, sub.member, sub.project, incarnation)


def _mine(world: World) -> dict[tuple[str, str], Subscription]:
    return {(s.team, s.project): s for s in world.subscriptions if s.member == world.key}


_KEY_CHARS = 8


def folder_title(world: World, folder: str) -> str:
    """Such as "host/owner/repo by alice.mbp in backend"; the id itself for one we do not know."""
    for team in world.teams:
        if metadata_folder(team.id) == folder:
            return f"documents of team {team.name}"
    for channel in channels(world):
        if channel.id == folder:
            return f"{channel.project} by {channel.owner.tag} in {channel.team.name}"
    return folder


def document_title(team: Team, kind: str, writer: str) -> str:
    """Such as "roster by alice.mbp in backend"; `writer` is the key that its name claims."""
    member = team.member(writer)
    what = "member document" if kind == "member" else kind
    return f"{what} by {member.tag if member else f'key {writer[:_KEY_CHARS]}'} in {team.name}"
