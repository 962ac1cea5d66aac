"""Models invitation codes in use: codes I gave out, devices that knock, codes I joined with.

An `Invite` and its `Door`s are the leader's; a `Joining` is the newcomer's. Neither holds the
secret of a code: only the two keys that are made of it, and of an ended one not even both.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.invitation import Shown, short_id, shown
from karma_sync.domain.team.invite_code import InviteCode
from karma_sync.domain.team.knock import door_of
from karma_sync.domain.value import Value
from karma_sync.errors import IllegalMove
from karma_sync.paths import short_hash

DEFAULT_LIFE = timedelta(hours=24)
# The time for which a late knock is answered with a refusal, instead of nothing.
REMEMBERED = timedelta(days=7)
DOORS = 4  # of one invite
USES = 100  # at most, of one invite
_ID_LETTERS = 7
YES, NO = "yes", "no"

_Status = TypeVar("_Status", bound=StrEnum)


class InviteStatus(StrEnum):
    OPEN = "open"
    USED = "used"  # by as many as may use it
    EXPIRED = "expired"
    REVOKED = "revoked"
    VOID = "void"  # lost: the database was restored, I do not lead the team, a machine was stolen


INVITE_MOVES: Mapping[tuple[InviteStatus, str], InviteStatus] = {
    (InviteStatus.OPEN, "count"): InviteStatus.OPEN,
    (InviteStatus.OPEN, "use up"): InviteStatus.USED,
    (InviteStatus.OPEN, "expire"): InviteStatus.EXPIRED,
    (InviteStatus.OPEN, "revoke"): InviteStatus.REVOKED,
    (InviteStatus.OPEN, "void"): InviteStatus.VOID,
}


class DoorStatus(StrEnum):
    OPEN = "open"  # it knocked; its request has not come yet
    ASKING = "asking"  # its request waits for a person's yes
    ADMITTED = "admitted"
    REFUSED = "refused"
    CLOSED = "closed"  # the newcomer joined; the folder is gone
    FULL = "full"  # it put too much into the folder; the folder is gone


DOOR_MOVES: Mapping[tuple[DoorStatus, str], DoorStatus] = {
    (DoorStatus.OPEN, "ask"): DoorStatus.ASKING,
    (DoorStatus.REFUSED, "ask"): DoorStatus.ASKING,
    (DoorStatus.ASKING, "ask"): DoorStatus.ASKING,
    (DoorStatus.OPEN, "admit"): DoorStatus.ADMITTED,
    (DoorStatus.ASKING, "admit"): DoorStatus.ADMITTED,
    (DoorStatus.REFUSED, "admit"): DoorStatus.ADMITTED,
    (DoorStatus.ADMITTED, "admit"): DoorStatus.ADMITTED,
    (DoorStatus.OPEN, "refuse"): DoorStatus.REFUSED,
    (DoorStatus.ASKING, "refuse"): DoorStatus.REFUSED,
    (DoorStatus.REFUSED, "refuse"): DoorStatus.REFUSED,
    (DoorStatus.ADMITTED, "refuse"): DoorStatus.REFUSED,  # it asks again as somebody else
    (DoorStatus.ADMITTED, "close"): DoorStatus.CLOSED,
    (DoorStatus.OPEN, "fill"): DoorStatus.FULL,
    (DoorStatus.ASKING, "fill"): DoorStatus.FULL,
    (DoorStatus.ADMITTED, "fill"): DoorStatus.FULL,
    (DoorStatus.REFUSED, "fill"): DoorStatus.FULL,
}


class JoinStatus(StrEnum):
    KNOCKING = "knocking"
    JOINED = "joined"
    REFUSED = "refused"
    CANCELLED = "cancelled"


JOIN_MOVES: Mapping[tuple[JoinStatus, str], JoinStatus] = {
    (JoinStatus.KNOCKING, "learn"): JoinStatus.KNOCKING,
    (JoinStatus.KNOCKING, "agree"): JoinStatus.KNOCKING,
    (JoinStatus.KNOCKING, "ask"): JoinStatus.KNOCKING,
    (JoinStatus.KNOCKING, "join"): JoinStatus.JOINED,
    (JoinStatus.KNOCKING, "be refused"): JoinStatus.REFUSED,
    (JoinStatus.KNOCKING, "cancel"): JoinStatus.CANCELLED,
    (JoinStatus.REFUSED, "knock again"): JoinStatus.KNOCKING,
    (JoinStatus.CANCELLED, "knock again"): JoinStatus.KNOCKING,
}


class Refusal(StrEnum):
    """The reasons why a leader refuses a request."""

    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"
    VOID = "void"
    NOT_LEADER = "not-leader"
    TAG_TAKEN = "tag-taken"
    LISTED = "listed"  # the key or the device is on the roster under another name
    REMOVED = "removed"
    TEAM_FULL = "team-full"
    MACHINE = "machine"  # the code is for another machine of its maker, and the request is not
    NOT_MACHINE = "not-machine"  # or the other way round
    NOT_SHARED = "not-shared"  # any more: the projects of a guest
    DECLINED = "declined"  # by a person who was asked
    FORGED = "forged"  # the request was not made with the code


# After these another request with the same code may succeed.
MENDABLE = {Refusal.TAG_TAKEN, Refusal.MACHINE, Refusal.NOT_MACHINE}


def invite_id(knock_key: bytes) -> str:
    """The name that a person types for a code; both sides know it, and it is no secret."""
    return short_hash("karma-sync invite", knock_key.hex())[:_ID_LETTERS]


def _moved(moves: Mapping[tuple[_Status, str], _Status], now: _Status, verb: str) -> _Status:
    try:
        return moves[now, verb]
    except KeyError:
        raise IllegalMove(
            f"an invitation code that is {now} cannot {verb}", hint="karma-sync invite list"
        ) from None


class Invite(Value, frozen=True, kw_only=True):
    """A code that I gave out as the leader of a team; keys in hex, moments in UTC.

    `admission_key` is "" once it ended. With `confirm`, a person answers each request. A code that
    is `for_me` takes in another machine of mine, and nobody else. With `limited_to`, who uses it
    becomes a guest, who receives only these projects.
    """

    id: str
    team: str
    made: datetime
    expires: datetime
    knock_key: str
    admission_key: str
    uses: int = 1
    used: int = 0
    confirm: bool = False
    for_me: bool = False
    limited_to: tuple[str, ...] = ()
    status: InviteStatus = InviteStatus.OPEN
    ended: datetime | None = None

    def open_at(self, now: datetime) -> bool:
        """Whether somebody may join with it."""
        return self.status is InviteStatus.OPEN and now < self.expires

    def is_remembered(self, now: datetime) -> bool:
        """Whether a knock with it is still answered."""
        return now < (self.ended or self.expires) + REMEMBERED

    def use(self, now: datetime) -> "Invite":
        """One more member joined with it; the last one ends it."""
        used = self.used + 1
        if used >= self.uses:
            return self._end("use up", now, used=used)
        return self.changed(status=_moved(INVITE_MOVES, self.status, "count"), used=used)

    def expire(self, now: datetime) -> "Invite":
        """End the code because its time is over."""
        return self._end("expire", now)

    def revoke(self, now: datetime) -> "Invite":
        """End the code because its maker takes it back."""
        return self._end("revoke", now)

    def void(self, now: datetime) -> "Invite":
        """End the code: nobody knows any more who used it, who has it, or whether I may invite."""
        return self._end("void", now)

    def _end(self, verb: str, now: datetime, **changes: Any) -> "Invite":
        status = _moved(INVITE_MOVES, self.status, verb)
        return self.changed(status=status, ended=now, admission_key="", **changes)


class Door(Value, frozen=True, kw_only=True):
    """A device that knocked with one of my codes, and the folder that is shared with it alone.

    `name` is what it calls itself. `address` is where it can be dialled, "" if unknown. `offer` and
    `answer` are signed envelopes; `answer` answers the request with the hash `request`. `tag` and
    `key` are those of that request; `consent` is what a person said to it: YES, NO or "".
    """

    folder: str
    invite: str
    device: str
    name: str
    seen: datetime
    address: str = ""
    status: DoorStatus = DoorStatus.OPEN
    offer: str = ""
    request: str = ""
    attempt: int = 0
    tag: str = ""
    key: str = ""
    answer: str = ""
    consent: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether the folder is there."""
        return self.status not in {DoorStatus.FULL, DoorStatus.CLOSED}

    @property
    def id(self) -> str:
        """The name that a person types to answer the request: the first group of the device ID."""
        return short_id(self.device)

    @property
    def shown(self) -> Shown:
        """The record of the request as a person is shown it; `request` is a hash of its content."""
        return shown(self.id, self.folder, self.device, self.request, self.tag, self.key)

    @property
    def waits(self) -> bool:
        """Whether its request waits for a person's yes."""
        return self.status is DoorStatus.ASKING and not self.consent

    def consented(self, *, agreed: bool) -> "Door":
        """A person said yes or no to its request; the daemon answers."""
        return self.changed(consent=YES if agreed else NO)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses at which the device can be dialled, as far as they are known."""
        return (self.address,) if self.address else ()

    def ask(self, **request: Any) -> "Door":
        """A request came that a person must answer."""
        return self._move("ask", **request)

    def admit(self, **answered: Any) -> "Door":
        """The newcomer is on the roster."""
        return self._move("admit", **answered)

    def refuse(self, **answered: Any) -> "Door":
        """The request was refused."""
        return self._move("refuse", **answered)

    def close(self) -> "Door":
        """The newcomer's own document came."""
        return self._move("close")

    def fill(self) -> "Door":
        """Close the door because the device put too much into the folder."""
        return self._move("fill")

    def _move(self, verb: str, **changes: Any) -> "Door":
        return self.changed(status=_moved(DOOR_MOVES, self.status, verb), **changes)


