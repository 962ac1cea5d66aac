"""A cycle makes Syncthing scan every document, and writes its configuration in a good order."""

from pathlib import Path

import pytest

from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.mesh.reconciler import Reconciler
from karma_sync.paths import door_folder
from karma_sync.runtime.problems import Problems
from karma_sync.syncthing.configuration import Configuration, with_changes
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
        self.folders: list[set[str]] = []  # after each write

    def configuration(self, root: Path) -> Configuration:
        assert root == self._configuration.root
        return self._configuration

    def put_configuration(self, configuration: Configuration) -> None:
        found = configuration.write()
        root = configuration.root
        self._configuration = Configuration.read(found, configuration.my_id, root)
        self.folders.append({folder.id for folder in self._configuration.setup.folders})

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
    reconciler = Reconciler(alice.context, syncthing, documents, lambda world, _: world)

    waits = [reconciler.run_once().again for _ in range(2)]
    syncthing.awake = True
    after = [reconciler.run_once().again for _ in range(2)]

    assert all(wait is not None and wait <= 5 for wait in waits)
    assert sorted(syncthing.told) == MINE
    assert after == [None, None]


def test_folders_are_dropped_before_others_are_added(alice: Alice) -> None:
    """Syncthing says what it shares when it is done with all changes: the fewer, the better."""
    syncthing = Configured(alice.context)
    syncthing.awake = True
    gone = door_folder("0" * 64)
    place = alice.context.paths.folder(gone)
    folder = Folder(gone, FolderType.SEND_RECEIVE, frozenset())
    had = syncthing.configuration(alice.context.paths.folders)
    syncthing.put_configuration(with_changes(had, put_folders={folder: place}))
    documents = DocumentExchange(alice.context, Problems(), Path("/nowhere"))

    Reconciler(alice.context, syncthing, documents, lambda world, _: world).run_once()

    begun, dropped, added = syncthing.folders
    assert (begun, dropped) == ({gone}, set())
    assert added
    assert gone not in added
