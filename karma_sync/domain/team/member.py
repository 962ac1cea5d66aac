"""Models a member of a team: its status, its legal moves, and how it was removed."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from karma_sync.domain.ids import next_version, user_of
from karma_sync.domain.value import Value
from karma_sync.errors import IllegalMove


class MemberStatus(StrEnum):
    ADDED = "added"  # on the roster, but no document signed by the member has arrived yet
    ACTIVE = "active"  # the member's own signed document was accepted
    REMOVED = "removed"  # no longer on the roster: it left, or the leader removed it


MOVES: Mapping[tuple[MemberStatus, str], MemberStatus] = {
    (MemberStatus.ADDED, "appear"): MemberStatus.ACTIVE,
    (MemberStatus.ADDED, "remove"): MemberStatus.REMOVED,
    (MemberStatus.ACTIVE, "remove"): MemberStatus.REMOVED,
    (MemberStatus.ACTIVE, "leave"): MemberStatus.REMOVED,
    (MemberStatus.REMOVED, "add"): MemberStatus.ADDED,
}


class How(StrEnum):
    """The ways in which a member ceases to be one."""

    REMOVED = "removed"  # by the leader
    LEFT = "left"  # by its own signed document
    REPLACED = "replaced"  # by the same person's new key, after the machine was installed again


class Removal(Value, frozen=True, kw_only=True):
    """The manner and time (Unix milliseconds) of a member's removal.

    With `retracted` all others delete what the member sent. A member whose machine was `stolen` is
    not told. `notice` is the envelope that tells the member, signed by the leader; "" before it is
    signed and after it is `told`.
    """

    how: How
    at: int
    stolen: bool = False
    retracted: bool = False
    notice: str = ""
    told: bool = False


class Member(Value, frozen=True, kw_only=True):
    """A person on a machine; `key` is the Ed25519 public key in hex.

    `incarnation` grows each time the member is added again, so that no channel id and no document
    of an earlier time counts again. `removal` is set while the status is `removed`. After that,
    `retracted` tells that what the member sent in an earlier time was taken back. A guest is
    `limited_to` some projects, by identity; a member to none. `proposals` are projects that it asks
    the leader to share. `machines` are the keys of other members that are, by the member's own
    word, machines of the same person; that counts if they say the same (`Team.are_one_person`).
    `same_person` is the leader's word that it is another machine of somebody: a question to both.
    `retracts` are key and incarnation of removed machines of the same person whose items it takes
    back.
    """

    tag: str
    device: str
    key: str
    addresses: tuple[str, ...] = ()
    status: MemberStatus = MemberStatus.ADDED
    incarnation: int = 0
    removal: Removal | None = None
    retracted: bool = False
    limited_to: tuple[str, ...] = ()
    proposals: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    same_person: bool = False
    retracts: tuple[tuple[str, int], ...] = ()

    @property
    def active(self) -> bool:
        return self.status is MemberStatus.ACTIVE

    def is_called(self, name: str) -> bool:
        """Whether a person who types this name can mean the member: it is its tag, or its user."""
        return name in (self.tag, user_of(self.tag))

    def appear(self) -> "Member":
        """The member after its own signed document was accepted.

        Raises:
            IllegalMove: the member is active already, or removed.
        """
        return self._move("appear")

    def remove(self, removal: Removal) -> "Member":
        """The member after the leader removed it, or replaced its key.

        Raises:
            IllegalMove: the member is removed already.
        """
        return self._move("remove", removal=removal)

    def leave(self, now_ms: int, *, retracted: bool) -> "Member":
        """The member after it left; with `retracted` it takes back its items.

        Raises:
            IllegalMove: the member is not active.
        """
        return self._move("leave", removal=Removal(how=How.LEFT, at=now_ms, retracted=retracted))

    def add(self, now_ms: int, addresses: tuple[str, ...]) -> "Member":
        """The removed member after the leader added it again.

        Raises:
            IllegalMove: the member is not removed.
        """
        incarnation = next_version(self.incarnation, now_ms)
        again = self._move("add", incarnation=incarnation, removal=None, addresses=addresses)
        return again.changed(proposals=(), machines=(), same_person=False, retracts=())

    def reachable_at(self, addresses: tuple[str, ...]) -> "Member":
        """The same member with other addresses to dial."""
        return self.changed(addresses=addresses)

    def noting(self, **changes: Any) -> "Member":
        """The removed member with other values in its removal; any other member as it is."""
        return self.changed(removal=self.removal.changed(**changes)) if self.removal else self

    def _move(self, verb: str, **changes: Any) -> "Member":
        try:
            status = MOVES[self.status, verb]
        except KeyError:
            raise IllegalMove(f"cannot {verb} {self.tag}: it is {self.status}") from None
        return self.changed(status=status, **changes)


def as_guest(limited_to: Collection[str]) -> str:
    """The words ", as a guest" for who is limited to some projects; "" for a member."""
    return ", as a guest" if limited_to else ""
