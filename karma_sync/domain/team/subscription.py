"""Models a subscription: one member's answer to one project of one team, and its legal moves."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

from karma_sync.domain import limits as most
from karma_sync.domain.ids import next_version
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, IllegalMove


class Content(StrEnum):
    """The kinds of content that a member sends and receives of a project; an answer names any.

    `memory` are the notes that an agent keeps for one person: they leave only where a person asks
    for it by name.
    """

    SESSIONS = "sessions"
    OBSERVATIONS = "observations"
    MEMORY = "memory"


USUAL = (Content.SESSIONS, Content.OBSERVATIONS)


def parse_content(text: str) -> tuple[Content, ...]:
    """The contents that a person types, with commas between.

    Raises:
        BadInput: a name is unknown, or there is none.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Content)]
    if unknown or not names:
        raise BadInput(
            f"{text!r} is no content", hint=f"--content {','.join(Content)}, or some of these"
        )
    return content_of(names)


def content_of(names: Iterable[str]) -> tuple[Content, ...]:
    """The contents that are named, each once, in their order; unknown names are left out."""
    wanted = set(names)
    return tuple(each for each in Content if each in wanted)


class Status(StrEnum):
    OFFERED = "offered"
    ACCEPTED = "accepted"
    PAUSED = "paused"
    DECLINED = "declined"


MOVES: Mapping[tuple[Status, str], Status] = {
    (Status.OFFERED, "accept"): Status.ACCEPTED,
    (Status.ACCEPTED, "pause"): Status.PAUSED,
    (Status.ACCEPTED, "change"): Status.ACCEPTED,
    (Status.PAUSED, "resume"): Status.ACCEPTED,
    (Status.OFFERED, "decline"): Status.DECLINED,
    (Status.ACCEPTED, "decline"): Status.DECLINED,
    (Status.PAUSED, "decline"): Status.DECLINED,
    (Status.DECLINED, "reopen"): Status.OFFERED,
}

_INSTEAD: Mapping[Status, str] = {
    Status.OFFERED: "accept",
    Status.ACCEPTED: "change",
    Status.PAUSED: "resume",
    Status.DECLINED: "reopen",
}


class Subscription(Value, frozen=True, kw_only=True):
    """A member's answer to a shared project; status `offered` means that there is no answer yet.

    `member` is the member's key in hex. `incarnation` grows with every accept, so that no channel
    id is used twice. `offer` is the incarnation of the shared project that was answered, and
    `withdrawn` the newest incarnation of which everything was taken back; it stays, for those who
    were away then. `retracted` are the single items that were taken back of this incarnation, the
    latest last: once its channel is closed, nothing else tells of them. `limits` are known for my
    own subscriptions only, and so is whether what I received was `purged` after a decline.
    """

    team: str
    project: str
    member: str
    status: Status = Status.OFFERED
    direction: Direction = Direction.BOTH
    content: tuple[Content, ...] = USUAL
    incarnation: int = 0
    offer: int = 0
    withdrawn: int = 0
    retracted: tuple[str, ...] = ()
    limits: Limits = Limits()
    purged: bool = False

    @property
    def is_withdrawn(self) -> bool:
        """Whether everything was taken back, and nothing was accepted since."""
        reopened = self.status is Status.OFFERED and 0 < self.incarnation == self.withdrawn
        return self.status is Status.DECLINED or reopened

    @property
    def engaged(self) -> bool:
        """Whether the member takes part: accepted, or paused after that."""
        return self.status in {Status.ACCEPTED, Status.PAUSED}

    @property
    def sends(self) -> bool:
        return self.engaged and self.direction is not Direction.RECEIVE

    @property
    def receives(self) -> bool:
        return self.engaged and self.direction is not Direction.SEND

    @property
    def sends_sessions(self) -> bool:
        return self.sends and Content.SESSIONS in self.content

    def agreed(self, content: Content) -> bool:
        """Whether this is sent: it is part of the answer, and the person was shown what leaves.

        Sessions are shown by each command that accepts a project.
        """
        shown = {
            Content.SESSIONS: True,
            Content.OBSERVATIONS: self.limits.observations,
            Content.MEMORY: self.limits.memory,
        }
        return self.sends and content in self.content and shown[content]

    def towards(self, offer: int) -> "Subscription":
        """The answer to this incarnation of the project.

        Only a decline still counts after the project was shared again.
        """
        if self.offer == offer:
            return self
        status = Status.DECLINED if self.status is Status.DECLINED else Status.OFFERED
        return self.changed(offer=offer, status=status)

    def accept(
        self, now_ms: int, direction: Direction, content: tuple[Content, ...], limits: Limits
    ) -> "Subscription":
        """Take part; items are sent through a new channel."""
        incarnation = next_version(self.incarnation, now_ms)
        return self._move(
            "accept",
            direction=direction,
            content=content,
            limits=limits,
            incarnation=incarnation,
            retracted=(),
        )

    def pause(self) -> "Subscription":
        """Stop sending and receiving until `resume`."""
        return self._move("pause")

    def resume(self) -> "Subscription":
        """Send and receive again after a pause."""
        return self._move("resume")

    def change(
        self, direction: Direction, content: tuple[Content, ...], limits: Limits | None = None
    ) -> "Subscription":
        """Change direction and content; and limits, if they are given."""
        kept = self.limits if limits is None else limits
        return self._move("change", direction=direction, content=content, limits=kept)

    def retract(self, now_ms: int) -> "Subscription":
        """Withdraw everything that was sent.

        A new channel begins, and receivers delete what came through the earlier one.
        """
        incarnation = next_version(self.incarnation, now_ms)
        return self._move(
            "change", incarnation=incarnation, withdrawn=self.incarnation, retracted=()
        )

    def retracting(self, items: Iterable[str], out: Collection[str]) -> "Subscription":
        """The answer after these items were taken back, in that order.

        Those that are `out` were sent again. Of a great many, the latest are kept.
        """
        latest = dict.fromkeys(items)
        kept = [item for item in self.retracted if item not in out and item not in latest]
        return self.changed(retracted=(*kept, *latest)[-most.RETRACTED :])

    def decline(self) -> "Subscription":
        """Take no part, or no longer take part; what was sent is taken back."""
        return self._move("decline", withdrawn=self.incarnation, retracted=())

    def purge(self) -> "Subscription":
        """The decline that also deletes the items that were received.

        Raises:
            IllegalMove: it is not declined.
        """
        if self.status is not Status.DECLINED:
            raise IllegalMove(
                f"cannot purge {self.project}: it is {self.status}",
                hint=f"karma-sync decline {self.project} --purge",
            )
        return self.changed(purged=True)

    def reopen(self) -> "Subscription":
        """Undo the decline; the project is offered again."""
        return self._move("reopen", purged=False)

    def _move(self, verb: str, **changes: Any) -> "Subscription":
        # `changed` checks nothing, so only values of our own types may come here
        try:
            status = MOVES[self.status, verb]
        except KeyError:
            raise IllegalMove(
                f"cannot {verb} {self.project}: it is {self.status}",
                hint=f"karma-sync subscription {_INSTEAD[self.status]} {self.project}",
            ) from None
        return self.changed(status=status, **changes)
