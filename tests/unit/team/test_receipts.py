"""My receipts: Syncthing scans each, also if it did not answer at first."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from karma_sync.errors import SyncthingUnreachable
from karma_sync.team import receipts
from karma_sync.team.documents.stored import RECEIPT
from tests.unit.team.test_counters import WORLD, A, Alice

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
