"""A folder whose directory or marker is gone is made again as the kind that it is."""

import shutil
from pathlib import Path
from typing import cast

from karma_sync.domain.mesh.channels import Device, NoticeFolder, World
from karma_sync.mesh.health.folder_health import Faults, FolderHealth, HealthHooks
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.paths import Paths, removal_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import Problems
from karma_sync.store import events, work
from karma_sync.syncthing.wire import FolderError, FolderStatus, Needed
from karma_sync.team.departures import IGNORES
from tests.support.builders import ALICE, BOB, NOW, device_of, key_of, team_of_all

TEAM = team_of_all(ALICE)
FOLDER = removal_folder(TEAM.id, key_of(BOB).public, 0)
NOTICE = NoticeFolder(FOLDER, Device(device_of(BOB), BOB, ("dynamic",)))
WORLD = World(
    key=key_of(ALICE).public, teams=(TEAM,), subscriptions=(), notices=frozenset({NOTICE})
)


class Looking:
    """A Syncthing that stops each folder without a marker, until it is told to scan it."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def folder_status(self, folder: str) -> FolderStatus:
        if (self._paths.folder(folder) / ".stfolder").is_dir():
            return FolderStatus(state="idle")
        return FolderStatus(state="error", error="folder marker missing")

    def folder_errors(self, folder: str) -> list[FolderError]:
        raise AssertionError(folder)

    def scan(self, folder: str) -> None:
        pass

    def revert(self, folder: str) -> None:
        raise AssertionError(folder)

    def restart(self, folder: str) -> None:
        raise AssertionError(folder)

    def needed(self, folder: str, most: int = 1000) -> list[Needed]:
        return []

    def holders(self, folder: str, name: str) -> frozenset[str]:
        return frozenset()


class NoOutboxes:
    """The recovery of one who sends nothing."""

    def check(self, world: World, turn: object) -> set[str]:
        return set()


def test_the_folder_of_a_notice_gets_its_own_allow_list_again(tmp_path: Path) -> None:
    paths = Paths.inside(tmp_path)
    paths.create()
    store = work.open_work(paths.work_db)
    faults = Faults(store, EventLog(store, lambda: NOW), Problems())
    recovery = cast("Recovery", NoOutboxes())
    health = FolderHealth(Looking(paths), paths, recovery, faults, HealthHooks(()))
    shutil.rmtree(paths.folder(FOLDER), ignore_errors=True)

    health.check(WORLD, [FOLDER])

    found = {path.name for path in paths.folder(FOLDER).iterdir()}
    with store.reading() as tx:
        told = [(e.type, e.subject) for e in events.after(tx, 0)]
    store.close()
    assert found == {".stignore", ".stfolder"}
    assert (paths.folder(FOLDER) / ".stignore").read_text(encoding="utf-8") == IGNORES
    assert told == [("mended", "the notice to a removed member")]


class FillingUp(Looking):
    """A Syncthing with a folder that stands still, and fails when the disk is full."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths)
        self.is_full = False

    def folder_status(self, folder: str) -> FolderStatus:
        if self.is_full:
            return FolderStatus(state="error", error="insufficient space on disk")
        return FolderStatus(state="idle", needTotalItems=1)


def test_a_folder_that_stood_still_before_it_failed_is_tried_no_more_often_than_others(
    tmp_path: Path,
) -> None:
    paths, now = Paths.inside(tmp_path), [0.0]
    paths.create()
    store = work.open_work(paths.work_db)
    faults = Faults(store, EventLog(store, lambda: NOW), Problems())
    syncthing = FillingUp(paths)
    hooks = HealthHooks((), lambda: now[0])
    health = FolderHealth(syncthing, paths, cast("Recovery", NoOutboxes()), faults, hooks)

    def wait_after_a_check(at: float, *, is_full: bool) -> float | None:
        now[0], syncthing.is_full = at, is_full
        health.check(WORLD, [FOLDER])
        return health.wait

    assert wait_after_a_check(0.0, is_full=False) == 3.0
    assert wait_after_a_check(10.0, is_full=True) is None
    assert health.has_faults  # which is what it is tried again for
    assert wait_after_a_check(20.0, is_full=False) == 3.0
    store.close()
