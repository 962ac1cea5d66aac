"""What left and what was called back, and who says so: computed from the ledger and receipts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from karma_sync.domain.plan import Channel, World, outboxes
from karma_sync.metadata.receipts import ChannelReceipt, digest_of
from karma_sync.service.receipts import said_of
from karma_sync.store import ledger
from karma_sync.store.database import Database
from karma_sync.store.ledger import Departed, Recall


@dataclass(frozen=True)
class CalledBack:
    """Something that is to be gone everywhere: `confirmed` and `waiting` are member tags.

    `what` is `retracted` (whole sessions) or `redacted anew`; `at` is UTC; `left` is
    how many of the `sessions` this machine itself has not dealt with yet.
    """

    what: str
    sessions: int
    at: datetime
    confirmed: tuple[str, ...]
    waiting: tuple[str, ...]
    left: int = 0


@dataclass(frozen=True)
class Delivery:
    """One receiver of a session: whether it confirmed what left last; that it is gone."""

    tag: str
    confirmed: bool
    gone: bool


@dataclass(frozen=True)
class Sent:
    """One session in the ledger; moments are UTC, `size` is bytes before compression.

    `session` and `agent` are empty where a database was lost and only the retraction is known.
    """

    team: str
    project: str
    session: str
    agent: str
    first: datetime
    last: datetime
    size: int
    cuts: dict[str, int]
    to: tuple[Delivery, ...]
    withdrawn: datetime | None


@dataclass(frozen=True)
class _Outbox:
    """A channel of mine with what left through it, and what its receivers say."""

    channel: Channel
    rows: list[Departed]
    recall: Recall | None
    known: dict[str, int]
    said: dict[str, ChannelReceipt | None]

    @property
    def retractions(self) -> list[tuple[str, int]]:
        """(item, revision) in the order of revisions."""
        gone = [(row.withdrawn, row.item) for row in self.rows if row.withdrawn]
        return [(item, revision) for revision, item in sorted(gone)]

    def split(self, done: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The receivers, those that are done first."""
        return tuple(sorted(done)), tuple(sorted(self.said.keys() - done))


def called_back(store: Database, world: World, channel: Channel) -> list[CalledBack]:
    """What of a channel is to be gone, and where it is."""
    box = _look(store, world, channel)
    found = [_retracted(box)] if box.retractions else []
    return [*found, _redacted(box, box.recall)] if box.recall else found


def _retracted(box: _Outbox) -> CalledBack:
    mine = box.retractions
    done = {tag for tag, said in box.said.items() if said and said.carried_out(mine) == set(mine)}
    return CalledBack("retracted", len(mine), _moment(mine[-1][1]), *box.split(done))


def _redacted(box: _Outbox, recall: Recall) -> CalledBack:
    rows = [row for row in box.rows if not row.withdrawn]
    left = sum(row.revision <= recall.through for row in rows)
    done = {
        tag
        for tag, said in box.said.items()
        if said and (said.oldest > recall.through or not said.items)
    }
    return CalledBack("redacted anew", len(rows), _moment(recall.at_ms), *box.split(done), left)


def sent(store: Database, world: World) -> list[Sent]:
    """The ledger: every session that left through a channel of mine, the latest first."""
    found = [
        _sent(box, row)
        for channel in outboxes(world)
        for box in [_look(store, world, channel)]
        for row in box.rows
    ]
    return sorted(found, key=lambda s: (s.last, s.session), reverse=True)


def only(found: Iterable[Sent], since: datetime | None = None, to: str | None = None) -> list[Sent]:
    """Those that left at or after `since`, and to the member `to`."""
    return [
        s
        for s in found
        if (since is None or s.last >= since) and (to is None or to in {d.tag for d in s.to})
    ]


def _look(store: Database, world: World, channel: Channel) -> _Outbox:
    with store.reading() as tx:
        rows = ledger.departed.all(tx, folder=channel.id)
        recall = ledger.get_recall(tx, channel.id)
        known = ledger.confirmed(tx, channel.id)
    said = said_of(store, channel.team, channel.id)
    receivers = {m.tag for m in channel.team.members if _receives(world, channel, m.key)}
    tags = {m.key: m.tag for m in channel.team.members}
    return _Outbox(
        channel,
        rows,
        recall,
        {tags[key]: revision for key, revision in known.items() if key in tags},
        {tag: said.get(tag) for tag in receivers | said.keys()},
    )


def _receives(world: World, channel: Channel, key: str) -> bool:
    """Whether a member takes part so that what I send reaches it."""
    place = channel.team.id, channel.project
    return key != channel.owner.key and any(
        (s.team, s.project) == place and s.member == key and s.receives for s in world.subscriptions
    )


def _sent(box: _Outbox, row: Departed) -> Sent:
    mine = digest_of({r.item: r.revision for r in box.rows if not r.withdrawn})
    retractions = box.retractions
    to = []
    for tag, said in sorted(box.said.items()):
        has = bool(said and said.digest == mine) or box.known.get(tag, 0) >= row.revision
        gone = (row.item, row.withdrawn) in (said.carried_out(retractions) if said else ())
        to.append(Delivery(tag, has and not row.withdrawn, gone))
    return Sent(
        team=box.channel.team.name,
        project=box.channel.project,
        session=row.session,
        agent=row.agent,
        first=_moment(row.first),
        last=_moment(row.revision),
        size=row.size,
        cuts=row.redactions,
        to=tuple(to),
        withdrawn=_moment(row.withdrawn) if row.withdrawn else None,
    )


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
