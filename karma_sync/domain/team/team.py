"""Models the changes of a team: those that its leader can make, and those that a member can."""

from collections.abc import Iterable, Mapping

from karma_sync.domain import limits
from karma_sync.domain.ids import TEAM_NAME, next_version, team_id, user_of
from karma_sync.domain.session.project import SharedProject
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.domain.team.facts import TeamFacts, TeamStatus
from karma_sync.domain.team.member import How, Member, Removal
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.succession import TermLink
from karma_sync.errors import BadInput, Conflict, IllegalMove, NotFound, NotLeader

MOVES: Mapping[tuple[TeamStatus, str], TeamStatus] = {
    (TeamStatus.ACTIVE, "change"): TeamStatus.ACTIVE,
    (TeamStatus.ACTIVE, "dissolve"): TeamStatus.DISSOLVED,
}


class Team(TeamFacts, frozen=True, kw_only=True):
    """A team, with the changes that its leader can make, and those that a member can."""

    def add(self, code: PairingCode, now_ms: int, limited_to: tuple[str, ...] = ()) -> "Team":
        """The team with the member of this pairing code, who is not active yet.

        If the member is on the roster already, only its addresses change. A removed member is added
        again. With `limited_to` it is a guest, who receives only these projects.

        Raises:
            Conflict: another member has the tag, the key or the device, the team is full, or the
                key was removed because its machine was stolen.
            IllegalMove: the team is dissolved.
        """
        team = self.change()
        known = team.anybody(code.key)
        if known and (known.tag, known.device) == (code.tag, code.device):
            if bool(known.limited_to) != bool(limited_to):
                kind = "a guest" if known.limited_to else "a member"
                raise Conflict(
                    f"{known.tag} is {kind} of {team.name}",
                    hint=f"karma-sync team remove {known.tag}, then this command again",
                )
            changed = known.changed(limited_to=limited_to)
            return team._with(changed.reachable_at(code.addresses or known.addresses))
        for member in team.everybody:
            if member.tag == code.tag or member.key == code.key or member.device == code.device:
                raise Conflict(
                    f"{member.tag} is already in {team.name}, with another key or device",
                    hint="--replace, for the same machine, installed again; another machine needs"
                    " another name: karma-sync rename --machine NAME there, before it is in a team",
                )
        if len(team.everybody) >= limits.MEMBERS:
            raise Conflict(
                f"{team.name} already has {limits.MEMBERS} members, the most a team can have"
            )
        return team._admit(code, now_ms, limited_to)

    def add_machine(self, code: PairingCode, now_ms: int) -> "Team":
        """The team with another machine of a member's person, as the leader was told.

        It counts once both machines say so themselves.

        Raises: as `add` does.
            NotFound: no other member has the user name.
        """
        if not any(user_of(m.tag) == user_of(code.tag) for m in self.members if m.key != code.key):
            raise NotFound(
                f"{self.name} has no member {user_of(code.tag)}, of whom {code.tag} could be"
                " another machine",
                hint="karma-sync team add CODE, without --same-person",
            )
        team = self.add(code, now_ms)
        added = team.member(code.key)
        return team._with(added.changed(same_person=True)) if added else team

    def replace(self, code: PairingCode, now_ms: int) -> "Team":
        """The team with a new key for a member whose machine was installed again.

        The old key is removed; what it sent stays.

        Raises:
            NotFound: no member has the tag of the pairing code.
            Conflict: the member is the leader, or has this key already.
        """
        old = next((m for m in self.members if m.tag == code.tag), None)
        if old is None:
            guest = any(g.tag == code.tag for g in self.guests)
            raise NotFound(
                f"{self.name} has no member {code.tag}, whose key could be replaced",
                hint=f"karma-sync team remove {code.tag}, then karma-sync team guest CODE"
                if guest
                else "karma-sync team add CODE, without --replace, for a new member",
            )
        if old.key == code.key:
            raise Conflict(
                f"{old.tag} has this key in {self.name} already",
                hint=f"karma-sync team show --team {self.name}",
            )
        removal = Removal(how=How.REPLACED, at=now_ms)
        return self._without(old, removal).add(code, now_ms)

    def remove(self, member: Member, removal: Removal) -> "Team":
        """The team without this member or guest.

        Raises:
            IllegalMove: it leads the team, or the team is dissolved.
        """
        return self.change()._without(member, removal)

    def leave(self, key: str, now_ms: int, *, retracted: bool) -> "Team":
        """The team after this member left by its own document.

        Raises:
            NotFound: nobody on the roster has this key.
            IllegalMove: it leads the team.
        """
        member = self.anybody(key)
        if member is None:
            raise NotFound(f"{self.name} has no member with key {key[:8]}")
        if key == self.leader and not self.is_dissolved:
            raise IllegalMove(f"you lead {self.name}", hint=self._way_out_for_leader)
        gone = (member if member.active else member.appear()).leave(now_ms, retracted=retracted)
        return self.without(self._with_machines(gone))

    def change(self) -> "Team":
        """The same team, if it may still be changed.

        Raises:
            IllegalMove: it is dissolved.
        """
        return self._move("change")

    def naming(self, key: str, machines: tuple[str, ...]) -> "Team":
        """The team with the keys that this member names as other machines of the same person."""
        member = self.member(key)
        return self._with(member.changed(machines=machines)) if member else self

    def proposing(self, key: str, projects: tuple[str, ...]) -> "Team":
        """The team with the projects that this member asks the leader to share."""
        member = self.change().member(key)
        return self._with(member.changed(proposals=projects)) if member else self

    def dissolve(self) -> "Team":
        """The team after its leader dissolved it.

        Raises:
            IllegalMove: it is dissolved already.
        """
        return self._move("dissolve")

    def rename(self, name: str) -> "Team":
        """The team with another name; its id stays.

        Raises:
            BadInput: the name has characters that are not allowed, or is too long.
            IllegalMove: the team is dissolved.
        """
        return self.change().changed(name=_checked_name(name, "rename"))

    def on_removal_do(self, policy: AfterRemoval) -> "Team":
        """The team with this rule for what a removed member received.

        Raises:
            IllegalMove: the team is dissolved.
        """
        return self.change().changed(on_removal=policy)

    def noting(self, key: str, *, notice: str | None = None, told: bool = False) -> "Team":
        """The team with the notice to a removed member, or with a note that it was told."""
        changes = {"notice": ""} | ({"told": True} if told else {"notice": notice or ""})
        return self.changed(
            removed=tuple(m.noting(**changes) if m.key == key else m for m in self.removed)
        )

    def retract(self, gone: Member) -> "Team":
        """The team after its leader took back the items of a removed member."""
        return self.changed(
            removed=tuple(
                m.noting(retracted=True) if m.key == gone.key else m for m in self.removed
            )
        )

    def retracting(self, key: str, gone: Member) -> "Team":
        """The team after a member took back the items of another machine of its person.

        Raises:
            NotLeader: the removed one was no machine of the same person.
        """
        member = self.member(key)
        if member is None or key not in gone.machines:
            raise NotLeader(
                f"only the leader of {self.name}, or another machine of {gone.tag}'s person, can do"
                " that",
                hint=f"ask the leader: karma-sync team show --team {self.name}",
            )
        kept = dict.fromkeys((*member.retracts, (gone.key, gone.incarnation)))
        return self._with(member.changed(retracts=tuple(kept)[-limits.MACHINES :]))

    def led_on(self, link: TermLink, envelope: str, handed_by: str = "") -> "Team":
        """The team in the term that a verified link begins."""
        return self.changed(
            chain=(*self.chain, envelope),
            term=link.term,
            rank=link.rank,
            leader=link.leader,
            successors=link.successors,
            handed_by=handed_by,
        )

    def activate(
        self,
        key: str,
        addresses: tuple[str, ...],
        proposals: tuple[str, ...] = (),
        machines: tuple[str, ...] = (),
        retracts: tuple[tuple[str, int], ...] = (),
    ) -> "Team":
        """The team after this member's own document, which says this, was accepted.

        Raises:
            NotFound: nobody on the roster has this key.
        """
        member = self.anybody(key)
        if member is None:
            raise NotFound(f"{self.name} has no member with key {key[:8]}")
        seen = member if member.active else member.appear()
        said = seen.reachable_at(addresses).changed(proposals=proposals, machines=machines)
        return self._with(said.changed(retracts=retracts))

    def share(self, identity: str, now_ms: int) -> "Team":
        """The team with this project on its roster.

        Raises:
            Conflict: the roster is full, or `identity` is another name of a shared project.
            IllegalMove: the team is dissolved.
        """
        if self.project(identity):
            return self
        self.change()
        if identity in self.aliases:
            raise Conflict(
                f"{identity} is another name of {self.aliases[identity]} in {self.name}",
                hint=f"karma-sync accept {self.aliases[identity]}",
            )
        if len(self.projects) >= limits.PROJECTS:
            raise Conflict(
                f"{self.name} already shares {limits.PROJECTS} projects, the most a team can share"
            )
        before = next((p for p in self.unshared if p.identity == identity), None)
        first = SharedProject(identity=identity, incarnation=next_version(0, now_ms))
        return self.changed(
            projects=(*self.projects, before.share(now_ms) if before else first),
            unshared=tuple(p for p in self.unshared if p != before),
        )

    def unshare(self, identity: str) -> "Team":
        """The team after this project was taken off its roster.

        Raises:
            NotFound: the team does not share the project.
            IllegalMove: the team is dissolved.
        """
        project = self.project(identity)
        if project is None:
            raise NotFound(f"{self.name} shares no project {identity}")
        kept = tuple(p for p in self.projects if p != project)
        gone = (*self.unshared, project.unshare())[-limits.PROJECTS :]
        return self.change().changed(projects=kept, unshared=gone)

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

    def _with_project(self, changed: SharedProject) -> "Team":
        projects = tuple(changed if p.identity == changed.identity else p for p in self.projects)
        return self.changed(projects=projects)

    def _with(self, changed: Member) -> "Team":
        def put(among: tuple[Member, ...]) -> tuple[Member, ...]:
            return tuple(changed if m.key == changed.key else m for m in among)

        return self.changed(members=put(self.members), guests=put(self.guests))

    def _admit(self, code: PairingCode, now_ms: int, limited_to: tuple[str, ...]) -> "Team":
        before = self.former(code.key)
        if before and before.removal and before.removal.stolen:
            raise Conflict(
                f"the key of {code.tag} was removed because its machine was stolen",
                hint="there, with a new identity: karma-sync init, then karma-sync code",
            )
        new = Member(tag=code.tag, device=code.device, key=code.key, addresses=code.addresses)
        if before:
            again = before.add(now_ms, code.addresses)
            retracted = before.retracted or self.is_retracted(before)
            new = again.changed(tag=code.tag, device=code.device, retracted=retracted)
        new = new.changed(limited_to=limited_to)
        team = self.changed(removed=tuple(m for m in self.removed if m.key != code.key))
        if limited_to:
            return team.changed(guests=(*team.guests, new))
        return team.changed(members=(*team.members, new))

    def _without(self, member: Member, removal: Removal) -> "Team":
        if member.key == self.leader:
            raise IllegalMove(f"{member.tag} leads {self.name}", hint=self._way_out_for_leader)
        return self.without(self._with_machines(member.remove(removal)))

    @property
    def _way_out_for_leader(self) -> str:
        """The commands by which its leader gets out of the team."""
        option = f"--team {self.name}"
        pass_on = f"karma-sync team transfer TAG {option}, or " if self.could_lead else ""
        return f"{pass_on}karma-sync team dissolve {option}"

    def _with_machines(self, gone: Member) -> Member:
        """A member that goes, with the machines that its person has now."""
        return gone.changed(machines=tuple(m.key for m in self.machines_of(gone.key)))

    def without(self, gone: Member) -> "Team":
        """The team with this member among the removed ones, as it is given."""

        def rest(among: Iterable[Member]) -> tuple[Member, ...]:
            return tuple(m for m in among if m.key != gone.key)

        return self.changed(
            members=rest(self.members),
            guests=rest(self.guests),
            removed=(*rest(self.removed), gone)[-limits.REMOVED :],
        )

    def _move(self, verb: str) -> "Team":
        try:
            status = MOVES[self.status, verb]
        except KeyError:
            raise IllegalMove(
                f"cannot {verb} {self.name}: it is {self.status}",
                hint=f"karma-sync team leave --team {self.name}",
            ) from None
        return self.changed(status=status)


def _checked_name(name: str, verb: str) -> str:
    if not TEAM_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be the name of a team: small letters, digits, . _ and -, up to 48",
            hint=f"karma-sync team {verb} backend",
        )
    return name


def found_team(name: str, founder: Member, nonce: str) -> Team:
    """A new team with one member, its founder, who leads it.

    Raises:
        BadInput: the name has characters that are not allowed, or is too long.
    """
    return Team(
        id=team_id(founder.key, _checked_name(name, "create"), nonce),
        name=name,
        founded_as=name,
        founder=founder.key,
        nonce=nonce,
        leader=founder.key,
        members=(founder.appear(),),
    )
