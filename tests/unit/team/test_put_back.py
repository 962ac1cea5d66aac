"""Files of others that were deleted are put back after a while; what ended leaves nothing due."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from karma_sync.domain.team.member import How, Removal
from karma_sync.paths import Paths, metadata_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import Problems
from karma_sync.store import state, work
from karma_sync.store.database import Database
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.folder import prepare
from karma_sync.team.documents.stored import MEMBER
from karma_sync.team.exchange import DocumentExchange
from tests.support.builders import ALICE, BOB, NOW, NOW_MS, code_of, key_of, team_of_all

TEAM = team_of_all(ALICE, BOB)
ENVELOPE = b"what Bob signed"


class Alice:
    """Alice holds Bob's document; its file is not in the team's folder."""

    def __init__(self, paths: Paths, store: Database, log: Database) -> None:
        self.now = 0.0
        self.store = store
        self.folder = paths.folder(metadata_folder(TEAM.id))
        prepare(self.folder)
        (self.folder / ".stfolder").mkdir()
        bob = key_of(BOB).public
        self.file = self.folder / MEMBER / f"{bob}.json"
        with store.transaction() as tx:
            state.teams.put(tx, TEAM)
            held = state.Document(
                team=TEAM.id, kind=MEMBER, writer=bob, version=1, envelope=ENVELOPE
            )
            state.put_document(tx, held)
        events = EventLog(log, lambda: NOW)
        context = TeamContext(
            store, paths, code_of(ALICE), key_of(ALICE), events, lambda: NOW, lambda: self.now
        )
        problems = Problems(lambda folder: None)
        self._exchange = DocumentExchange(context, problems, paths.data)

    def waits(self) -> float | None:
        """Run once; how many seconds until a file is due to be put back, None if none is."""
        self._exchange.run()
        return self._exchange.wait

    def removes_bob(self) -> None:
        removal = Removal(how=How.LEFT, at=NOW_MS)
        gone = TEAM.members[1].changed(removal=removal)
        with self.store.transaction() as tx:
            state.teams.put(tx, TEAM.changed(members=TEAM.members[:1], removed=(gone,)))

    def leaves(self) -> None:
        with self.store.transaction() as tx:
            state.forget_team(tx, TEAM)

    def loses_the_marker(self) -> None:
        (self.folder / ".stfolder").rmdir()


@pytest.fixture
def alice(tmp_path: Path) -> Iterator[Alice]:
    paths = Paths.inside(tmp_path)
    paths.create()
    store, log = state.open_state(paths.state_db), work.open_work(paths.work_db)
    yield Alice(paths, store, log)
    store.close()
    log.close()


def test_a_missing_file_is_put_back_within_ten_seconds(alice: Alice) -> None:
    wait = alice.waits()
    assert wait is not None
    assert 1 <= wait <= 10
    assert not alice.file.exists()

    alice.now += wait
    assert alice.waits() is None
    assert alice.file.read_bytes() == ENVELOPE


def test_a_file_that_comes_back_by_itself_is_due_no_more(alice: Alice) -> None:
    assert alice.waits() is not None
    alice.file.parent.mkdir(exist_ok=True)
    alice.file.write_bytes(ENVELOPE)

    assert alice.waits() is None


@pytest.mark.parametrize("end", [Alice.removes_bob, Alice.leaves, Alice.loses_the_marker])
def test_nothing_is_due_where_nothing_is_put_back_any_more(
    alice: Alice, end: Callable[[Alice], None]
) -> None:
    assert alice.waits() is not None
    end(alice)
    alice.now += 60

    assert alice.waits() is None
