"""Lists every session that left, for people: its receivers, their receipts, and its present state.

It is computed from the ledger in work.db and from the members' receipts at each call.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from karma_sync.domain.mesh.channels import World, outboxes
from karma_sync.sending.ledger.closed_channels import Ended, closed_channels
from karma_sync.sending.ledger.recalls import Box, moment, read_box
from karma_sync.store.database import Database
from karma_sync.store.ledger import Departed


class Fate(StrEnum):
    """The fate of a session that left."""

    OUT = "out"  # the others have it, and get later additions too
    STAYS = "stays"  # the others have it; nothing more of the project leaves
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Delivery:
    """One receiver of a session: whether it confirmed the newest revision, or the deletion."""

    tag: str
    confirmed: bool
    gone: bool


@dataclass(frozen=True)
class SentSession:
    """One session in the ledger; times are UTC, `size` is bytes before compression.

    Where a database was lost and only the retraction is known, `session` and `agent` are empty and
    `size` is None. `withdrawn` is None for a session that stays, and also where the whole project
    was withdrawn.
    """

    team: str
    project: str
    session: str
    agent: str
    first: datetime
    last: datetime
    size: int | None
    cuts: dict[str, int]
    to: tuple[Delivery, ...]
    withdrawn: datetime | None
    state: Fate


def sent_sessions(states: Database, store: Database, world: World) -> list[SentSession]:
    """Every session that left through my channels, open and closed, the latest first."""
    found = [
        _sent(box, row)
        for channel in outboxes(world)
        for box in [read_box(store, world, channel)]
        for row in box.rows
    ]
    found += [
        _sent_before(each, row)
        for each in closed_channels(states, store, world)
        for row in each.rows
    ]
    return sorted(found, key=lambda s: (s.last, s.session), reverse=True)


def filtered(
    found: Iterable[SentSession], since: datetime | None = None, to: str | None = None
) -> list[SentSession]:
    """The sessions that left at or after `since` and went to the member `to`."""
    return [
        s
        for s in found
        if (since is None or s.last >= since) and (to is None or to in {d.tag for d in s.to})
    ]


def _sent(box: Box, row: Departed) -> SentSession:
    mine = {r.item: r.revision for r in box.rows if not r.withdrawn}
    retractions = box.retractions
    to = []
    for tag, said in sorted(box.said.items()):
        has = bool(said and said.has_all(mine)) or box.known.get(tag, 0) >= row.revision
        gone = (row.item, row.withdrawn) in (said.carried_out(retractions) if said else ())
        to.append(Delivery(tag, has and not row.withdrawn, gone))
    fate = Fate.WITHDRAWN if row.withdrawn else Fate.OUT
    return _row(row, box.channel.team.name, box.channel.project, to, fate)


def _sent_before(found: Ended, row: Departed) -> SentSession:
    """A session that left through a channel that is closed now.

    What a member confirmed before still holds: that it has the session, or deleted it.
    """
    stays = found.stays and not row.withdrawn
    to = []
    for tag, had in sorted(found.had.items()):
        gone = tag in found.gone or 0 < row.withdrawn <= had
        has = had >= row.revision and not row.withdrawn and not gone
        to.append(Delivery(tag, has, gone))
    return _row(row, found.team.name, found.project, to, Fate.STAYS if stays else Fate.WITHDRAWN)


def _row(
    row: Departed, team: str, project: str, to: Iterable[Delivery], state: Fate
) -> SentSession:
    return SentSession(
        team=team,
        project=project,
        session=row.session,
        agent=row.agent,
        first=moment(row.first),
        last=moment(row.revision),
        size=row.size or None,
        cuts=row.redactions,
        to=tuple(to),
        withdrawn=moment(row.withdrawn) if row.withdrawn else None,
        state=state,
    )