class Joining(Value, frozen=True, kw_only=True):
    """A code that I pasted to join a team; keys in hex, moments in UTC.

    The keys are "" once I joined, was refused for good, or cancelled it. `agreed` says that I said
    yes to the team. `team_name` and what follows it are known when the leader's offer came. As a
    `guest` I receive the `projects` alone. `machine` is the leader's word that it takes in other
    machines of its own person alone, and `same_person` mine that this is one; `direction` is then
    how its projects are accepted.
    `request` is the file in which I ask; `why` and `free` (a tag that I could take) are known after
    a refusal.
    """

    id: str
    team: str
    device: str
    key: str
    addresses: tuple[str, ...]
    made: datetime
    expires: datetime
    knock_key: str
    admission_key: str
    agreed: bool = False
    request: str = ""
    attempt: int = 0
    team_name: str = ""
    leader: str = ""
    projects: tuple[str, ...] = ()
    confirm: bool = False
    guest: bool = False
    machine: bool = False
    same_person: bool = False
    direction: Direction = Direction.RECEIVE
    status: JoinStatus = JoinStatus.KNOCKING
    why: str = ""
    free: str = ""

    @classmethod
    def by(cls, code: InviteCode, keys: tuple[bytes, bytes], now: datetime) -> "Joining":
        """The beginning: `keys` are the knock key and the admission key of the code."""
        knock, admission = keys
        return cls(
            id=invite_id(knock),
            team=code.team,
            device=code.device,
            key=code.key,
            addresses=code.addresses,
            made=now,
            expires=code.expires,
            knock_key=knock.hex(),
            admission_key=admission.hex(),
        )

    @property
    def is_open(self) -> bool:
        """Whether I knock."""
        return self.status is JoinStatus.KNOCKING

    def door(self, device: str) -> str:
        """The ID of the folder through which I, with this device, ask."""
        return door_of(bytes.fromhex(self.knock_key), device)

    def learn(self, **offered: Any) -> "Joining":
        """Take over the leader's offer: its values, by the names of the fields here."""
        return self._move("learn", **offered)

    def agree(
        self, *, same_person: bool = False, direction: Direction = Direction.RECEIVE
    ) -> "Joining":
        """I say yes to the team; with `same_person`, that this is a machine of its leader's person.

        Then projects are accepted by themselves, in this direction.
        """
        return self._move("agree", agreed=True, same_person=same_person, direction=direction)

    def ask(self, request: str, attempt: int) -> "Joining":
        """I ask the leader with this file."""
        return self._move("ask", request=request, attempt=attempt)

    def join(self) -> "Joining":
        """The roster lists me."""
        return self._move("join", **_NO_KEYS)

    def be_refused(self, why: Refusal, free: str = "") -> "Joining":
        """The leader said no; the keys stay if I may ask again under another name."""
        gone = {} if why in MENDABLE else _NO_KEYS
        return self._move("be refused", why=why.value, free=free, **gone)

    def cancel(self) -> "Joining":
        """I do not want to join."""
        return self._move("cancel", **_NO_KEYS)

    def knock_again(self, fresh: "Joining") -> "Joining":
        """The same code was pasted again; `fresh` has its keys."""
        keys = {"knock_key": fresh.knock_key, "admission_key": fresh.admission_key}
        blank = {"agreed": False, "same_person": False, "request": "", "why": "", "free": ""}
        return self._move("knock again", **(blank | keys))

    def _move(self, verb: str, **changes: Any) -> "Joining":
        return self.changed(status=_moved(JOIN_MOVES, self.status, verb), **changes)


_NO_KEYS = {"knock_key": "", "admission_key": "", "request": ""}
