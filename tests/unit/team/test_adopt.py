"""Rosters that arrive while a cycle reads and writes the metadata folder."""

import weakref
from pathlib import Path

import pytest

from karma_sync.domain.team.member import How, Removal
from karma_sync.paths import Paths, metadata_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.signing import PayloadType
from karma_sync.store import state, work
from karma_sync.team.adopt import Adopter
from karma_sync.team.context import TeamContext
from karma_sync.team.documents import folder as metadata
from karma_sync.team.documents.answers import member_document
from karma_sync.team.documents.folder import MetadataFolder
from karma_sync.team.documents.models import roster_of
from karma_sync.team.documents.stored import MEMBER, ROSTER
from karma_sync.team.documents.term import begin_term
from karma_sync.team.sign import Signer
from tests.support.builders import ALICE, BOB, CAROL, NOW, code_of, key_of, member_of, team_of_all

TEAM = team_of_all(ALICE, BOB)


class Machine:
    """The part of a member's machine that adopts and signs documents."""

    def __init__(self, home: Path, tag: str) -> None:
        paths = Paths.inside(home)
        paths.create()
        self.store = state.open_state(paths.state_db)
        events = work.open_work(paths.work_db)
        for database in (self.store, events):
            weakref.finalize(self, database.close)
        notes = EventLog(events, lambda: NOW)
        context = TeamContext(self.store, paths, code_of(tag), key_of(tag), notes, lambda: NOW)
        self.folder = paths.folder(metadata_folder(TEAM.id))
        metadata.prepare(self.folder)
        self.adopter, self.signer = Adopter(context), Signer(context)
        with self.store.transaction() as tx:
            state.teams.put(tx, TEAM)

    def roster(self, tag: str) -> Path:
        return self.folder / ROSTER / f"{key_of(tag).public}.json"

    def name(self) -> str:
        """The name of the team, as this member knows it."""
        with self.store.reading() as tx:
            team = state.teams.get(tx, TEAM.id)
        assert team is not None
        return team.name


def arrive(path: Path, content: bytes) -> None:
    """Put a file in place as Syncthing does."""
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def test_a_leader_deletes_no_roster_that_it_has_not_read(tmp_path: Path) -> None:
    alice = Machine(tmp_path, ALICE)
    alice.adopter.adopt_all(TEAM.id)
    arrive(alice.roster(BOB), b"perhaps the roster of a successor that took over")

    alice.signer.write_mine(TEAM.id)
    assert alice.roster(BOB).exists()

    alice.adopter.adopt_all(TEAM.id)
    alice.signer.write_mine(TEAM.id)
    assert not alice.roster(BOB).exists()


def test_a_roster_that_arrives_while_another_is_adopted_is_adopted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = Machine(tmp_path, BOB)
    first, second = (
        key_of(ALICE).sign(
            PayloadType.ROSTER,
            roster_of(TEAM.changed(name=name), version).model_dump_json().encode(),
        )
        for version, name in enumerate(("first", "second"), 1)
    )
    arrive(bob.roster(ALICE), first)
    forget = MetadataFolder.forget

    def meanwhile(folder: MetadataFolder) -> None:
        forget(folder)
        arrive(bob.roster(ALICE), second)

    monkeypatch.setattr(MetadataFolder, "forget", meanwhile)
    bob.adopter.adopt_all(TEAM.id)
    monkeypatch.undo()
    bob.adopter.adopt_all(TEAM.id)

    assert bob.name() == "second"


def test_nobody_leads_who_said_that_it_left_when_it_was_removed(tmp_path: Path) -> None:
    alice, (a, b, c) = Machine(tmp_path, ALICE), (key_of(tag) for tag in (ALICE, BOB, CAROL))
    named = begin_term(a, team_of_all(ALICE, BOB, CAROL), a.public, (b.public,))
    last = member_document(named, code_of(CAROL), (), 1).model_copy(update={"left": True})
    with alice.store.transaction() as tx:
        gone = Removal(how=How.REMOVED, at=1)
        state.teams.put(tx, named.remove(member_of(CAROL), gone))
    said = c.sign(PayloadType.MEMBER, last.model_dump_json().encode())
    arrive(alice.folder / MEMBER / f"{c.public}.json", said)
    alice.adopter.adopt_all(TEAM.id)

    taken = begin_term(b, named, b.public, ())
    handed = begin_term(b, taken, c.public, (), handed_by=b.public)
    roster = b.sign(PayloadType.ROSTER, roster_of(handed, 1).model_dump_json().encode())
    arrive(alice.roster(BOB), roster)
    for _ in range(2):
        alice.adopter.adopt_all(TEAM.id)

    with alice.store.reading() as tx:
        team = state.teams.get(tx, TEAM.id)
    assert team and team.leader == c.public
    assert team.member(c.public)
