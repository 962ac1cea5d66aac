"""Answers of 2.1.3 that differ from those of 1.x, for machines that cannot run it.

Recorded at B, to which A sent two files in a receive-only folder: B could write the first, and not
the second, because nothing could be made in the directory. A also offers another folder.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.mesh.health.stalls import Stall, Stalls
from karma_sync.paths import Paths
from karma_sync.syncthing import wire
from karma_sync.syncthing.configuration import Configuration

RECORDED = Path(__file__).parent / "recorded" / "syncthing-2.1.3.json"
ROOT = Path("/home/karma/b/root")


@pytest.fixture(scope="module")
def recorded() -> Any:
    return json.loads(RECORDED.read_text())


def body(answer: object) -> bytes:
    return json.dumps(answer).encode()


def test_a_configuration_with_fields_of_v2_holds_all_that_was_asked_for(recorded: Any) -> None:
    found = Configuration.read(body(recorded["config"]), recorded["b"], ROOT)

    assert recorded["config"]["version"] == 52
    assert found.folders == {
        Folder(recorded["folder"], FolderType.RECEIVE_ONLY, frozenset({recorded["a"]}))
    }, "sound, too: every setting has our value"
    assert [device.id for device in found.devices] == [recorded["a"]]
    assert {entry["numConnections"] for entry in recorded["config"]["devices"]} >= {1}
    assert {entry["pullerDelayS"] for entry in recorded["config"]["folders"]} == {0}


def test_what_is_offered_is_read(recorded: Any) -> None:
    [offer] = wire.read_pending_folders(body(recorded["pending_folders"]))

    assert (offer.id, offer.offered_by) == (recorded["offered"], recorded["a"])
    assert wire.read_pending_devices(body(recorded["pending_devices"])) == []


def test_events_are_read_and_none_tells_of_the_file_that_could_not_be_made(recorded: Any) -> None:
    events = wire.read_events(body(recorded["events"]))
    finished = [each.item for each in events if each.type == "ItemFinished" and not each.error]
    states = [each.state for each in events if each.type == "StateChanged"]

    assert finished == ["items", "items/a.ks"]
    assert states[-2:] == ["syncing", "idle"]
    assert "FolderErrors" not in {each.type for each in events}


def test_a_need_without_errors_is_taken_for_a_folder_that_stands_still(
    recorded: Any, tmp_path: Path
) -> None:
    answers = recorded["need_without_errors"]
    status = wire.read_folder_status(body(answers["status"]))
    needed = wire.read_needed(body(answers["need"]))
    holders = wire.read_holders(body(answers["file"]))

    class Answers:
        def needed(self, folder: str, most: int = 1000) -> list[wire.Needed]:
            return needed[:most]

        def holders(self, folder: str, name: str) -> frozenset[str]:
            return holders

    moments = iter([0.0, 10.0])
    stalls = Stalls(Answers(), Paths.inside(tmp_path), lambda: next(moments))
    folder = Folder("ks-c-" + "a" * 26, FolderType.RECEIVE_ONLY, frozenset())

    assert (status.state, status.need_items, status.pull_errors, status.error) == ("idle", 1, 0, "")
    assert wire.read_folder_errors(body(answers["errors"])) == []
    assert [each.name for each in needed] == ["items/b.ks"]
    assert holders == {recorded["a"]}
    assert [stalls.find(folder, status), stalls.find(folder, status)] == [Stall(), Stall(pull=True)]
