"""The content of intent.json: what limits sending, and how it limits an older database.

An answer in the file replaces an earlier one in the database, and narrows one with its number.
"""

from pathlib import Path
from typing import Literal

from msgspec import MsgspecError

from karma_sync.domain.session.fork import SessionFork
from karma_sync.domain.session.selection import (
    Exclusion,
    Limits,
    Share,
    Unshared,
    WithheldObservation,
    Withhold,
)
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.machine import Machine, TeamPolicy
from karma_sync.domain.team.subscription import USUAL, Content, Status, Subscription
from karma_sync.domain.value import Value
from karma_sync.errors import KarmaError
from karma_sync.store import state

_RANK = {Status.ACCEPTED: 0, Status.PAUSED: 1, Status.OFFERED: 2, Status.DECLINED: 3}


class Limit(Value, frozen=True, kw_only=True):
    """My answer to one project of one team, which limits older answers and those with its number.

    `withdrawn` is that of the answer: a withdrawal that no other member has seen is not lost.
    `joined` is the incarnation that I had in the team. `limits` is None where they are not known,
    as in my own document.
    """

    team: str
    project: str
    incarnation: int
    status: Status
    direction: Direction
    content: tuple[Content, ...] = USUAL
    offer: int = 0
    withdrawn: int = 0
    retracted: tuple[str, ...] = ()
    purged: bool = False
    joined: int = 0
    limits: Limits | None = None

    @classmethod
    def of(cls, answer: Subscription, joined: int = 0) -> "Limit":
        """The limit that one of my answers sets."""
        return cls(
            team=answer.team,
            project=answer.project,
            incarnation=answer.incarnation,
            status=answer.status,
            direction=answer.direction,
            content=answer.content,
            offer=answer.offer,
            withdrawn=answer.withdrawn,
            retracted=answer.retracted,
            purged=answer.purged,
            joined=joined,
            limits=answer.limits,
        )

    def applies_to(self, answer: Subscription) -> bool:
        """Whether it was written for this answer, or for a later one to the same project."""
        same = (self.team, self.project) == (answer.team, answer.project)
        return same and self.incarnation >= answer.incarnation

    def at_least(self, status: Status) -> "Limit":
        """The limit, with this status if that limits more; to decline also withdraws."""
        withdrawn = self.incarnation if status is Status.DECLINED else self.withdrawn
        status = max(self.status, status, key=_RANK.__getitem__)
        return self.changed(status=status, withdrawn=withdrawn)

    def narrow(self, answer: Subscription) -> Subscription:
        """An answer that this one limits, so that it sends no more than the person allowed.

        A later answer takes its place, and is paused if it sends and its limits are not known. One
        with the same number is changed so that it sends no more than both allow.
        """
        if self.incarnation > answer.incarnation:
            return self._in_place_of(answer)
        receives = Direction.RECEIVE in {answer.direction, self.direction}
        both = tuple(each for each in answer.content if each in self.content)
        status = max(answer.status, self.status, key=_RANK.__getitem__)
        retracted = self.retracted
        if not self.limits:  # my document may lack the latest, where intent.json has all of them
            retracted = answer.retracting(retracted, ()).retracted
        return answer.changed(
            status=status,
            retracted=retracted,
            direction=Direction.RECEIVE if receives else answer.direction,
            content=both or self.content,
            withdrawn=max(answer.withdrawn, self.withdrawn),
            purged=status is Status.DECLINED and (answer.purged or self.purged),
            limits=answer.limits.narrowed(self.limits) if self.limits else answer.limits,
        )

    def answered(self, member: str) -> Subscription:
        """The answer of this member, which is me, if the database knows none."""
        return self._in_place_of(Subscription(team=self.team, project=self.project, member=member))

    def _in_place_of(self, answer: Subscription) -> Subscription:
        later = answer.changed(
            status=self.status,
            direction=self.direction,
            content=self.content,
            incarnation=self.incarnation,
            offer=self.offer,
            withdrawn=self.withdrawn,
            retracted=self.retracted,
            limits=self.limits or Limits(),
            purged=self.purged,
        )
        return later if self.limits else _stopped(later)


class OpenInvite(Value, frozen=True, kw_only=True):
    """An invitation code of mine that can be used, and how often it was."""

    id: str
    used: int


class Intent(Value, frozen=True, kw_only=True):
    """The content of intent.json; `version` grows each time the file is written."""

    format: Literal[1] = 1
    version: int = 0
    limits: tuple[Limit, ...] = ()
    withheld: tuple[Withhold, ...] = ()
    observations: tuple[WithheldObservation, ...] = ()
    shares: tuple[Share, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    unshared: tuple[Unshared, ...] = ()
    forks: tuple[SessionFork, ...] = ()
    halt: state.GlobalPause | None = None
    invites: tuple[OpenInvite, ...] = ()
    policies: tuple[TeamPolicy, ...] = ()
    machines: tuple[Machine, ...] = ()
    formers: tuple[state.Former, ...] = ()
    mapped: tuple[state.KnownDirectory, ...] = ()
    agreements: tuple[state.Agreed, ...] = ()

    def limit(self, answer: Subscription) -> Subscription:
        """The answer as this file limits it.

        An answer that sends but has no entry is paused: nobody knows how much it was meant to send.
        """
        found = next((limit for limit in self.limits if limit.applies_to(answer)), None)
        return found.narrow(answer) if found else _stopped(answer)


def _stopped(answer: Subscription) -> Subscription:
    """The answer, paused if it sends."""
    return answer.pause() if answer.status is Status.ACCEPTED and answer.sends else answer


def read_intent(path: Path) -> Intent:
    """The content of the file; an empty intent if there is no file.

    Raises:
        KarmaError: the content is not valid, so nothing in it can be relied on.
    """
    try:
        return Intent.from_json(path.read_bytes())
    except FileNotFoundError:
        return Intent()
    except (ValueError, RecursionError, MsgspecError):  # ValueError: bytes that are not UTF-8
        raise KarmaError(f"{path} cannot be read", hint="karma-sync status") from None
