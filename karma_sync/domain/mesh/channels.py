"""Derives the channels from what the members answered: outboxes, inboxes and their receivers.

Also names folders and documents for people, because their ids tell people nothing, on purpose.
Pure: every function takes a `World` and returns values; none has an effect.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from karma_sync.domain.session.profile import ItemKind, Profile
from karma_sync.domain.session.project import Names
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.subscription import Content, Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.paths import channel_folder, is_door, is_removal_folder, metadata_folder


@dataclass(frozen=True, order=True)
class Device:
    """A machine that Syncthing may connect to: its device ID, its name, the addresses to dial.

    `refused` are the metadata folders that this device offers and that the person declined.
    """

    id: str
    name: str
    addresses: tuple[str, ...]
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Channel:
    """The items that one member sends for one project to one team: exactly one Syncthing folder.

    `id` is the folder's id. `agreed` are the names of the project under which I agreed to send.
    """

    id: str
    team: Team
    project: str
    owner: Member
    subscription: Subscription
    agreed: frozenset[str] = frozenset()

    @property
    def profile(self) -> Profile:
        """The profile of the sessions that I send."""
        return self.subscription.limits.profile

    @property
    def names(self) -> Names:
        """The names under which I count a directory as part of this project."""
        shared = self.team.project(self.project)
        return Names(self.project, frozenset(shared.aliases if shared else ()), self.agreed)


@dataclass(frozen=True, order=True)
class NoticeFolder:
    """A small folder with the notice to a removed member, and one device to share it with.

    It is the removed member's device on the side of the others, and one of theirs on its side.
    """

    folder: str
    device: Device


@dataclass(frozen=True)
class World:
    """Everything that decides which folders and devices Syncthing should have.

    - `key`: my public key in hex.
    - `subscriptions`: the answers of all members.
    - `paired`: devices to connect to that are in no team yet.
    - `fetching`: (folder, device) of metadata folders that a device offers and whose roster has
      not arrived yet.
    - `halted`: pauses everything that I send and receive.
    - `answered`: devices that dial me, or are about to, so that I need not dial them.
    - `ignored`: devices whose connection requests Syncthing ignores.
    - `refused`: (folder, device) of the offered metadata folders that I declined.
    - `too_large`: folders that are paused because of their size.
    - `unoffered`: inboxes that are made when somebody offers them.
    - `recovering`: my outboxes that take back what they lost before they send again.
    - `name`: the name of my own device, with the proofs of the codes with which I knock; "" leaves
      it as it is.
    - `doors`: (folder, device) of the doors of invitation codes, mine and those at which I knock.
    - `knocked`: the leaders at whose doors I knock, with the addresses in their codes.
    - `heard`: devices whose connection requests Syncthing must not ignore any more.
    - `agreed`: (team, project, name) of the names under which I agreed to send.
    - `notices`: the folders that tell removed members of their removal.
    - `parting`: (team, key) of members who just left: they still get the team's documents, so that
      they see that their leaving arrived.
    - `former`: the ids of teams that I left, or from which I was removed.
    - `purged`: those of them whose items are to be deleted now.
    - `muted`: the keys of members whose items I do not want to read.
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
    unoffered: frozenset[str] = frozenset()
    recovering: frozenset[str] = frozenset()
    agreed: frozenset[tuple[str, str, str]] = frozenset()
    name: str = ""
    doors: frozenset[tuple[str, str]] = frozenset()
    knocked: frozenset[Device] = frozenset()
    heard: frozenset[str] = frozenset()
    notices: frozenset[NoticeFolder] = frozenset()
    parting: frozenset[tuple[str, str]] = frozenset()
    former: frozenset[str] = frozenset()
    purged: frozenset[str] = frozenset()
    muted: frozenset[str] = frozenset()

    @property
    def is_blank(self) -> bool:
        """Whether no team is known, not even one that I left: the database may be lost."""
        return not self.teams and not self.former

    # derived once for each world: a team of 50 with 20 projects has 1,000 channels

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Every open channel: an active member on a roster sends for a project on that roster.

        A team that I am leaving has none.
        """
        members = {(team.id, m.key): m for team in self.teams for m in team.members}
        mine = (team for team in self.teams if team.anybody(self.key))
        teams = {team.id: team for team in mine if not team.is_dissolved}
        agreed: dict[tuple[str, str], set[str]] = {}
        for team_id, project, name in self.agreed:
            agreed.setdefault((team_id, project), set()).add(name)
        found = []
        for sub in self.subscriptions:
            team, owner = teams.get(sub.team), members.get((sub.team, sub.member))
            if team is None or owner is None or not owner.active or not sub.sends:
                continue
            folder = channel_id(team, sub, owner)
            if folder is not None:
                names = frozenset(agreed.get((team.id, sub.project), ()))
                found.append(Channel(folder, team, sub.project, owner, sub, names))
        return tuple(found)

    @cached_property
    def mine(self) -> dict[tuple[str, str], Subscription]:
        """My own answers by (team, project)."""
        return {(s.team, s.project): s for s in self.subscriptions if s.member == self.key}

    @cached_property
    def declined(self) -> frozenset[tuple[str, str, str]]:
        """(team, project, key) of every decline."""
        return frozenset(
            (s.team, s.project, s.member) for s in self.subscriptions if s.status is Status.DECLINED
        )


def channels(world: World) -> Iterator[Channel]:
    """Every open channel: an active member on a roster sends for a project on that roster."""
    return iter(world.channels)


def outboxes(world: World) -> list[Channel]:
    """The channels that I send, paused or not."""
    return [c for c in world.channels if c.owner.key == world.key]


def open_outboxes(world: World) -> list[Channel]:
    """The channels that I send and that may get new items now."""
    return [
        c
        for c in outboxes(world)
        if c.subscription.status is Status.ACCEPTED
        and not world.halted
        and c.id not in world.recovering
    ]


def inboxes(world: World) -> list[Channel]:
    """The channels that I receive, paused or not."""
    return [
        c
        for c in world.channels
        if c.owner.key != world.key
        and c.id not in world.unoffered
        and (sub := world.mine.get((c.team.id, c.project))) is not None
        and sub.receives
    ]


_KINDS = {
    Content.SESSIONS: ItemKind.SESSION,
    Content.OBSERVATIONS: ItemKind.OBSERVATIONS,
    Content.MEMORY: ItemKind.OBSERVATIONS,
}


def wanted_kinds(world: World, channel: Channel) -> frozenset[ItemKind]:
    """The kinds of items that I take from a channel: of another member's by my own answer.

    None of a muted member.
    """
    if channel.owner.key in world.muted:
        return frozenset()
    mine = world.mine.get((channel.team.id, channel.project))
    if channel.owner.key == world.key or mine is None:
        return frozenset(ItemKind)
    return frozenset(_KINDS[each] for each in mine.content)


def receivers(world: World, channel: Channel) -> frozenset[str]:
    """Devices of the members who receive one of my channels."""
    receiving = {
        s.member
        for s in world.subscriptions
        if (s.team, s.project) == (channel.team.id, channel.project) and s.receives
    }
    return frozenset(
        m.device
        for m in listeners(channel.team, channel.project)
        if m.active and m.key in receiving - {world.key}
    )


def listeners(team: Team, project: str) -> list[Member]:
    """The members of a team, and the guests who may receive this project."""
    return [m for m in team.everybody if not m.limited_to or project in m.limited_to]


@dataclass(frozen=True, order=True)
class Kept:
    """The channels of a member and a project whose items stay in the library.

    Items of this member and project that came through other folders than `folders` are deleted.
    There are several folders if a member's key was replaced.
    """

    team: str
    project: str
    member: str
    folders: tuple[str, ...] = ()


def kept_channels(world: World) -> frozenset[Kept]:
    """The channels whose items stay, for each answer of another member.

    A decline withdraws everything. A channel that was opened again also withdraws what came
    through an earlier one: the member declined in between, even if we were offline and never saw
    the decline. The items of a removed member stay, unless they were retracted.
    """
    teams = {team.id: team for team in world.teams}
    found: dict[tuple[str, str, str], set[str]] = {}
    for sub in world.subscriptions:
        team = teams.get(sub.team)
        member = team and (team.member(sub.member) or team.former(sub.member))
        if not team or not member or sub.member == world.key:
            continue
        if sub.status is Status.OFFERED and not sub.is_withdrawn:
            continue
        is_gone = member.removal is not None and team.is_retracted(member)
        withdrawn = sub.is_withdrawn or is_gone
        folder = "" if withdrawn else channel_id(team, sub)
        if folder is not None:
            found.setdefault((team.id, sub.project, member.tag), set()).add(folder)
    for team, member, project in _retracted(world):
        found.setdefault((team.id, project, member.tag), set())
    return frozenset(Kept(*key, tuple(sorted(f - {""}))) for key, f in found.items())


@dataclass(frozen=True, order=True)
class TakenBack:
    """Single items that a member sent for a project, and that are deleted."""

    team: str
    project: str
    member: str
    items: tuple[str, ...]


def taken_back(world: World) -> frozenset[TakenBack]:
    """The single items that other members took back, of channels that I do not receive now.

    In a channel that I receive a retraction tells of it, in order with what is sent.
    """
    teams = {team.id: team for team in world.teams}
    received = {(c.team.id, c.project, c.owner.key) for c in inboxes(world)}
    found = set()
    for sub in world.subscriptions:
        team = teams.get(sub.team)
        member = team.known(sub.member) if team else None
        place = sub.team, sub.project, sub.member
        if member and sub.retracted and sub.member != world.key and place not in received:
            found.add(TakenBack(sub.team, sub.project, member.tag, sub.retracted))
    return frozenset(found)


def purged(world: World) -> frozenset[tuple[str, str]]:
    """The received items to be deleted: those of teams, as (team, ""), and of (team, project)."""
    declined = {place for place, mine in world.mine.items() if mine.purged}
    return frozenset({(team, "") for team in world.purged} | declined)


def _retracted(world: World) -> Iterator[tuple[Team, Member, str]]:
    """The members whose items were retracted, with every project of their team.

    Of one that was added again, the items that it sent before.
    """
    for team in world.teams:
        for member in (*team.everybody, *team.removed):
            retracted = member.retracted or (member.removal and team.is_retracted(member))
            if retracted and member.key != world.key:
                for project in (*team.projects, *team.unshared):
                    yield team, member, project.identity


def channel_id(team: Team, sub: Subscription, owner: Member | None = None) -> str | None:
    """The id of the channel that an answer opens; None if the project is no longer shared.

    `owner` is who answered, where that is known already.
    """
    project = team.project(sub.project)
    if project is None:
        return None
    owner = owner or team.known(sub.member)
    incarnation = f"{project.incarnation}.{sub.incarnation}"
    if owner and owner.incarnation:
        incarnation += f".{owner.incarnation}"
    return channel_folder(team.id, sub.member, sub.project, incarnation)


_KEY_CHARS = 8


def folder_title(world: World, folder: str) -> str:
    """A folder as people know it: "host/owner/repo by alice.mbp in backend".

    The id itself for a folder that is not in this world.
    """
    for team in world.teams:
        if metadata_folder(team.id) == folder:
            return f"documents of team {team.name}"
    if is_door(folder):
        return "the door of an invitation code"
    if is_removal_folder(folder):
        return "the notice to a removed member"
    for channel in channels(world):
        if channel.id == folder:
            return f"{channel.project} by {channel.owner.tag} in {channel.team.name}"
    return folder


def document_title(team: Team, kind: str, writer: str) -> str:
    """A document as people know it: "roster by alice.mbp in backend".

    `writer` is the key that the document's file name claims; it is not verified.
    """
    member = team.known(writer)
    what = "member document" if kind == "member" else kind
    return f"{what} by {member.tag if member else f'key {writer[:_KEY_CHARS]}'} in {team.name}"
