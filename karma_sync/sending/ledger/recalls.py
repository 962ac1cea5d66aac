"""Tells people what was called back and which members confirmed that they deleted it.

It is computed from the ledger in work.db and from the members' receipts at each call.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from karma_sync.domain.mesh.channels import Channel, World, listeners
from karma_sync.sending.ledger.closed_channels import Ended
from karma_sync.store import ledger
from karma_sync.store.database import Database
from karma_sync.store.ledger import Departed, Recall
from karma_sync.team.documents.stored import receipts_for

if TYPE_CHECKING:
    from karma_sync.team.documents.receipt import ChannelReceipt


@dataclass(frozen=True)
class CalledBack:
    """Content that every receiver is to delete; `confirmed` and `waiting` are member tags.

    `what` is `retracted` (single sessions), `withdrawn` (all of a project, by declining it) or
    `redacted anew`. `at` is UTC. `left` counts those of the `sessions` that this machine itself
    has not packaged again yet.
    """

    what: str
    sessions: int
    at: datetime
    confirmed: tuple[str, ...]
    waiting: tuple[str, ...]
    left: int = 0


@dataclass(frozen=True)
class Box:
    """One of my channels: the ledger rows of what left, and the receipts of its receivers.

    `known` maps a member's tag to the revision up to which it confirmed everything; `said` maps
    each receiver's tag to the newest receipt about this channel, None if it sent none.
    """

    channel: Channel
    rows: list[Departed]
    recall: Recall | None
    known: dict[str, int]
    said: "dict[str, ChannelReceipt | None]"

    @property
    def retractions(self) -> list[tuple[str, int]]:
        """The retractions as (item, revision), in the order of revisions."""
        gone = [(row.withdrawn, row.item) for row in self.rows if row.withdrawn]
        return [(item, revision) for revision, item in sorted(gone)]

    def split(self, done: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The receivers' tags: those in `done`, and the others; both sorted."""
        return tuple(sorted(done)), tuple(sorted(self.said.keys() - done))


def withdrawal_of(found: Ended) -> CalledBack:
    """The recall of everything that left through a closed channel."""
    at = max((row.withdrawn or row.revision for row in found.rows), default=0)
    waiting = tuple(sorted(found.had.keys() - found.gone))
    done = tuple(sorted(found.had.keys() & found.gone))
    return CalledBack("withdrawn", len(found.rows), moment(found.closed or at), done, waiting)


def called_back(store: Database, world: World, channel: Channel) -> list[CalledBack]:
    """The recalls in an open channel: its deleted and redacted items, and who confirmed each."""
    box = read_box(store, world, channel)
    found = [_retracted(box)] if box.retractions else []
    return [*found, _redacted(box, box.recall)] if box.recall else found


def _retracted(box: Box) -> CalledBack:
    mine = box.retractions
    done = {tag for tag, said in box.said.items() if said and said.carried_out(mine) == set(mine)}
    return CalledBack("retracted", len(mine), moment(mine[-1][1]), *box.split(done))


def _redacted(box: Box, recall: Recall) -> CalledBack:
    rows = [row for row in box.rows if not row.withdrawn]
    # sessions sent since never had the old redactor; after a loss of the ledger nobody knows
    # when a session was sent first
    rows = [row for row in rows if row.first <= recall.through] or rows
    left = sum(row.revision <= recall.through for row in rows)
    # a receiver that had nothing at its last receipt may have got some of it since then: only a
    # receipt for the new items confirms
    nothing = None if rows else 0
    done = {
        tag
        for tag, said in box.said.items()
        if said and (said.oldest > recall.through or said.oldest == nothing)
    }
    return CalledBack("redacted anew", len(rows), moment(recall.at_ms), *box.split(done), left)


def read_box(store: Database, world: World, channel: Channel) -> Box:
    """Read everything that work.db holds about one of my channels."""
    with store.reading() as tx:
        rows = ledger.departed.all(tx, folder=channel.id)
        recall = ledger.get_recall(tx, channel.id)
        known = ledger.confirmed(tx, channel.id)
    said = receipts_for(store, channel.team, channel.id)
    listening = listeners(channel.team, channel.project)
    receivers = {m.tag for m in listening if _receives(world, channel, m.key)}
    tags = {m.key: m.tag for m in channel.team.everybody}
    return Box(
        channel,
        rows,
        recall,
        {tags[key]: revision for key, revision in known.items() if key in tags},
        {tag: said.get(tag) for tag in receivers | said.keys()},
    )


def _receives(world: World, channel: Channel, key: str) -> bool:
    """Whether a member's answer lets the items that I send reach it."""
    place = channel.team.id, channel.project
    return key != channel.owner.key and any(
        (s.team, s.project) == place and s.member == key and s.receives for s in world.subscriptions
    )


def moment(ms: int) -> datetime:
    """The time in UTC of Unix milliseconds."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
