"""A cycle makes Syncthing scan every document, also if Syncthing did not answer at first."""

from pathlib import Path

import pytest

from karma_sync.mesh.reconciler import Reconciler
from karma_sync.runtime.problems import Problems
from karma_sync.syncthing.configuration import Configuration
from karma_sync.syncthing.wire import PendingDevice, PendingFolder
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.stored import MEMBER, ROSTER
from karma_sync.team.exchange import DocumentExchange
from tests.unit.team.test_counters import A, Alice
from tests.unit.team.test_receipts import Deaf

MINE = [f"{kind}/{A.public}.json" for kind in (MEMBER, ROSTER)]


class Configured(Deaf):
    """A Syncthing that also keeps the configuration that it was given."""

    def __init__(self, context: TeamContext) -> None:
        super().__init__()
        me = context.me.device
        body = f'{{"devices": [{{"deviceID": "{me}"}}], "folders": []}}'
        self._configuration = Configuration.read(body.encode(), me, context.paths.folders)

    def configuration(self, root: Path) -> Configuration:
        assert root == self._configuration.root
        return self._configuration

    def put_configuration(self, configuration: Configuration) -> None:
        found = configuration.write()
        root = configuration.root
        self._configuration = Configuration.read(found, configuration.my_id, root)

    def dismiss_device(self, device: str) -> None:
        raise AssertionError(device)

    def pending_devices(self) -> list[PendingDevice]:
        return []

    def pending_folders(self) -> list[PendingFolder]:
        return []


@pytest.fixture
def alice(tmp_path: Path) -> Alice:
    return Alice(tmp_path)


def test_a_document_that_syncthing_did_not_look_at_is_told_again(alice: Alice) -> None:
    syncthing = Configured(alice.context)
    documents = DocumentExchange(alice.context, Problems(), Path("/nowhere"))
    reconciler = Reconciler(alice.context, syncthing, documents, lambda world: world)

    waits = [reconciler.run_once().again for _ in range(2)]
    syncthing.awake = True
    after = [reconciler.run_once().again for _ in range(2)]

    assert all(wait is not None and wait <= 5 for wait in waits)
    assert sorted(syncthing.told) == MINE
    assert after == [None, None]
