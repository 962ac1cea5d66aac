"""Behaviour of Syncthing that we rely on: its configuration."""

from dataclasses import replace

import pytest

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.errors import SyncthingRefused
from karma_sync.syncthing.configuration import with_changes
from tests.support.boxes import Boxes
from tests.support.builders import device_of

NO_DEVICES: frozenset[str] = frozenset()


def test_what_was_put_reads_back_equal(boxes: Boxes) -> None:
    """Devices and folders that were put are what the next reading shows, each folder sound."""
    a, b = boxes.a, boxes.b
    known = a.configuration
    other = Device(device_of("other"), "new name", ("tcp://127.0.0.1:9", "dynamic"))
    folders = {
        Folder("ks-c-put-1", FolderType.RECEIVE_ONLY, frozenset({b.id, other.id})),
        Folder("ks-c-put-2", FolderType.SEND_RECEIVE, NO_DEVICES, paused=True),
    }
    a.put(*folders, devices=[other])

    assert a.configuration.setup.folders == known.folders | folders
    assert a.configuration.devices == known.devices | {other}


def test_what_was_dropped_is_gone(boxes: Boxes) -> None:
    """A device that is dropped leaves the folders too; the files of a dropped folder stay."""
    a = boxes.a
    other = Device(device_of("gone"), "gone", ("dynamic",))
    kept, gone = boxes.offer(), boxes.offer()
    a.put(Folder(kept, FolderType.SEND_ONLY, frozenset({other.id})), devices=[other])
    a.write(gone, "file")
    a.client.put_configuration(
        with_changes(a.configuration, drop_devices=[other.id], drop_folders=[gone])
    )

    assert other not in a.configuration.devices
    assert a.folder(kept).devices == NO_DEVICES
    assert gone not in {folder.id for folder in a.configuration.folders}
    assert a.read(gone, "file") == "text"
    assert not a.path(gone, ".stfolder").exists()


def test_a_folder_loses_devices_that_are_not_in_the_configuration(boxes: Boxes) -> None:
    """It is accepted without them, and without a word."""
    folder = Folder("ks-c-loose", FolderType.SEND_ONLY, frozenset({device_of("nobody")}))
    boxes.a.put(folder)

    assert boxes.a.folder(folder.id) == replace(folder, devices=NO_DEVICES)


def test_a_folder_always_has_the_own_device(boxes: Boxes) -> None:
    """It is put back if it was left out."""
    name = boxes.offer()
    tree = boxes.a.tree
    for entry in tree["folders"]:
        entry["devices"] = [d for d in entry["devices"] if d["deviceID"] != boxes.a.id]
    boxes.a.put_tree(tree)

    assert boxes.a.folder(name).sound


def test_a_misspelt_type_means_sending_and_receiving(boxes: Boxes) -> None:
    """It is no error: what was written has to be read again."""
    name = boxes.offer()
    tree = boxes.a.tree
    for entry in tree["folders"]:
        entry["type"] = "bogus" if entry["id"] == name else entry["type"]
    boxes.a.put_tree(tree)

    assert boxes.a.folder(name).type is FolderType.SEND_RECEIVE


def test_unknown_fields_are_dropped_and_missing_ones_filled_in(boxes: Boxes) -> None:
    """A folder of an id and a path gets all that a folder has."""
    tree = boxes.a.tree
    path = str(boxes.a.root / "ks-c-bare")
    tree["folders"].append({"id": "ks-c-bare", "path": path, "bogus": 1})
    boxes.a.put_tree(tree)

    entry = boxes.a.entry("ks-c-bare")
    assert "bogus" not in entry
    assert entry["type"] == "sendreceive"
    assert entry["rescanIntervalS"] == 3600
    assert entry["markerName"] == ".stfolder"
    assert not entry["paused"]


def test_a_device_without_an_address_is_to_be_found(boxes: Boxes) -> None:
    """No addresses are the same as `dynamic`."""
    device = Device(device_of("lost"), "lost", ())
    boxes.a.put(devices=[device])

    assert replace(device, addresses=("dynamic",)) in boxes.a.configuration.devices


@pytest.mark.parametrize(
    "wrong",
    [
        {"devices": [{"deviceID": "junk"}]},
        {"folders": [{"id": "", "path": "/nowhere"}]},
        {"folders": [{"id": "ks-c-1", "path": ""}]},
        {"folders": [{"id": "ks-c-1", "path": "/no"}, {"id": "ks-c-1", "path": "/where"}]},
    ],
    ids=["malformed device", "no id", "no path", "twice the same id"],
)
def test_what_makes_no_sense_is_refused_as_a_whole(boxes: Boxes, wrong: dict[str, object]) -> None:
    """Nothing of it is taken."""
    before = boxes.a.configuration.setup
    with pytest.raises(SyncthingRefused) as refused:
        boxes.a.put_tree(boxes.a.tree | wrong)

    assert refused.value.status == 400
    assert boxes.a.configuration.setup == before


def test_a_new_folder_gets_its_directory_and_its_marker(boxes: Boxes) -> None:
    """One that is paused does not."""
    made, paused = boxes.offer(), "ks-c-sleeping"
    boxes.a.put(Folder(paused, FolderType.SEND_ONLY, NO_DEVICES, paused=True))

    assert boxes.a.path(made, ".stfolder").is_dir()
    assert not (boxes.a.root / paused).exists()
