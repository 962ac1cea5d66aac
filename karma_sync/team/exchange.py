"""Exchanges documents, phase 1 of a cycle: adopts those of others, signs and writes mine."""

import logging
from collections.abc import Iterable
from pathlib import Path

from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder
from karma_sync.runtime.problems import Problems
from karma_sync.runtime.timing import RETRY_S, soonest
from karma_sync.store import state
from karma_sync.team.adopt import Adopter
from karma_sync.team.context import TeamContext
from karma_sync.team.departures import Departures
from karma_sync.team.door import DoorKeeper, Visitor
from karma_sync.team.join import Joiner
from karma_sync.team.knock import JoinRequests
from karma_sync.team.policies import Policies
from karma_sync.team.put_back import HeldDocument, PutBack, counts
from karma_sync.team.rebuild import Rebuilder
from karma_sync.team.sign import Signer, Written

log = logging.getLogger(__name__)
_REPORTER = "documents"


class DocumentExchange:
    """Reads and writes the metadata folders of my teams and of teams that invite me."""

    def __init__(self, context: TeamContext, problems: Problems, home: Path) -> None:
        """`home` is the person's home."""
        self._context = context
        self._problems = problems
        self._adopter = Adopter(context)
        self._joiner = Joiner(context)
        self._signer = Signer(context)
        self._rebuilder = Rebuilder(context)
        self._put_back = PutBack(context)
        self._doors = DoorKeeper(context)
        self._join_requests = JoinRequests(context)
        self._departures = Departures(context)
        self._policies = Policies(context, home)
        self._first = True

    def run(self) -> list[Written]:
        """Handle all invitations, doors and teams once; returns the files that were written.

        The first call also finds teams that the database has lost.
        """
        if self._first:
            self._rebuilder.run()
            self._first = False
        with self._context.store.reading() as tx:
            invitations = state.invitations.all(tx)
        for invitation in invitations:
            self._joiner.process(invitation)
        at_doors = self._join_requests.run() + self._doors.run()
        self._policies.run()
        with self._context.store.reading() as tx:
            teams = state.teams.all(tx)
        self._put_back.begin_run()
        return [
            *at_doors,
            *(written for team in teams for written in self._team(team)),
            *self._departures.run(),
        ]

    def hear(
        self, visitors: Iterable[Visitor], offered: Iterable[tuple[str, str]]
    ) -> frozenset[str]:
        """As `DoorKeeper.hear`: the IDs of devices that have an invitation code of mine."""
        return self._doors.hear(visitors, offered)

    def _team(self, team: Team) -> list[Written]:
        """Handle one team; if its folder cannot be read or written, other teams go on."""
        folder_id, why = metadata_folder(team.id), ""
        written: list[Written] = []
        try:
            for mine in self._adopter.adopt_all(team.id):
                self._rebuilder.follow(team.id, mine)
            written = self._signer.write_mine(team.id) + self._put_files_back(team)
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
        if self._problems.report(_REPORTER, folder_id, why) and why:
            log.warning("documents of team %s are not exchanged: %s", team.name, why)
        return written

    def _put_files_back(self, team: Team) -> list[Written]:
        folder_id = metadata_folder(team.id)
        with self._context.store.reading() as tx:
            fresh = state.teams.get(tx, team.id)
            held = [
                HeldDocument(d.kind, d.writer, d.envelope)
                for d in state.documents(tx, team.id)
                if fresh and counts(fresh, d.kind, d.writer)
            ]
        names = self._put_back.put_back(folder_id, self._context.metadata(folder_id), held)
        return [Written(folder_id, name) for name in names]

    @property
    def wait(self) -> float | None:
        """Seconds until a deleted file is due to be put back, or a folder to be tried again."""
        return soonest(
            self._put_back.wait, RETRY_S if self._problems.reported_by(_REPORTER) else None
        )
