"""Channels of mine that are closed: what left through them stays with others, or was withdrawn.

Receipts speak of open channels only. That a decline was carried out they say all the same: in one
that has seen the document which closed the channel, and no longer lists it (ADR 19).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from karma_sync.domain.mesh.channels import World, channel_id, outboxes
from karma_sync.domain.team.team import Team
from karma_sync.store import ledger, state, work
from karma_sync.store.database import Database
from karma_sync.store.ledger import Departed
from karma_sync.team.documents.stored import MEMBER, stored_receipt


@dataclass(frozen=True)
class Ended:
    """What left through a closed channel.

    Withdrawn as a whole, unless it `stays`: then I only send no more. `had` is, by member tag, up
    to which revision somebody confirmed everything, 0 if nothing; `gone` are the tags of who
    confirmed that nothing is left; `closed` is when I signed that it is withdrawn (Unix
    milliseconds), None if that is not signed.
    """

    team: Team
    project: str
    rows: Sequence[Departed]
    stays: bool
    had: dict[str, int]
    gone: frozenset[str]
    closed: int | None


def ended(states: Database, store: Database, world: World) -> list[Ended]:
    """Every closed channel through which something left, of teams that I am in."""
    look = _Look(states, store, world)
    is_open = {channel.id for channel in outboxes(world)}
    with store.reading() as tx:
        rows = [row for row in ledger.departed.all(tx) if row.folder not in is_open]
    closed = [(folder, list(each)) for folder, each in groupby(rows, lambda row: row.folder)]
    teams = {team.id: team for team in world.teams}
    return [
        look.at(teams[left[0].team], folder, left)
        for folder, left in closed
        if left[0].team in teams
    ]


@dataclass(frozen=True)
class _Look:
    """What is looked at; `states` is state.db, `store` is work.db."""

    states: Database
    store: Database
    world: World

    def at(self, team: Team, folder: str, rows: Sequence[Departed]) -> Ended:
        """All that is known of a closed channel."""
        project, me = rows[0].project, self.world.key
        place = team.id, project
        answers = {s.member: s for s in self.world.subscriptions if (s.team, s.project) == place}
        mine = answers.get(me)
        stays = mine is not None and mine.engaged and channel_id(team, mine) == folder
        closed = None if stays else self._closed_by(team, folder, project)
        with self.store.reading() as tx:
            known = ledger.confirmed(tx, folder)
        had = known.keys() | {key for key, answer in answers.items() if answer.receives}
        return Ended(
            team=team,
            project=project,
            rows=rows,
            stays=stays,
            had={m.tag: known.get(m.key, 0) for m in team.members if m.key in had - {me}},
            gone=frozenset(self._gone(team, folder, closed) if closed else ()),
            closed=closed,
        )

    def _gone(self, team: Team, folder: str, closed: int) -> Iterator[str]:
        """Tags of members whose receipt has seen that it is closed, and does not list it."""
        me = self.world.key
        with self.store.reading() as tx:
            receipts = work.receipts_of(tx, team.id)
        for signed in receipts:
            member = team.member(signed.writer)
            if member is None or signed.writer == me:
                continue
            receipt = stored_receipt(signed)
            seen = (s.version for s in receipt.seen if (s.kind, s.writer) == (MEMBER, me))
            if receipt.of(folder) is None and max(seen, default=0) >= closed:
                yield member.tag

    def _closed_by(self, team: Team, folder: str, project: str) -> int | None:
        """The version of my newest document, if it says that this channel is over; None if not.

        A project that is merely offered again is not listed in it, and withdraws nothing.
        """
        me = self.world.key
        with self.states.reading() as tx:
            known = state.documents(tx, team.id)
        signed = next((d for d in known if (d.kind, d.writer) == (MEMBER, me)), None)
        if signed is None:
            return None
        from karma_sync.signing import PayloadType, accepted
        from karma_sync.team.documents.models import MemberDocument, answers_of

        document = accepted(signed.envelope, me, PayloadType.MEMBER, MemberDocument)
        answer = next((a for a in answers_of(document) if a.project == project), None)
        if answer is None or (answer.engaged and channel_id(team, answer) == folder):
            return None
        return document.version
