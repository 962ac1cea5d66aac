"""An event of Syncthing wakes the thread that reads that kind of folder, and no other."""

from pathlib import Path
from typing import cast

import pytest

from karma_sync.daemon.signals import Requests, Signals
from karma_sync.mesh.connections import Connections
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.paths import Paths

CHANNEL, *DOCUMENTS = (f"ks-{kind}-" + "a" * 26 for kind in "cmdr")


def signals_of(home: Path) -> tuple[Signals, Requests]:
    requests = Requests.of(lambda path: path)
    unused = cast("Connections", None), cast("Recovery", None)
    return Signals(Paths.inside(home), requests, *unused), requests


@pytest.mark.parametrize("folder", DOCUMENTS)
def test_a_document_that_came_wakes_the_cycle(folder: str, tmp_path: Path) -> None:
    signals, requests = signals_of(tmp_path)

    signals.item_finished(folder, "offer.json")

    assert requests.cycle.wait(0)
    assert not requests.receiving.wait(0)


def test_an_item_that_came_wakes_the_receiver(tmp_path: Path) -> None:
    signals, requests = signals_of(tmp_path)

    signals.item_finished(CHANNEL, "items/a.json")

    assert requests.receiving.wait(0)
    assert not requests.cycle.wait(0)


@pytest.mark.parametrize("folder", DOCUMENTS[1:])
def test_a_file_of_mine_that_somebody_deleted_wakes_the_cycle(folder: str, tmp_path: Path) -> None:
    signals, requests = signals_of(tmp_path)

    signals.local_index_updated(folder, ["removal.json"])

    assert requests.cycle.wait(0)
