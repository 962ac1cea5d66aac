"""A folder that Syncthing has given up filling, without a word, is noticed and filled again."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.mesh.health.stalls import Stall, Stalls
from karma_sync.paths import Paths
from karma_sync.syncthing.wire import FolderStatus, Needed
from tests.support.faults import immutable

FOLDER = Folder("ks-c-" + "a" * 26, FolderType.RECEIVE_ONLY, frozenset())
STANDS_STILL = FolderStatus(state="idle", needTotalItems=2)


@dataclass
class Syncthing:
    """A Syncthing with made-up answers about the files that a folder needs."""

    names: list[Needed] = field(default_factory=lambda: [Needed(name="items/a.ks")])
    connected: frozenset[str] = frozenset({"peer"})

    def needed(self, _folder: str, most: int = 1000) -> list[Needed]:
        return self.names[:most]

    def holders(self, _folder: str, _name: str) -> frozenset[str]:
        return self.connected


class Watch:
    """Stalls with a clock that a test sets."""

    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.syncthing = Syncthing()
        paths = Paths.inside(root)
        self.place = paths.folder(FOLDER.id)
        (self.place / "items").mkdir(parents=True)
        self.stalls = Stalls(self.syncthing, paths, lambda: self.now)

    def look(self, now: float, status: FolderStatus = STANDS_STILL) -> Stall:
        self.now = now
        return self.stalls.find(FOLDER, status)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_a_folder_that_stands_still_is_fetched_again_after_some_seconds(watch: Watch) -> None:
    assert watch.look(0.0) == Stall()
    assert watch.stalls.wait == 3.0
    assert watch.look(2.9) == Stall()

    assert watch.look(3.0) == Stall(pull=True)
    assert watch.look(4.0, FolderStatus(state="idle")) == Stall(), "it has everything"
    assert not watch.stalls.folders
    assert watch.stalls.wait is None


def test_a_folder_that_cannot_be_written_is_named_and_fetched_once_it_can_be(watch: Watch) -> None:
    watch.look(0.0)
    with immutable(watch.place / "items"):
        found = [watch.look(moment) for moment in (3.0, 5.0, 8.0)]
        watch.syncthing.connected = frozenset()
        found.append(watch.look(13.0))

    assert found == [Stall(f"{watch.place}/items cannot be written: Operation not permitted")] * 4
    assert watch.look(18.0) == Stall(pull=True)
    assert list((watch.place / "items").iterdir()) == []


def test_what_is_fetched_in_vain_is_a_fault_and_tried_less_often(watch: Watch) -> None:
    moments = [float(second) for second in range(400)]
    pulls = [moment for moment in moments if watch.look(moment).pull]

    assert pulls[:4] == [3.0, 6.0, 12.0, 24.0]
    assert {later - earlier for earlier, later in zip(pulls[5:], pulls[6:], strict=False)} == {60.0}
    assert watch.look(400.0).why == "Syncthing does not fetch 2 items that a connected device has"


@pytest.mark.parametrize(
    "status",
    [
        FolderStatus(state="idle"),
        FolderStatus(state="syncing", needTotalItems=2),
        FolderStatus(state="", needTotalItems=2),
    ],
)
def test_a_folder_that_is_busy_or_needs_nothing_has_not_stalled(
    watch: Watch, status: FolderStatus
) -> None:
    assert [watch.look(moment, status) for moment in (0.0, 60.0)] == [Stall()] * 2
    assert watch.stalls.folders == set()


def test_what_nobody_has_who_is_connected_is_waited_for(watch: Watch) -> None:
    watch.syncthing.connected = frozenset()

    assert [watch.look(moment) for moment in (0.0, 3.0, 60.0)] == [Stall()] * 3


def test_what_others_have_of_my_outbox_is_never_fetched(watch: Watch) -> None:
    mine = Folder(FOLDER.id, FolderType.SEND_ONLY, frozenset())

    assert watch.stalls.find(mine, STANDS_STILL) == Stall()
    assert watch.stalls.folders == set()
