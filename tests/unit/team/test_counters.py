"""Version counters: others' receipts restore a lost one, and cannot use one up."""

import hashlib
import json
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import World
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Team
from karma_sync.paths import Paths, metadata_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.signing import PayloadType
from karma_sync.store import library, state, work
from karma_sync.syncthing.rescan import Scan
from karma_sync.team.context import TeamContext
from karma_sync.team.documents import folder as metadata
from karma_sync.team.documents.models import MemberDocument
from karma_sync.team.documents.receipt import Receipt
from karma_sync.team.documents.stored import MEMBER, RECEIPT
from karma_sync.team.documents.verify import verify_member
from karma_sync.team.receipts import ReceiptHooks, Receipts
from karma_sync.team.sign import Signer
from tests.support.builders import (
    ALICE,
    BOB,
    NOW,
    NOW_MS,
    PROJECT,
    code_of,
    key_of,
    team_of_all,
)

TEAM = team_of_all(ALICE, BOB)
A, B = key_of(ALICE), key_of(BOB)
WORLD = World(key=A.public, teams=(TEAM,), subscriptions=())


class Alice:
    """The part of her machine that signs documents."""

    def __init__(
        self, home: Path, scan: Scan = lambda folder, names: None, team: Team = TEAM
    ) -> None:
        self.team = team
        paths = Paths.inside(home)
        paths.create()
        self.store = state.open_state(paths.state_db)
        events = work.open_work(paths.work_db)
        notes = EventLog(events, lambda: NOW)
        self.seconds = 1000.0
        context = TeamContext(
            self.store, paths, code_of(ALICE), A, notes, lambda: NOW, lambda: self.seconds
        )
        self.context = context
        items = library.open_library(paths.library_db)
        for database in (self.store, events, items):
            weakref.finalize(self, database.close)
        self.folder = paths.folder(metadata_folder(team.id))
        metadata.prepare(self.folder)
        self.signer = Signer(context)
        self.receipts = Receipts(context, events, items, scan, ReceiptHooks())
        with self.store.transaction() as tx:
            state.teams.put(tx, team)

    def cycle(self) -> int:
        """Sign what changed; returns the version that others would adopt."""
        self.signer.write_mine(self.team.id)
        raw = (self.folder / MEMBER / f"{A.public}.json").read_bytes()
        return verify_member(raw, A.public, self.team, 0).value.version

    def last(self) -> MemberDocument:
        """The last document that she signs as a removed member."""
        with self.store.transaction() as tx:
            signed = Signer(self.context).sign_last(tx, self.team.id)
        assert signed
        return verify_member(signed.envelope, A.public, self.team, 0).value

    def hear(self, version: int, digest: str = "0" * 64) -> None:
        """Put in Bob's receipt that he saw this version of her document."""
        seen = {"kind": MEMBER, "writer": A.public, "version": version, "sha256": digest}
        receipt = Receipt(team=self.team.id, writer=B.public, version=version, channels=())
        payload = receipt.to_fields() | {"seen": [seen]}
        place = self.folder / RECEIPT
        place.mkdir(exist_ok=True)
        raw = B.sign(PayloadType.RECEIPT, json.dumps(payload).encode())
        (place / f"{B.public}.json").write_bytes(raw)
        self.receipts.run(replace(WORLD, teams=(self.team,)))


@pytest.fixture
def alice(tmp_path: Path) -> Alice:
    return Alice(tmp_path)


def test_a_counter_that_was_lost_goes_on_above_what_others_saw(alice: Alice) -> None:
    assert alice.cycle() == NOW_MS
    alice.hear(NOW_MS + 1_000)
    assert alice.cycle() == NOW_MS, "first the others may bring the later document back"
    alice.seconds += 60

    assert alice.cycle() == NOW_MS + 1_001
    assert alice.cycle() == NOW_MS + 1_001
    alice.hear(NOW_MS + 2_000)
    assert alice.cycle() == NOW_MS + 2_001, "nobody can make her wait again"


def test_what_is_said_last_waits_for_no_later_document(alice: Alice) -> None:
    alice.cycle()
    alice.hear(NOW_MS + 1_000)
    unchanged = alice.last()
    answer = Subscription(team=TEAM.id, project=PROJECT, member=A.public, withdrawn=1)
    with alice.store.transaction() as tx:
        state.subscriptions.put(tx, answer)

    assert unchanged.version == NOW_MS, "a later one that others have counts"
    assert alice.last().version == NOW_MS + 1_001, "she takes something back, and is removed"


def test_a_member_that_waits_stays_until_the_others_have_its_leaving(tmp_path: Path) -> None:
    alice = Alice(tmp_path, team=team_of_all(BOB, ALICE))
    alice.cycle()
    alice.hear(NOW_MS + 1_000)
    with alice.store.transaction() as tx:
        left = alice.team.leave(A.public, NOW_MS, retracted=True)
        state.teams.put(tx, left)
    alice.hear(NOW_MS + 1_001)
    for _ in range(2):
        alice.signer.write_mine(alice.team.id)
        alice.seconds += 60

    raw = (alice.folder / MEMBER / f"{A.public}.json").read_bytes()
    document = verify_member(raw, A.public, alice.team, NOW_MS + 1_001).value
    assert document.left
    assert document.retracted
    alice.hear(document.version, hashlib.sha256(raw).hexdigest())
    with alice.store.reading() as tx:
        assert state.teams.all(tx) == []


def test_nobody_can_use_up_my_counter(alice: Alice) -> None:
    alice.cycle()
    alice.hear(limits.NUMBER)

    for _ in range(2):
        assert NOW_MS <= alice.cycle() < limits.NUMBER
