"""The models of signed documents: the leader's roster and each member's own document.

docs/format.md describes their JSON.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.document import PeerModel
from karma_sync.domain.ids import KEY, TEAM_NAME, is_tag
from karma_sync.domain.session.project import SharedProject, SharingStatus
from karma_sync.domain.team.direction import AfterRemoval, Direction
from karma_sync.domain.team.facts import TeamStatus
from karma_sync.domain.team.member import How, Member, MemberStatus, Removal
from karma_sync.domain.team.pairing_code import device_bytes, device_text, is_address
from karma_sync.domain.team.subscription import Status
from karma_sync.domain.team.succession import RosterOrder
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput
from karma_sync.git.remote import is_identity


def _tag(text: str) -> str:
    if not is_tag(text):
        raise ValueError("not a member tag")
    return text


def _device(text: str) -> str:
    try:
        proper = device_text(device_bytes(text))
    except BadInput as error:
        raise ValueError(str(error)) from None
    if proper != text:
        raise ValueError("not Syncthing's spelling of a device ID")
    return text


def _address(text: str) -> str:
    if text != "dynamic" and not is_address(text):
        raise ValueError("not an address to dial")
    return text


def _identity(text: str) -> str:
    if not is_identity(text):
        raise ValueError("not a git identity")
    return text


Key = Annotated[str, StringConstraints(pattern=f"^{KEY.pattern}$")]
Tag = Annotated[str, AfterValidator(_tag)]
DeviceId = Annotated[str, AfterValidator(_device)]
Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    Field(max_length=limits.ADDRESSES + 1),  # and `dynamic`
]
Identity = Annotated[str, AfterValidator(_identity)]
TeamName = Annotated[str, StringConstraints(pattern=f"^{TEAM_NAME.pattern}$")]
ItemId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Count = Annotated[int, Field(ge=0, le=limits.NUMBER)]


class RosterMember(PeerModel):
    """A member. `retracted`: what it sent before it was added again was taken back."""

    tag: Tag
    device: DeviceId
    key: Key
    addresses: Addresses
    incarnation: Count = 0
    same_person: bool = False
    retracted: bool = False


class RosterGuest(RosterMember):
    """A guest: it receives only these projects, and nobody receives anything from it."""

    projects: Annotated[tuple[Identity, ...], Field(min_length=1, max_length=limits.PROJECTS)]


class RosterRemoved(PeerModel):
    """A member that was removed. `notice` is the signed notice to it, while it is not told.

    `machines` are the keys of the other machines of its person; they may take back what it sent.
    """

    tag: Tag
    device: DeviceId
    key: Key
    incarnation: Count = 0
    how: How
    at: Count
    stolen: bool = False
    retracted: bool = False
    told: bool = False
    machines: Annotated[tuple[Key, ...], Field(max_length=limits.MACHINES)] = ()
    notice: Annotated[str, StringConstraints(max_length=limits.NOTICE_CHARS)] = ""


class RosterProject(PeerModel):
    identity: Identity
    incarnation: Count
    aliases: Annotated[tuple[Identity, ...], Field(max_length=limits.ALIASES)] = ()


class Roster(PeerModel):
    """The leader's list of members and projects (payload type ROSTER).

    `team` is the hash of founder, the first name and nonce. `chain` holds the envelopes that lead
    from the founder to the writer; it is empty in the first term. `handover` is one more, with
    which the writer passes leadership on; "" in any other roster.
    """

    format: Literal[1] = 1
    team: str
    writer: Key
    version: Count
    name: TeamName
    founded_as: TeamName
    founder: Key
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    status: TeamStatus = TeamStatus.ACTIVE
    chain: Annotated[tuple[str, ...], Field(max_length=limits.TERMS)] = ()
    handover: str = ""
    on_removal: AfterRemoval = AfterRemoval.PURGE
    members: Annotated[tuple[RosterMember, ...], Field(max_length=limits.MEMBERS)]
    guests: Annotated[tuple[RosterGuest, ...], Field(max_length=limits.MEMBERS)] = ()
    removed: Annotated[tuple[RosterRemoved, ...], Field(max_length=limits.REMOVED)] = ()
    projects: Annotated[tuple[RosterProject, ...], Field(max_length=limits.PROJECTS)]
    unshared: Annotated[tuple[RosterProject, ...], Field(max_length=limits.PROJECTS)] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """The envelopes from the founder to the leader in force."""
        return (*self.chain, self.handover) if self.handover else self.chain


class Answered(PeerModel):
    """One member's answer to one project; a project that was never answered is not listed.

    `offer` is the incarnation of the project that was answered, and `withdrawn` the newest
    incarnation of the answer of which everything was taken back. `retracted` are single items of
    this one that were taken back.
    """

    project: Identity
    status: Status
    direction: Direction
    # texts, because a newer version may know more contents
    content: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=40)], ...], Field(max_length=20)
    ]
    incarnation: Count
    offer: Count = 0
    withdrawn: Count = 0
    retracted: Annotated[tuple[ItemId, ...], Field(max_length=limits.RETRACTED)] = ()


class Proposal(PeerModel):
    """A project that a member asks the leader to share."""

    project: Identity


class Retracts(PeerModel):
    """A removed machine of the same person, whose items the writer takes back."""

    member: Key
    incarnation: Count


class MemberDocument(PeerModel):
    """One member's addresses and answers in one team (payload type MEMBER).

    `incarnation` is that of the member on the roster. `machines` are the keys of those members that
    are other machines of the same person, if their documents say the same. A member that leaves
    says so in its last document: `left`, and whether it takes back what it sent (`retracted`).
    """

    format: Literal[1] = 1
    team: str
    writer: Key
    version: Count
    incarnation: Count = 0
    addresses: Addresses
    subscriptions: Annotated[tuple[Answered, ...], Field(max_length=limits.PROJECTS)]
    proposals: Annotated[tuple[Proposal, ...], Field(max_length=limits.PROPOSALS)] = ()
    machines: Annotated[tuple[Key, ...], Field(max_length=limits.MACHINES)] = ()
    retracts: Annotated[tuple[Retracts, ...], Field(max_length=limits.MACHINES)] = ()
    left: bool = False
    retracted: bool = False


def roster_of(team: Team, version: int) -> Roster:
    """The roster that describes `team`."""
    handover = team.chain[-1] if team.handed_by else ""
    return Roster(
        team=team.id,
        writer=team.publisher,
        version=version,
        name=team.name,
        founded_as=team.founded_as,
        founder=team.founder,
        nonce=team.nonce,
        status=team.status,
        chain=team.chain[:-1] if handover else team.chain,
        handover=handover,
        on_removal=team.on_removal,
        members=tuple(
            RosterMember(
                tag=m.tag,
                device=m.device,
                key=m.key,
                addresses=m.addresses,
                incarnation=m.incarnation,
                same_person=m.same_person,
                retracted=m.retracted,
            )
            for m in _by_tag(team.members)
        ),
        guests=tuple(
            RosterGuest(
                tag=m.tag,
                device=m.device,
                key=m.key,
                addresses=m.addresses,
                incarnation=m.incarnation,
                retracted=m.retracted,
                projects=m.limited_to,
            )
            for m in _by_tag(team.guests)
        ),
        removed=tuple(
            RosterRemoved(
                tag=m.tag,
                device=m.device,
                key=m.key,
                incarnation=m.incarnation,
                machines=m.machines,
                **m.removal.to_fields(),
            )
            for m in team.removed
            if m.removal
        ),
        projects=_listed_projects(team.projects),
        unshared=_listed_projects(team.unshared),
    )


def _by_tag(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda m: m.tag)


def _listed_projects(projects: Iterable[SharedProject]) -> tuple[RosterProject, ...]:
    return tuple(
        RosterProject(identity=p.identity, incarnation=p.incarnation, aliases=p.aliases)
        for p in sorted(projects, key=lambda p: p.identity)
    )


def team_of(roster: Roster, order: RosterOrder, known: Team | None) -> Team:
    """The team that a verified roster with this order describes.

    A member whose document we have stays active, and keeps the addresses from that document: they
    are newer than those in the roster. A member that left by its own document stays away, even if
    the leader has not seen that yet.
    """
    last = order.links[-1] if order.links else None
    team = Team(
        id=roster.team,
        name=roster.name,
        founded_as=roster.founded_as,
        founder=roster.founder,
        nonce=roster.nonce,
        leader=last.leader if last else roster.founder,
        status=roster.status,
        chain=roster.links,
        term=last.term if last else 1,
        rank=last.rank if last else 0,
        successors=last.successors if last else (),
        handed_by=roster.writer if roster.handover else "",
        on_removal=roster.on_removal,
        members=tuple(_member(m, roster, known) for m in roster.members),
        guests=tuple(
            _member(m, roster, known).changed(limited_to=m.projects) for m in roster.guests
        ),
        removed=tuple(_removed(m, known.known(m.key) if known else None) for m in roster.removed),
        projects=_projects(roster.projects, SharingStatus.SHARED),
        unshared=_projects(roster.unshared, SharingStatus.UNSHARED),
    )
    for gone in known.removed if known else ():
        here = team.anybody(gone.key)
        left = gone.removal is not None and gone.removal.how is How.LEFT
        if here and left and here.incarnation == gone.incarnation:
            team = team.without(gone)
    return team


def _member(listed: RosterMember, roster: Roster, known: Team | None) -> Member:
    before = known.anybody(listed.key) if known else None
    seen = before and before.active and before.incarnation == listed.incarnation
    return Member(
        tag=listed.tag,
        device=listed.device,
        key=listed.key,
        addresses=before.addresses if before and seen else listed.addresses,
        status=MemberStatus.ACTIVE if seen or listed.key == roster.writer else MemberStatus.ADDED,
        incarnation=listed.incarnation,
        retracted=listed.retracted,
        proposals=before.proposals if before and seen else (),
        machines=before.machines if before and seen else (),
        same_person=listed.same_person,
        retracts=before.retracts if before and seen else (),
    )


def _removed(listed: RosterRemoved, before: Member | None) -> Member:
    return Member(
        tag=listed.tag,
        device=listed.device,
        key=listed.key,
        addresses=before.addresses if before else (),  # a roster has none; the notice needs them
        status=MemberStatus.REMOVED,
        incarnation=listed.incarnation,
        machines=listed.machines,
        removal=Removal(
            how=listed.how,
            at=listed.at,
            stolen=listed.stolen,
            retracted=listed.retracted,
            told=listed.told,
            notice=listed.notice,
        ),
    )


def _projects(listed: Iterable[RosterProject], status: SharingStatus) -> tuple[SharedProject, ...]:
    return tuple(
        SharedProject(
            identity=p.identity, incarnation=p.incarnation, aliases=p.aliases, status=status
        )
        for p in listed
    )
