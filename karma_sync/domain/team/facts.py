"""Models what is known of a team: its members, its shared projects, and who leads it."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from karma_sync.domain.session.project import SharedProject
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.domain.team.member import How, Member
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, NotFound, NotLeader


class TeamStatus(StrEnum):
    ACTIVE = "active"
    DISSOLVED = "dissolved"  # nothing is sent any more; what was exchanged stays


class TeamFacts(Value, frozen=True, kw_only=True):
    """A team by its newest accepted roster, and which of its members are active.

    `leader`, `founder` and `successors` are keys in hex. The id is a hash over the founder's key,
    `nonce` and `founded_as`, the team's first name. `chain` holds the signed links (as texts) from
    the founder to the leader. `handed_by` is the key of the former leader while the new one has
    not signed a roster yet. `guests` receive only the projects that they are limited to.
    """

    id: str
    name: str
    founded_as: str
    founder: str
    nonce: str
    leader: str
    status: TeamStatus = TeamStatus.ACTIVE
    chain: tuple[str, ...] = ()
    term: int = 1
    rank: int = 0
    successors: tuple[str, ...] = ()
    handed_by: str = ""
    on_removal: AfterRemoval = AfterRemoval.PURGE
    members: tuple[Member, ...]
    guests: tuple[Member, ...] = ()
    removed: tuple[Member, ...] = ()
    projects: tuple[SharedProject, ...] = ()
    unshared: tuple[SharedProject, ...] = ()

    @property
    def is_dissolved(self) -> bool:
        return self.status is TeamStatus.DISSOLVED

    @property
    def publisher(self) -> str:
        """The key of the member who signs the next roster."""
        return self.handed_by or self.leader

    @property
    def everybody(self) -> tuple[Member, ...]:
        """Members and guests."""
        return (*self.members, *self.guests)

    @property
    def could_lead(self) -> tuple[Member, ...]:
        """The members to whom the leader can pass leadership on: guests and itself are none."""
        return tuple(m for m in self.members if m.key != self.leader and m.active)

    def member(self, key: str) -> Member | None:
        """The member with this key; None if nobody on the roster has it."""
        return _with_key(self.members, key)

    def anybody(self, key: str) -> Member | None:
        """The member or guest with this key; None if neither has it."""
        return _with_key(self.everybody, key)

    def former(self, key: str) -> Member | None:
        """The removed member or guest with this key; None if there is none."""
        return _with_key(self.removed, key)

    def is_leaving(self, key: str) -> bool:
        """Whether the member with this key left, and the others do not know it yet."""
        gone = self.former(key)
        return gone is not None and gone.removal is not None and gone.removal.how is How.LEFT

    def known(self, key: str) -> Member | None:
        """The member, guest or removed member with this key; None if nobody ever had it."""
        return self.anybody(key) or self.former(key)

    def with_device(self, device: str) -> Member | None:
        """The member or guest with this device ID; None if neither has it."""
        return next((m for m in self.everybody if m.device == device), None)

    def are_one_person(self, one: str, other: str) -> bool:
        """Whether the members with these keys are two machines of one person.

        Each names the other in its own signed document. Nobody else's word counts, the leader's
        neither.
        """
        first, second = self.member(one), self.member(other)
        if first is None or second is None:
            return False
        return other in first.machines and one in second.machines

    def machines_of(self, key: str) -> list[Member]:
        """The other machines of the person whose member has this key, by tag."""
        found = [m for m in self.members if self.are_one_person(key, m.key)]
        return sorted(found, key=lambda m: m.tag)

    def is_retracted(self, gone: Member) -> bool:
        """Whether what a removed member sent was taken back.

        By itself or the leader, or by another machine of its person: one that it had when it was
        removed.
        """
        if gone.removal is not None and gone.removal.retracted:
            return True
        place = gone.key, gone.incarnation
        return any(m.key in gone.machines and place in m.retracts for m in self.members)

    def removed_tagged(self, tag: str) -> Member:
        """The member with this tag that was removed last, or with this user name if only one was.

        Raises:
            NotFound: none was removed.
            BadInput: several machines of a user of this name were removed.
        """
        found = [m for m in self.removed if m.is_called(tag) and m.removal]
        tags = sorted({m.tag for m in found or self.removed})
        if len(tags) > 1 and found:
            raise BadInput(f"several machines of {tag} were removed", hint=", ".join(tags))
        if not found:
            here = [m.tag for m in self.members if m.is_called(tag)]
            hint = f"karma-sync team show --team {self.name}"
            if here:
                hint = f"karma-sync team remove {here[0]} --team {self.name} --retract"
            elif tags:
                hint = f"karma-sync team retract TAG --team {self.name}; TAG: {', '.join(tags)}"
            raise NotFound(f"{tag!r} was not removed from {self.name}", hint=hint)
        return max(found, key=lambda m: m.removal.at if m.removal else 0)

    def tagged(self, tag: str) -> Member:
        """The member or guest with this tag, or with this user name if only one has it.

        Raises:
            NotFound: nobody has the tag.
            BadInput: several machines belong to a user of this name.
        """
        fitting = [m for m in self.everybody if m.is_called(tag)]
        if len(fitting) == 1:
            return fitting[0]
        tags = ", ".join(sorted(m.tag for m in fitting or self.everybody))
        if fitting:
            raise BadInput(f"{tag} has several machines in {self.name}", hint=tags)
        raise NotFound(f"{self.name} has no member {tag!r}", hint=f"its members: {tags}")

    def project(self, identity: str) -> SharedProject | None:
        """The shared project with this identity; None if it is not on the roster."""
        return next((p for p in self.projects if p.identity == identity), None)

    def seen_by(self, key: str) -> Self:
        """The team as the member with this key knows it: a guest only knows its projects."""
        guest = _with_key(self.guests, key)
        if guest is None:
            return self
        return self.changed(
            projects=tuple(p for p in self.projects if p.identity in guest.limited_to),
            unshared=tuple(p for p in self.unshared if p.identity in guest.limited_to),
        )

    def lead_by(self, key: str) -> Self:
        """This team, if the member with this key leads it.

        Raises:
            NotLeader: another member leads it.
        """
        if key == self.leader:
            return self
        leader = self.member(self.leader)
        raise NotLeader(
            f"only the leader of {self.name} can do that",
            hint=f"ask {leader.tag}" if leader else "",
        )

    @property
    def aliases(self) -> dict[str, str]:
        """The identities of projects, by each of their other names."""
        return {alias: p.identity for p in self.projects for alias in p.aliases}


def _with_key(among: Iterable[Member], key: str) -> Member | None:
    return next((m for m in among if m.key == key), None)
