"""My receipts: Syncthing scans each, also if it did not answer at first."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from karma_sync.domain.mesh.channels import World
from karma_sync.domain.team.member import How, Removal
from karma_sync.errors import SyncthingUnreachable
from karma_sync.signing import PayloadType
from karma_sync.team import receipts
from karma_sync.team.documents.receipt import (
    Imported,
    Receipt,
    channel_receipt,
    fitting,
    seen,
)
from karma_sync.team.documents.stored import RECEIPT
from tests.unit.team.test_counters import TEAM, WORLD, A, Alice, B

MINE = f"{RECEIPT}/{A.public}.json"


class Deaf:
    """A Syncthing that does not answer until it is `awake`; `told` are the names it scanned."""

    def __init__(self) -> None:
        self.awake = False
        self.told: list[str] = []

    def scan(self, _folder: str, names: Sequence[str]) -> None:
        if not self.awake:
            raise SyncthingUnreachable("Syncthing does not answer")
        self.told += names


def test_a_receipt_that_syncthing_did_not_look_at_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    syncthing = Deaf()
    alice = Alice(tmp_path, syncthing.scan)
    caplog.set_level(logging.WARNING)

    waits = [alice.receipts.run(WORLD) for _ in range(2)]
    syncthing.awake = True
    alice.receipts.run(WORLD)
    alice.receipts.run(WORLD)

    assert all(wait is not None and wait <= receipts.EVERY_S for wait in waits)
    assert syncthing.told == [MINE]
    assert len(caplog.records) == 1, "an outage is logged once"


def test_nothing_waits_for_the_receipt_of_a_member_that_went(tmp_path: Path) -> None:
    alice = Alice(tmp_path)
    (alice.folder / ".stfolder").mkdir()
    alice.receipts.run(WORLD)
    alice.hear(7)
    alice.receipts.run(WORLD)
    (alice.folder / RECEIPT / f"{B.public}.json").unlink()
    alice.receipts.run(WORLD)
    gone = TEAM.members[1].changed(removal=Removal(how=How.LEFT, at=1))
    alone = TEAM.changed(members=TEAM.members[:1], removed=(gone,))
    after = World(key=A.public, teams=(alone,), subscriptions=())

    waits = [alice.receipts.run(after), alice.receipts.run(World(A.public, (), ()))]
    assert [wait for wait in waits if wait is not None and wait < receipts.EVERY_S / 2] == []
    assert alice.receipts.run(World(A.public, (), ())) is None


@pytest.mark.parametrize(("members", "most"), [(2, 256_000), (50, 120_000), (100, 60_000)])
def test_a_receipt_lists_as_many_channels_as_the_receipts_of_all_have_room_for(
    members: int, most: int
) -> None:
    channels = [
        channel_receipt(f"ks-c-{number:0>26}", Imported({f"{number:032x}": 10**12 + number}))
        for number in range(1_500)
    ]
    saw = tuple(seen("member", f"{number:064x}", 10**12, b"") for number in range(members + 1))
    found = fitting(channels, len(saw), members)
    receipt = Receipt(team="t" * 26, writer="a" * 64, version=10**12, channels=found, seen=saw)
    size = len(A.sign(PayloadType.RECEIPT, receipt.to_json().encode()))

    assert most * 0.85 < size <= most or len(found) == 1_000
    assert list(found) == sorted(found, key=lambda c: c.folder)
    left_out = {c.revision for c in channels} - {c.revision for c in found}
    assert max(left_out) < min(c.revision for c in found), "the newest are listed"
    assert len(found[0].to_json()) < 200, "what is not told takes no room"
