"""Models a team: its members, its shared projects, and the changes that its leader can make."""

from collections.abc import Mapping
from enum import StrEnum

from karma_sync.domain import limits
from karma_sync.domain.ids import TEAM_NAME, next_version, team_id
from karma_sync.domain.session.project import SharedProject
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, Conflict, IllegalMove, NotFound


class MemberStatus(StrEnum):
    ADDED = "added"  # on the roster, but no document signed by the member has arrived yet
    ACTIVE = "active"  # the member's own signed document was accepted


MOVES: Mapping[tuple[MemberStatus, str], MemberStatus] = {
    (MemberStatus.ADDED, "appear"): MemberStatus.ACTIVE,
}


class Member(Value, frozen=True, kw_only=True):
    """A person on a machine; `key` is the Ed25519 public key in hex."""

    tag: str
    device: str
    key: str
    addresses: tuple[str, ...] = ()
    status: MemberStatus = MemberStatus.ADDED

    @property
    def active(self) -> bool:
        return self.status is MemberStatus.ACTIVE

    def appear(self) -> "Member":
        """The member after its own signed document was accepted.

        Raises:
            IllegalMove: the member is active already.
        """
        try:
            status = MOVES[self.status, "appear"]
        except KeyError:
            raise IllegalMove(f"{self.tag} is already {self.status}") from None
        return self.changed(status=status)

    def reachable_at(self, addresses: tuple[str, ...]) -> "Member":
        """The same member with other addresses to dial."""
        return self.changed(addresses=addresses)


class Team(Value, frozen=True, kw_only=True):
    """A team by its newest accepted roster, and which of its members are active.

    `leader` and `founder` are keys in hex. The id is a hash over the founder's key and `nonce`.
    """

    id: str
    name: str
    founder: str
    nonce: str
    leader: str
    term: int = 1
    rank: int = 0
    members: tuple[Member, ...]
    projects: tuple[SharedProject, ...] = ()

    def member(self, key: str) -> Member | None:
        """The member with this key; None if nobody on the roster has it."""
        return next((m for m in self.members if m.key == key), None)

    def project(self, identity: str) -> SharedProject | None:
        """The shared project with this identity; None if it is not on the roster."""
        return next((p for p in self.projects if p.identity == identity), None)

    def lead_by(self, key: str) -> "Team":
        """This team, if the member with this key leads it.

        Raises:
            Conflict: another member leads it.
        """
        if key == self.leader:
            return self
        leader = self.member(self.leader)
        raise Conflict(
            f"only the leader of {self.name} can do that",
            hint=f"ask {leader.tag}" if leader else "",
        )

    def add(self, code: PairingCode) -> "Team":
        """The team with the member of this pairing code, who is not active yet.

        If the member is on the roster already, only its addresses change.

        Raises:
            Conflict: another member has the tag, the key or the device, or the team is full.
        """
        known = self.member(code.key)
        if known and (known.tag, known.device) == (code.tag, code.device):
            return self._with_member(known.reachable_at(code.addresses or known.addresses))
        for member in self.members:
            if member.tag == code.tag or member.key == code.key or member.device == code.device:
                raise Conflict(
                    f"{member.tag} is already in {self.name}, with another key or device",
                    hint="on the new machine, if it is in no team yet:"
                    " karma-sync rename --machine NAME",
                )
        if len(self.members) >= limits.MEMBERS:
            raise Conflict(
                f"{self.name} already has {limits.MEMBERS} members, the most a team can have"
            )
        newcomer = Member(tag=code.tag, device=code.device, key=code.key, addresses=code.addresses)
        return self.changed(members=(*self.members, newcomer))

    def activate(self, key: str, addresses: tuple[str, ...]) -> "Team":
        """The team after this member's own document, with these addresses, was accepted.

        Raises:
            NotFound: nobody on the roster has this key.
        """
        member = self.member(key)
        if member is None:
            raise NotFound(f"{self.name} has no member with key {key[:8]}")
        seen = member if member.active else member.appear()
        return self._with_member(seen.reachable_at(addresses))

    def share(self, identity: str, now_ms: int) -> "Team":
        """The team with this project on its roster.

        Raises:
            Conflict: the roster is full, or `identity` is another name of a shared project.
        """
        if self.project(identity):
            return self
        if identity in self.aliases:
            raise Conflict(
                f"{identity} is another name of {self.aliases[identity]} in {self.name}",
                hint=f"karma-sync accept {self.aliases[identity]}",
            )
        if len(self.projects) >= limits.PROJECTS:
            raise Conflict(
                f"{self.name} already shares {limits.PROJECTS} projects, the most a team can share"
            )
        shared = SharedProject(identity=identity, incarnation=next_version(0, now_ms))
        return self.changed(projects=(*self.projects, shared))

    def alias(self, identity: str, name: str) -> "Team":
        """The team after a shared project got one more name.

        Raises:
            NotFound: the team does not share the project.
            Conflict: another project has this name.
            BadInput: the project has the largest possible number of names.
        """
        project = self.project(identity)
        if project is None:
            raise NotFound(f"{self.name} shares no project {identity}")
        for other in self.projects:
            if name in other.names and other.identity != identity:
                raise Conflict(f"{name} is a name of {other.identity} in {self.name}")
        return self._with_project(project.with_alias(name))

    def unalias(self, name: str) -> "Team":
        """The team after this other name was removed from the project that has it."""
        project = self.project(self.aliases.get(name, ""))
        return self._with_project(project.without_alias(name)) if project else self

    @property
    def aliases(self) -> dict[str, str]:
        """The identities of projects, by each of their other names."""
        return {alias: p.identity for p in self.projects for alias in p.aliases}

    def _with_project(self, changed: SharedProject) -> "Team":
        projects = tuple(changed if p.identity == changed.identity else p for p in self.projects)
        return self.changed(projects=projects)

    def _with_member(self, changed: Member) -> "Team":
        members = tuple(changed if m.key == changed.key else m for m in self.members)
        return self.changed(members=members)


def found_team(name: str, founder: Member, nonce: str) -> Team:
    """A new team with one member, its founder, who leads it.

    Raises:
        BadInput: the name has characters that are not allowed, or is too long.
    """
    if not TEAM_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be the name of a team: small letters, digits, . _ and -, up to 48",
            hint="karma-sync team create backend",
        )
    return Team(
        id=team_id(founder.key, name, nonce),
        name=name,
        founder=founder.key,
        nonce=nonce,
        leader=founder.key,
        members=(founder.appear(),),
    )
