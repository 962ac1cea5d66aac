"""The models of signed documents: the leader's roster and each member's own document.

docs/format.md describes their JSON.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.document import PeerModel
from karma_sync.domain.ids import KEY, is_tag
from karma_sync.domain.session.project import SharedProject
from karma_sync.domain.team.pairing_code import PairingCode, device_bytes, device_text, is_address
from karma_sync.domain.team.subscription import Direction, Status, Subscription, content_of
from karma_sync.domain.team.team import Member, MemberStatus, Team
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
Count = Annotated[int, Field(ge=0, le=limits.NUMBER)]


class RosterMember(PeerModel):
    tag: Tag
    device: DeviceId
    key: Key
    addresses: Addresses


class RosterProject(PeerModel):
    identity: Identity
    incarnation: Count
    aliases: Annotated[tuple[Identity, ...], Field(max_length=limits.ALIASES)] = ()


class Roster(PeerModel):
    """The leader's list of members and projects (payload type ROSTER).

    `team` is the hash of founder, name and nonce. `chain` holds the envelopes that pass leadership
    from the founder to another leader; it is empty while the founder leads.
    """

    format: Literal[1] = 1
    team: str
    writer: Key
    version: Count
    term: Annotated[int, Field(ge=1, le=limits.NUMBER)]
    rank: Count
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")]
    founder: Key
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    chain: tuple[str, ...] = ()
    members: Annotated[tuple[RosterMember, ...], Field(max_length=limits.MEMBERS)]
    projects: Annotated[tuple[RosterProject, ...], Field(max_length=limits.PROJECTS)]

    @property
    def order(self) -> tuple[int, int, int]:
        """The sort key of the rosters of one team: term, then rank, then version."""
        return self.term, self.rank, self.version


class Answered(PeerModel):
    """One member's answer to one project; a project without an answer is not listed."""

    project: Identity
    status: Status
    direction: Direction
    # texts, because a newer version may know more contents
    content: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=40)], ...], Field(max_length=20)
    ]
    incarnation: Count


class MemberDocument(PeerModel):
    """One member's addresses and answers in one team (payload type MEMBER)."""

    format: Literal[1] = 1
    team: str
    writer: Key
    version: Count
    addresses: Addresses
    subscriptions: Annotated[tuple[Answered, ...], Field(max_length=limits.PROJECTS)]


def roster_of(team: Team, version: int) -> Roster:
    """The roster that describes `team`."""
    return Roster(
        team=team.id,
        writer=team.leader,
        version=version,
        term=team.term,
        rank=team.rank,
        name=team.name,
        founder=team.founder,
        nonce=team.nonce,
        members=tuple(
            RosterMember(tag=m.tag, device=m.device, key=m.key, addresses=m.addresses)
            for m in sorted(team.members, key=lambda m: m.tag)
        ),
        projects=tuple(
            RosterProject(identity=p.identity, incarnation=p.incarnation, aliases=p.aliases)
            for p in sorted(team.projects, key=lambda p: p.identity)
        ),
    )


def team_of(roster: Roster, known: Team | None) -> Team:
    """The team that a verified roster describes.

    A member whose document we have stays active, and keeps the addresses from that document: they
    are newer than those in the roster.
    """
    known_members = known.members if known else ()
    known_active = {m.key: m for m in known_members if m.active}
    members = []
    for m in roster.members:
        before = known_active.get(m.key)
        active = before is not None or m.key == roster.writer
        members.append(
            Member(
                tag=m.tag,
                device=m.device,
                key=m.key,
                addresses=before.addresses if before else m.addresses,
                status=MemberStatus.ACTIVE if active else MemberStatus.ADDED,
            )
        )
    return Team(
        id=roster.team,
        name=roster.name,
        founder=roster.founder,
        nonce=roster.nonce,
        leader=roster.writer,
        term=roster.term,
        rank=roster.rank,
        members=tuple(members),
        projects=tuple(
            SharedProject(identity=p.identity, incarnation=p.incarnation, aliases=p.aliases)
            for p in roster.projects
        ),
    )


def member_document(
    team: Team, key: str, mine: Iterable[Subscription], addresses: tuple[str, ...], version: int
) -> MemberDocument:
    """My own document in `team`: my addresses and my answers."""
    answered = sorted((s for s in mine if s.status is not Status.OFFERED), key=lambda s: s.project)
    return MemberDocument(
        team=team.id,
        writer=key,
        version=version,
        addresses=addresses,
        subscriptions=tuple(
            Answered(
                project=s.project,
                status=s.status,
                direction=s.direction,
                content=s.content,
                incarnation=s.incarnation,
            )
            for s in answered
        ),
    )


def answers_of(document: MemberDocument) -> list[Subscription]:
    """The answers in a verified document; they replace those that we knew of its writer."""
    return [
        Subscription(
            team=document.team,
            project=a.project,
            member=document.writer,
            status=a.status,
            direction=a.direction,
            content=content_of(a.content),
            incarnation=a.incarnation,
        )
        for a in document.subscriptions
    ]


def is_listed(roster: Roster, me: PairingCode) -> bool:
    """Whether a roster lists me with exactly my tag, device and key."""
    return any((m.tag, m.device, m.key) == (me.tag, me.device, me.key) for m in roster.members)
