"""A team: its members, its projects, and what its leader may do with them."""

from collections.abc import Mapping
from enum import StrEnum

from karma_sync.domain import limits
from karma_sync.domain.ids import TEAM_NAME, next_version, team_id
from karma_sync.domain.session.project import SharedProject
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, Conflict, IllegalMove, NotFound


class MemberStatus(StrEnum):
    ADDED = "added"  # on the roster; nothing signed by it was seen yet
    ACTIVE = "active"  # its own signed document was accepted


MOVES: Mapping[tuple[MemberStatus, str], MemberStatus] = {
    (MemberStatus.ADDED, "appear"): MemberStatus.ACTIVE,
}


class Member(Value, frozen=True, kw_only=True):
    """A person on a machine; `key` is the hex of its Ed25519 public key."""

    tag: str
    device: str
    key: str
    addresses: tuple[str, ...] = ()
    status: MemberStatus = MemberStatus.ADDED

    @property
    def active(self) -> bool:
        return self.status is MemberStatus.ACTIVE

    def appear(self) -> "Member":
        """Its own signed document was seen."""
        try:
            status = MOVES[self.status, "appear"]
        except KeyError:
            raise IllegalMove(f"{self.tag} is {self.status} already") from None
        return self.changed(status=status)

    def reachable_at(self, addresses: tuple[str, ...]) -> "Member":
        """The same member, dialled elsewhere."""
        return self.changed(addresses=addresses)


class Team(Value, frozen=True, kw_only=True):
    """What the newest accepted roster says, and which of its members were seen.

    `leader` and `founder` are keys in hex; the id commits to the founder.
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
        """The member with this key; None if the roster has none."""
        return next((m for m in self.members if m.key == key), None)

    def project(self, identity: str) -> SharedProject | None:
        """The shared project of this identity; None if the roster has none."""
        return next((p for p in self.projects if p.identity == identity), None)

    def lead_by(self, key: str) -> "Team":
        """This team, if `key` leads it.

        Raises:
            Conflict: somebody else does.
        """
        if key == self.leader:
            return self
        leader = self.member(self.leader)
        raise Conflict(
            f"only the leader of {self.name} can do that",
            hint=f"ask {leader.tag}" if leader else "",
        )

    def add(self, code: PairingCode) -> "Team":
        """The team with one more member, not yet seen; unchanged if it is there already.

        Raises:
            Conflict: the tag or the key belongs to another member, or the team is full.
        """
        known = self.member(code.key)
        if known and (known.tag, known.device) == (code.tag, code.device):
            return self._with(known.reachable_at(code.addresses or known.addresses))
        for member in self.members:
            if member.tag == code.tag or member.key == code.key or member.device == code.device:
                raise Conflict(
                    f"{member.tag} is in {self.name} already, with another key or device",
                    hint="at the newcomer, in no team yet: karma-sync rename --machine NAME",
                )
        if len(self.members) >= limits.MEMBERS:
            raise Conflict(f"{self.name} has {limits.MEMBERS} members, the most a team can have")
        newcomer = Member(tag=code.tag, device=code.device, key=code.key, addresses=code.addresses)
        return self.changed(members=(*self.members, newcomer))

    def saw(self, key: str, addresses: tuple[str, ...]) -> "Team":
        """The team after this member's own document was accepted."""
        member = self.member(key)
        if member is None:
            raise NotFound(f"{self.name} has no member with key {key[:8]}")
        seen = member if member.active else member.appear()
        return self._with(seen.reachable_at(addresses))

    def share(self, identity: str, now_ms: int) -> "Team":
        """The team with this project on its roster.

        Raises:
            Conflict: the roster is full, or it is another name of a shared project.
        """
        if self.project(identity):
            return self
        if identity in self.aliases:
            raise Conflict(
                f"{identity} is another name of {self.aliases[identity]} in {self.name}",
                hint=f"karma-sync accept {self.aliases[identity]}",
            )
        if len(self.projects) >= limits.PROJECTS:
            raise Conflict(f"{self.name} shares {limits.PROJECTS} projects, the most it can")
        shared = SharedProject(identity=identity, incarnation=next_version(0, now_ms))
        return self.changed(projects=(*self.projects, shared))

    def alias(self, identity: str, name: str) -> "Team":
        """The team in which a shared project has one more name.

        Raises:
            NotFound: the project is not shared.
            Conflict: the name is that of another project.
            BadInput: the project has as many names as it can.
        """
        project = self.project(identity)
        if project is None:
            raise NotFound(f"{self.name} shares no project {identity}")
        for other in self.projects:
            if name in other.names and other.identity != identity:
                raise Conflict(f"{name} is a name of {other.identity} in {self.name}")
        return self._replace(project.also(name))

    def unalias(self, name: str) -> "Team":
        """The team in which no project has this other name."""
        project = self.project(self.aliases.get(name, ""))
        return self._replace(project.without(name)) if project else self

    @property
    def aliases(self) -> dict[str, str]:
        """The project's identity by each of its other names."""
        return {alias: p.identity for p in self.projects for alias in p.aliases}

    def _replace(self, changed: SharedProject) -> "Team":
        projects = tuple(changed if p.identity == changed.identity else p for p in self.projects)
        return self.changed(projects=projects)

    def _with(self, changed: Member) -> "Team":
        members = tuple(changed if m.key == changed.key else m for m in self.members)
        return self.changed(members=members)


def found_team(name: str, founder: Member, nonce: str) -> Team:
    """A new team of one, led by its founder.

    Raises:
        BadInput: the name breaks the grammar.
    """
    if not TEAM_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be a team's name: small letters, digits, . _ and -, up to 48",
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
