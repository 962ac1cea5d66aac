"""Reads the ledger of my closed channels: the sessions that left, and who has deleted them.

Receipts list open channels only. A receipt still confirms that a member carried out my decline: it
has seen my document that closed the channel, and it no longer lists the channel (ADR 19).
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
    """Everything that left through one closed channel.

    With `stays`, others keep it and I only send nothing more; else all of it is withdrawn. `had`
    maps the tag of each receiver to the revision up to which it confirmed everything, 0 if it
    confirmed nothing. `gone` holds the tags of the members that confirmed that nothing is left.
    `closed` is the time at which I signed the withdrawal (Unix milliseconds), None before that.
    """

    team: Team
    project: str
    rows: Sequence[Departed]
    stays: bool
    had: dict[str, int]
    gone: frozenset[str]
    closed: int | None


def closed_channels(states: Database, store: Database, world: World) -> list[Ended]:
    """Every closed channel through which something left, in the teams that I am in."""
    reader = _Reader(states, store, world)
    is_open = {channel.id for channel in outboxes(world)}
    with store.reading() as tx:
        rows = [row for row in ledger.departed.all(tx) if row.folder not in is_open]
    closed = [(folder, list(each)) for folder, each in groupby(rows, lambda row: row.folder)]
    teams = {team.id: team for team in world.teams}
    return [
        reader.read(teams[left[0].team], folder, left)
        for folder, left in closed
        if left[0].team in teams
    ]


@dataclass(frozen=True)
class _Reader:
    """Reads closed channels; `states` is state.db, `store` is work.db."""

    states: Database
    store: Database
    world: World

    def read(self, team: Team, folder: str, rows: Sequence[Departed]) -> Ended:
        """Everything that the databases hold about a closed channel with these ledger rows."""
        project, me = rows[0].project, self.world.key
        place = team.id, project
        answers = {s.member: s for s in self.world.subscriptions if (s.team, s.project) == place}
        mine = answers.get(me)
        stays = mine is not None and mine.engaged and channel_id(team, mine) == folder
        closed = None if stays else self._closing_version(team, folder, project)
        with self.store.reading() as tx:
            known = ledger.confirmed(tx, folder)
        had = known.keys() | {key for key, answer in answers.items() if answer.receives}
        return Ended(
            team=team,
            project=project,
            rows=rows,
            stays=stays,
            had={m.tag: known.get(m.key, 0) for m in team.everybody if m.key in had - {me}},
            gone=frozenset(self._confirmed_by(team, folder, closed) if closed else ()),
            closed=closed,
        )

    def _confirmed_by(self, team: Team, folder: str, closed: int) -> Iterator[str]:
        """Tags of the members whose receipt has seen the closing and does not list the channel.

        `closed` is the version of the document that closed it.
        """
        me = self.world.key
        with self.store.reading() as tx:
            receipts = work.receipts_of(tx, team.id)
        for signed in receipts:
            member = team.anybody(signed.writer)
            if member is None or signed.writer == me:
                continue
            receipt = stored_receipt(signed)
            seen = (s.version for s in receipt.seen if (s.kind, s.writer) == (MEMBER, me))
            if receipt.of(folder) is None and max(seen, default=0) >= closed:
                yield member.tag

    def _closing_version(self, team: Team, folder: str, project: str) -> int | None:
        """The version of my newest signed document if it closes this channel, else None.

        A project that was only offered again is not in the document: that withdraws nothing.
        """
        me = self.world.key
        with self.states.reading() as tx:
            known = state.documents(tx, team.id)
        signed = next((d for d in known if (d.kind, d.writer) == (MEMBER, me)), None)
        if signed is None:
            return None
        # imported here because `status` seldom needs it, and it makes the start slower
        from karma_sync.signing import PayloadType, read_accepted
        from karma_sync.team.documents.answers import answers_of
        from karma_sync.team.documents.models import MemberDocument

        document = read_accepted(signed.envelope, me, PayloadType.MEMBER, MemberDocument)
        answer = next((a for a in answers_of(document) if a.project == project), None)
        if answer is None or (answer.engaged and channel_id(team, answer) == folder):
            return None
        return document.version
