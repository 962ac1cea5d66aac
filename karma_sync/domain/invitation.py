"""Being asked: contacts (a device that wants to talk) and invitations (a verified roster)."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

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


class Contact(BaseModel):
    """A device that asked to connect. Its name is its own claim, nothing is verified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        return self.model_copy(update={"answer": answer})


class Invitation(BaseModel):
    """A team's metadata folder that a device offers; a roster makes it a real invitation.

    Until `team` is set nothing was verified and nothing can be accepted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    device: str
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
    def ready(self) -> bool:
        """Whether its roster arrived and was verified."""
        return bool(self.team)

    def answered(self, verb: str) -> "Invitation":
        """After `accept` or `decline`."""
        answer = _answered(self.answer, verb, f"invitation {self.id}")
        return self.model_copy(update={"answer": answer})


def new_invitations(
    offered: Iterable[tuple[str, str]],
    known: Iterable[Invitation],
    teams: Iterable[str],
    now: datetime,
) -> list[Invitation]:
    """What is news among the folders that were offered, each with the device that offers it.

    The folder of one of my own `teams` is no invitation: Syncthing names it for a while after I
    joined, when another member offered it before.
    """
    passed = {i.folder for i in known} | {metadata_folder(team) for team in teams}
    return [
        Invitation(folder=folder, device=device, seen=now)
        for folder, device in offered
        if is_metadata_folder(folder) and folder not in passed
    ]


class Pairing(BaseModel):
    """A code pasted beforehand: the first invitation from `key` within 24 hours is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    tag: str
    device: str
    addresses: tuple[str, ...]
    made: datetime
    used: bool = False

    def open_at(self, now: datetime) -> bool:
        """Whether it still answers an invitation."""
        return not self.used and now < self.made + PAIRING_LASTS
