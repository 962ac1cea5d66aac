"""Being asked: contacts (a device that wants to talk) and invitations (a verified roster)."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from karma_sync.domain.value import Value
from karma_sync.errors import IllegalMove
from karma_sync.paths import is_metadata_folder, metadata_folder

PAIRING_LASTS = timedelta(hours=24)


class Answer(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"


MOVES: Mapping[tuple[Answer, str], Answer] = {
    (Answer.PENDING, "accept"): Answer.ACCEPTED,
    (Answer.PENDING, "decline"): Answer.DECLINED,
    (Answer.DECLINED, "accept"): Answer.ACCEPTED,  # a person may change its mind
}


def _answered(now: Answer, verb: str, what: str) -> Answer:
    try:
        return MOVES[now, verb]
    except KeyError:
        raise IllegalMove(f"{what} is {now} already", hint="karma-sync inbox") from None


class Contact(Value, frozen=True, kw_only=True):
    """A device that asked to connect. Its name is its own claim, nothing is verified."""

    device: str
    name: str
    seen: datetime
    answer: Answer = Answer.PENDING

    @property
    def id(self) -> str:
        """What a person types to answer it: the first group of the device ID."""
        return self.device.split("-")[0].lower()

    def answered(self, verb: str) -> "Contact":
        """After `accept` or `decline`."""
        answer = _answered(self.answer, verb, f"contact {self.id}")
        return self.changed(answer=answer)


class Invitation(Value, frozen=True, kw_only=True):
    """A team's metadata folder that a device offers; a roster makes it a real invitation.

    Until `team` is set nothing was verified and nothing can be accepted. `others` offer it as
    well, all members do: it is fetched from whoever is there.
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

    @property
    def id(self) -> str:
        """What a person types to answer it."""
        return self.folder.rpartition("-")[2][:7]

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices that offer it, the first one first."""
        return (self.device, *self.others)

    def offered_by(self, device: str) -> "Invitation":
        """The invitation, offered by this device too."""
        if device in self.devices:
            return self
        return self.changed(others=(*self.others, device))

    @property
    def ready(self) -> bool:
        """Whether its roster arrived and was verified."""
        return bool(self.team)

    def answered(self, verb: str) -> "Invitation":
        """After `accept` or `decline`."""
        answer = _answered(self.answer, verb, f"invitation {self.id}")
        return self.changed(answer=answer)


def new_invitations(
    offered: Iterable[tuple[str, str]],
    known: Iterable[Invitation],
    teams: Iterable[str],
    now: datetime,
) -> list[Invitation]:
    """What is news among the folders that were offered, each with a device that offers it.

    The folder of one of my own `teams` is no invitation: Syncthing names it for a while after I
    joined, when another member offered it before.
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
    """A code pasted beforehand: the first invitation from `key` within 24 hours is accepted."""

    key: str
    tag: str
    device: str
    addresses: tuple[str, ...]
    made: datetime
    used: bool = False

    def open_at(self, now: datetime) -> bool:
        """Whether it still answers an invitation."""
        return not self.used and now < self.made + PAIRING_LASTS
