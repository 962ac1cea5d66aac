"""Models the requests that reach a member: contacts and invitations, and the pairings for them.

A contact is a device that wants to connect. An invitation is a team's metadata folder that a
device offers. A pairing accepts the first invitation of a leader whose code was pasted before.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.value import Value
from karma_sync.errors import IllegalMove
from karma_sync.paths import is_metadata_folder, metadata_folder, short_hash

PAIRING_LASTS = timedelta(hours=24)


class Answer(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"


MOVES: Mapping[tuple[Answer, str], Answer] = {
    (Answer.PENDING, "accept"): Answer.ACCEPTED,
    (Answer.PENDING, "decline"): Answer.DECLINED,
    (Answer.DECLINED, "accept"): Answer.ACCEPTED,  # people change their minds
}


def _answered(now: Answer, verb: str, what: str) -> Answer:
    try:
        return MOVES[now, verb]
    except KeyError:
        raise IllegalMove(f"{what} is already {now}", hint="karma-sync inbox") from None


class Shown(Value, frozen=True, kw_only=True):
    """A record that a person was shown a request: its ID, and a hash of everything shown."""

    id: str
    hash: str


def shown(id_: str, *told: str) -> Shown:
    """The record that a person was shown these texts under an ID."""
    return Shown(id=id_, hash=short_hash("karma-sync shown", *told))


def short_id(device: str) -> str:
    """The name that a person types for a device: the first group of its ID."""
    return device.split("-")[0].lower()


class Contact(Value, frozen=True, kw_only=True):
    """A device that asked to connect.

    Syncthing vouches for the device ID alone. The device says `name` and `key` (hex; "" if it says
    none) itself. `seen` is when it first asked (UTC).
    """

    device: str
    name: str
    seen: datetime
    key: str = ""
    answer: Answer = Answer.PENDING

    @property
    def id(self) -> str:
        """The name that a person types to answer the contact: the first group of the device ID."""
        return short_id(self.device)

    @property
    def shown(self) -> Shown:
        """The record of the contact as a person is shown it."""
        return shown(self.id, self.device, self.name, self.key)

    @property
    def is_accepted(self) -> bool:
        """Whether it may connect."""
        return self.answer is Answer.ACCEPTED

    def answered(self, verb: str) -> "Contact":
        """The contact after the verb `accept` or `decline`.

        Raises:
            IllegalMove: the contact was answered in this way before.
        """
        answer = _answered(self.answer, verb, f"contact {self.id}")
        return self.changed(answer=answer)


class Invitation(Value, frozen=True, kw_only=True):
    """A team's metadata folder that a device offers.

    The folder becomes an invitation when its roster is verified: until then `team` is "", nothing
    is verified and a person cannot accept it. `device` offered the folder first; `others` offer it
    too, because every member does, and the roster is fetched from any of them that is connected.
    A guest is invited to receive the projects `limited_to`; for a member there are none.
    """

    folder: str
    device: str
    others: tuple[str, ...] = ()
    seen: datetime
    answer: Answer = Answer.PENDING
    team: str = ""
    team_name: str = ""
    leader_tag: str = ""
    leader_key: str = ""
    limited_to: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name that a person types to answer the invitation: seven letters of the folder id."""
        return self.folder.rpartition("-")[2][:7]

    @property
    def shown(self) -> Shown:
        """The record of the invitation as a person is shown it."""
        leader = self.leader_tag, self.leader_key
        return shown(self.id, self.folder, self.team, self.team_name, *leader, *self.limited_to)

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices that offer it, in the order in which they did."""
        return (self.device, *self.others)

    @property
    def is_accepted(self) -> bool:
        """Whether I join its team once the roster is here."""
        return self.answer is Answer.ACCEPTED

    def offered_by(self, device: str) -> "Invitation":
        """The invitation with this device among those that offer it."""
        if device in self.devices:
            return self
        return self.changed(others=(*self.others, device))

    @property
    def ready(self) -> bool:
        """Whether the roster arrived and was verified."""
        return bool(self.team)

    def answered(self, verb: str) -> "Invitation":
        """The invitation after the verb `accept` or `decline`.

        Raises:
            IllegalMove: the invitation was answered in this way before.
        """
        answer = _answered(self.answer, verb, f"invitation {self.id}")
        return self.changed(answer=answer)


def new_invitations(
    offered: Iterable[tuple[str, str]],
    known: Iterable[Invitation],
    teams: Iterable[str],
    now: datetime,
) -> list[Invitation]:
    """The invitations that are new or have a new device, given all offered folders.

    `offered` are (folder, device); `known` are the invitations so far; `now` is in UTC. The folder
    of one of my own `teams` is not an invitation: Syncthing still lists it as offered for a while
    after I joined, if another member offered it before.
    """
    before = {i.folder: i for i in known}
    mine = {metadata_folder(team) for team in teams}
    found: dict[str, Invitation] = {}
    for folder, device in offered:
        if is_metadata_folder(folder) and folder not in mine:
            new = Invitation(folder=folder, device=device, seen=now)
            found[folder] = (found.get(folder) or before.get(folder) or new).offered_by(device)
    return [i for i in found.values() if i != before.get(i.folder)]


class Pairing(Value, frozen=True, kw_only=True):
    """A code that the person pasted, before the invitation came or while it waits.

    The first invitation that `key` (hex) sends within 24 hours of `made` (UTC) is accepted; if
    `team` is the ID of one, the first to this team.
    """

    key: str
    tag: str
    device: str
    addresses: tuple[str, ...]
    made: datetime
    used: bool = False
    team: str = ""

    @classmethod
    def by(cls, code: PairingCode, now: datetime, team: str = "") -> "Pairing":
        """The pairing with a code that was pasted now."""
        return cls(
            key=code.key,
            tag=code.tag,
            device=code.device,
            addresses=code.addresses,
            made=now,
            team=team,
        )

    @property
    def id(self) -> str:
        """The name that a person types for the pairing: the first group of the device ID."""
        return short_id(self.device)

    @property
    def until(self) -> datetime:
        """The time at which the pairing ends (UTC)."""
        return self.made + PAIRING_LASTS

    def open_at(self, now: datetime) -> bool:
        """Whether the pairing still accepts an invitation at `now` (UTC)."""
        return not self.used and now < self.until
