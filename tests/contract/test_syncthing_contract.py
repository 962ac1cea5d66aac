"""What we rely on Syncthing for; the one in memory and the real ones keep the same promises."""

import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.errors import SyncthingRefused, SyncthingUnreachable
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.configuration import with_changes, with_ignored
from tests.support.boxes import Boxes, memory_boxes, real_boxes
from tests.support.builders import device_of
from tests.support.harness import programs
from tests.support.memory_syncthing import MemorySyncthing

UNKNOWN = "ks-c-unknown"
NO_DEVICES: frozenset[str] = frozenset()


def real_programs() -> list[Path]:
    """The Syncthings that the tests run with, and a third if the environment names one."""
    third = os.environ.get("KARMA_SYNC_SYNCTHING_3")
    return [*programs(), *([Path(third)] if third else [])]


def implementations() -> list[object]:
    """The one in memory, and each program; all but the first in the slow tests only."""
    marks = [[pytest.mark.daemon], [pytest.mark.daemon, pytest.mark.slow]]
    real = [
        pytest.param(program, id=f"program-{number}", marks=marks[min(number, 2) - 1])
        for number, program in enumerate(real_programs(), start=1)
    ]
    return [pytest.param(None, id="memory"), *real]


@pytest.fixture(scope="module", params=implementations())
def boxes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Boxes]:
    """Three machines, for all tests of this module."""
    where = tmp_path_factory.mktemp("boxes")
    made = real_boxes(request.param, where) if request.param else memory_boxes(where)
    with made as found:
        yield found


def public_methods(kind: type) -> dict[str, inspect.Signature]:
    """What can be called on objects of this class, and how."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(f) for name, f in found if not name.startswith("_")}


def test_the_one_in_memory_is_called_just_as_the_client_of_a_real_one() -> None:
    """Each public method is there, with the same parameters and the same result."""
    client, memory = public_methods(SyncthingClient), public_methods(MemorySyncthing)

    assert client.items() <= memory.items()


# The configuration.


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


# Files.


def test_a_scanned_file_arrives_where_the_folder_is_shared(boxes: Boxes) -> None:
    """With its content and its time; nothing unfinished lies beside it."""
    a, b = boxes.a, boxes.b
    name = boxes.share()
    boxes.send(name, "items/one")
    boxes.until(lambda: b.client.folder_status(name).need_items == 0)

    there = b.path(name, "items/one")
    assert there.stat().st_mtime_ns == a.path(name, "items/one").stat().st_mtime_ns
    assert [path.name for path in there.parent.iterdir()] == ["one"]


def test_what_was_there_before_it_was_shared_arrives(boxes: Boxes) -> None:
    """A folder is scanned as soon as it is put."""
    a, b = boxes.a, boxes.b
    a.path("ks-c-older", "items").mkdir(parents=True)
    a.path("ks-c-older", "items/old").write_text("old")
    a.put(Folder("ks-c-older", FolderType.SEND_ONLY, frozenset({b.id})))
    b.put(Folder("ks-c-older", FolderType.RECEIVE_ONLY, frozenset({a.id})))

    boxes.until(lambda: b.read("ks-c-older", "items/old") == "old")


def test_a_file_that_changed_is_replaced(boxes: Boxes) -> None:
    """The newer content takes the place of the older."""
    name = boxes.share()
    boxes.send(name, "file", text="first")
    boxes.send(name, "file", text="second, longer")

    boxes.until(lambda: boxes.b.client.folder_status(name).need_items == 0)
    assert boxes.b.client.folder_status(name).global_files == 1


def test_a_file_that_was_deleted_is_deleted_at_the_receiver(boxes: Boxes) -> None:
    """So is a directory, with what was in it; the rest stays."""
    name = boxes.share()
    boxes.send(name, "gone", "dir/gone", "kept")
    boxes.a.path(name, "gone").unlink()
    boxes.a.path(name, "dir/gone").unlink()
    boxes.a.path(name, "dir").rmdir()
    boxes.a.client.scan(name)

    boxes.until(lambda: not boxes.b.path(name, "dir").exists())
    boxes.until(lambda: not boxes.b.path(name, "gone").exists())
    assert boxes.b.read(name, "kept") == "text"


def test_a_scan_of_some_names_looks_at_nothing_else(boxes: Boxes) -> None:
    """Not at files beside them; names that are not there, or outside, do no harm."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.a.path(name, "unseen").write_text("unseen")
    boxes.a.write(name, "second")
    boxes.a.client.scan(name, ["not/there"])

    boxes.until(lambda: boxes.b.read(name, "second") == "text")
    assert boxes.a.client.folder_status(name).global_files == 2
    assert not boxes.b.path(name, "unseen").exists()


def test_what_is_not_on_the_allow_list_is_not_sent(boxes: Boxes) -> None:
    """Nor is the list itself."""
    name = boxes.share()
    boxes.a.path(name, ".stignore").write_text("!/items/*.ks\n/items/**\n!/items\n*\n")
    boxes.a.client.scan(name)
    boxes.a.write(name, "stray", "items/stray", "other/x.ks")
    boxes.send(name, "items/x.ks")

    assert [path.name for path in boxes.b.path(name, "items").iterdir()] == ["x.ks"]
    assert {p.name for p in (boxes.b.root / name).iterdir()} == {".stfolder", "items"}


def test_what_is_not_on_the_receivers_allow_list_is_not_pulled(boxes: Boxes) -> None:
    """It counts as needed by nobody."""
    name = boxes.offer()
    (boxes.b.root / name).mkdir()
    boxes.b.path(name, ".stignore").write_text("!/*.ks\n*\n")
    boxes.b.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({boxes.a.id})))
    boxes.a.write(name, "stray")
    boxes.send(name, "x.ks")

    boxes.until(lambda: boxes.b.client.folder_status(name).need_items == 0)
    boxes.until(lambda: boxes.a.client.completion(name, boxes.b.id).need_items == 0)
    assert not boxes.b.path(name, "stray").exists()


def test_what_is_ignored_afterwards_does_not_count(boxes: Boxes) -> None:
    """It stays where it lies; nobody lacks anything because of it."""
    b = boxes.b
    name = boxes.share()
    boxes.send(name, "dir/stray", "kept")
    boxes.until(lambda: b.client.folder_status(name).need_items == 0)
    b.path(name, ".stignore").write_text("dir\n")
    b.client.scan(name)

    assert b.client.folder_status(name).local_bytes == len("text")
    assert b.client.folder_status(name).receive_only_changed == 0
    boxes.until(lambda: boxes.a.client.completion(name, b.id).need_items == 0)
    assert b.read(name, "dir/stray") == "text"


def test_a_file_that_was_renamed_is_renamed_at_the_receiver(boxes: Boxes) -> None:
    """The old name goes, the new one comes."""
    name = boxes.share()
    boxes.send(name, "old", text="moved")
    boxes.a.path(name, "new").parent.mkdir(exist_ok=True)
    boxes.a.path(name, "old").rename(boxes.a.path(name, "new"))
    boxes.a.client.scan(name)

    boxes.until(lambda: boxes.b.read(name, "new") == "moved")
    boxes.until(lambda: not boxes.b.path(name, "old").exists())


def test_a_file_may_become_a_directory_and_a_directory_a_file(boxes: Boxes) -> None:
    """What was there gives way to what is of another kind."""
    name = boxes.share()
    boxes.send(name, "one", "two/file")
    boxes.a.path(name, "one").unlink()
    boxes.a.path(name, "two/file").unlink()
    boxes.a.path(name, "two").rmdir()
    boxes.a.path(name, "two").write_text("a file")
    boxes.a.path(name, "one").mkdir()
    boxes.a.path(name, "one/file").write_text("in it")
    boxes.a.client.scan(name)

    boxes.until(lambda: boxes.b.read(name, "one/file") == "in it")
    boxes.until(lambda: boxes.b.read(name, "two") == "a file")


def test_a_directory_that_is_not_empty_at_the_receiver_stays_there(boxes: Boxes) -> None:
    """What the receiver put into it is not deleted with it."""
    name = boxes.share()
    boxes.send(name, "dir/file")
    boxes.until(lambda: boxes.b.client.folder_status(name).state == "idle")
    boxes.b.write(name, "dir/own")
    boxes.a.path(name, "dir/file").unlink()
    boxes.a.path(name, "dir").rmdir()
    boxes.a.client.scan(name)

    boxes.until(lambda: not boxes.b.path(name, "dir/file").exists())
    boxes.send(name, "later")
    assert boxes.b.read(name, "dir/own") == "text"


def test_a_link_arrives_as_a_link(boxes: Boxes) -> None:
    """It is not followed, neither here nor there."""
    name = boxes.share()
    boxes.a.path(name, "link").symlink_to("/nowhere")
    boxes.a.client.scan(name)

    boxes.until(boxes.b.path(name, "link").is_symlink)
    assert str(boxes.b.path(name, "link").readlink()) == "/nowhere"


def test_a_name_that_is_no_text_is_an_error_of_that_item_alone(boxes: Boxes) -> None:
    """The error names it and counts; all else goes on."""
    name = boxes.share()
    bad = os.fsdecode(os.fsencode(boxes.a.path(name, "bad")) + b"\xff")
    Path(bad).write_text("bad")
    boxes.a.client.scan(name)
    boxes.send(name, "good")

    [error] = boxes.a.client.folder_errors(name)
    assert error.path.startswith("bad")
    assert "UTF8" in error.error
    assert boxes.a.client.folder_status(name).pull_errors == 1


def test_a_folder_tells_its_figures(boxes: Boxes) -> None:
    """Files and their bytes, here and everywhere, and that nothing lacks."""
    name = boxes.share()
    boxes.send(name, "one", "two", text="four")
    boxes.until(lambda: boxes.b.client.folder_status(name).need_items == 0)

    for box in (boxes.a, boxes.b):
        boxes.until(lambda box=box: box.client.folder_status(name).state == "idle")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        status = box.client.folder_status(name)
        assert (status.global_files, status.global_bytes, status.local_bytes) == (2, 8, 8)
        assert (status.need_items, status.need_bytes, status.receive_only_changed) == (0, 0, 0)
        assert status.sequence >= 2
        assert not status.error


def test_a_receiver_that_has_all_is_complete_to_the_sender(boxes: Boxes) -> None:
    """The sender believes it once it was told."""
    name = boxes.share()
    boxes.send(name, "file")
    boxes.until(lambda: boxes.a.client.completion(name, boxes.b.id).need_items == 0)

    found = boxes.a.client.completion(name, boxes.b.id)
    assert (found.completion, found.need_bytes, found.global_bytes) == (100, 0, 4)
    assert found.remote_state in {None, "valid"}


def test_a_receiver_that_lacks_a_file_is_not_complete_to_the_sender(boxes: Boxes) -> None:
    """As long as it cannot pull, what it has still to get is counted."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.until(lambda: boxes.a.client.completion(name, boxes.b.id).need_items == 0)
    (boxes.b.root / name).rename(boxes.b.root / f"{name}-away")
    boxes.a.write(name, "second")
    boxes.until(lambda: boxes.a.client.completion(name, boxes.b.id).need_items == 1)

    found = boxes.a.client.completion(name, boxes.b.id)
    assert (found.completion, found.need_bytes, found.global_bytes) == (50, 4, 8)


def test_who_did_not_accept_a_folder_is_not_said_to_share_it(boxes: Boxes) -> None:
    """Nothing else is sure: 1.x may count it as complete."""
    name = boxes.offer()
    boxes.a.write(name, "file")
    boxes.until(lambda: _offers(boxes, name))

    found = boxes.a.client.completion(name, boxes.b.id)
    assert (found.completion, found.need_items) in {(0, 1), (100, 0)}
    assert found.remote_state in {None, "notSharing", "unknown"}


def test_who_has_the_newest_version_of_a_file_is_known(boxes: Boxes) -> None:
    """The others that are connected; nobody of a file that nobody knows."""
    name = boxes.share()
    boxes.send(name, "file")

    boxes.until(lambda: boxes.a.client.holders(name, "file") == {boxes.b.id})
    assert boxes.b.client.holders(name, "file") == {boxes.a.id}
    assert boxes.a.client.holders(name, "nothing") == NO_DEVICES
    assert boxes.a.client.holders(UNKNOWN, "file") == NO_DEVICES


# Who may change what.


def test_changes_in_a_receive_only_folder_stay_there(boxes: Boxes) -> None:
    """They are counted, deletions too; the sender neither gets nor needs them."""
    a, b = boxes.a, boxes.b
    name = boxes.share()
    boxes.send(name, "edited", "deleted")
    boxes.until(lambda: b.client.folder_status(name).need_items == 0)
    b.path(name, "deleted").unlink()
    b.write(name, "edited", "added", text="by b")
    b.client.scan(name)

    status = b.client.folder_status(name)
    assert (status.receive_only_changed, status.need_items) == (3, 0)
    boxes.send(name, "later")
    assert a.read(name, "edited") == "text"
    assert not a.path(name, "added").exists()
    assert a.client.needed(name) == []


def test_a_revert_undoes_what_was_changed_in_a_receive_only_folder(boxes: Boxes) -> None:
    """What was edited or deleted comes back, what was added goes."""
    b = boxes.b
    name = boxes.share()
    boxes.send(name, "edited", "deleted")
    boxes.until(lambda: b.client.folder_status(name).need_items == 0)
    b.path(name, "deleted").unlink()
    b.write(name, "edited", "new/added", text="by b")
    b.client.scan(name)
    b.client.revert(name)

    boxes.until(lambda: b.read(name, "edited") == b.read(name, "deleted") == "text")
    boxes.until(lambda: not b.path(name, "new").exists())
    boxes.until(lambda: b.client.folder_status(name).receive_only_changed == 0)


def test_the_senders_next_version_replaces_a_receivers_own(boxes: Boxes) -> None:
    """No copy of the receiver's is kept, as our folders ask for none."""
    name = boxes.share()
    boxes.send(name, "file")
    boxes.b.write(name, "file", text="by b")
    boxes.send(name, "file", text="second")

    assert [p.name for p in (boxes.b.root / name).glob("*file*")] == ["file"]


def test_what_lies_in_the_way_unknown_gives_way(boxes: Boxes) -> None:
    """A file that the receiver never scanned does not keep the sender's away for ever."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.b.path(name, "file").write_text("in the way")
    os.utime(boxes.b.path(name, "file"), (1, 1))

    boxes.send(name, "file")


def test_a_member_that_sends_cannot_change_the_senders_files(boxes: Boxes) -> None:
    """A sender keeps its own; it knows what others have instead, and who says to have made it."""
    a, b = boxes.a, boxes.b
    name = boxes.share(kind=FolderType.SEND_RECEIVE)
    boxes.send(name, "edited", "deleted")
    boxes.until(lambda: b.client.folder_status(name).state == "idle")
    b.path(name, "deleted").unlink()
    b.write(name, "edited", "deleted-not", text="by b")
    b.client.scan(name)
    boxes.until(lambda: len(a.client.needed(name)) == 3)

    found = {each.name: each for each in a.client.needed(name)}
    assert {each.name for each in found.values() if each.deleted} == {"deleted"}
    assert all(each.is_by(b.id) and not each.is_by(a.id) for each in found.values())
    assert [each.name for each in a.client.needed(name, 2)] == sorted(found)[:2]
    assert a.client.folder_status(name).need_items == 3
    assert a.client.holders(name, "edited") == {b.id}
    assert (a.read(name, "edited"), a.read(name, "deleted")) == ("text", "text")
    assert not a.path(name, "deleted-not").exists()


def test_of_two_that_changed_the_same_file_the_later_wins(boxes: Boxes) -> None:
    """At both, and without a copy of the other, as our folders ask for none."""
    a, b = boxes.a, boxes.b
    name = boxes.share(kind=FolderType.SEND_RECEIVE)
    a.change(name, type=FolderType.SEND_RECEIVE)
    boxes.send(name, "file")
    boxes.until(lambda: b.client.folder_status(name).state == "idle")
    a.change(name, paused=True)
    b.write(name, "file", text="by b")
    a.path(name, "file").write_text("by a")
    os.utime(a.path(name, "file"), (2_000_000_000, 2_000_000_000))
    a.change(name, paused=False)

    boxes.until(lambda: b.read(name, "file") == "by a")
    boxes.until(lambda: a.client.completion(name, b.id).need_items == 0)
    assert a.read(name, "file") == "by a"
    assert [p.name for p in (b.root / name).glob("*file*")] == ["file"]


def test_an_override_makes_all_others_take_the_senders_state(boxes: Boxes) -> None:
    """What others edited or deleted comes back, what they added goes."""
    a, b = boxes.a, boxes.b
    name = boxes.share(kind=FolderType.SEND_RECEIVE)
    boxes.send(name, "edited", "deleted")
    boxes.until(lambda: b.client.folder_status(name).state == "idle")
    b.path(name, "deleted").unlink()
    b.write(name, "edited", "added", text="by b")
    b.client.scan(name)
    boxes.until(lambda: len(a.client.needed(name)) == 3)
    a.client.override(name)

    boxes.until(lambda: b.read(name, "edited") == b.read(name, "deleted") == "text")
    boxes.until(lambda: not b.path(name, "added").exists())
    boxes.until(lambda: a.client.needed(name) == [])


def test_what_was_changed_for_oneself_alone_counts_once_one_sends(boxes: Boxes) -> None:
    """A receive-only folder that becomes one that sends offers its changes to the others."""
    name = boxes.share()
    boxes.send(name, "file")
    boxes.until(lambda: boxes.b.client.folder_status(name).need_items == 0)
    boxes.b.write(name, "file", text="by b")
    boxes.b.change(name, type=FolderType.SEND_RECEIVE)

    boxes.until(lambda: [each.name for each in boxes.a.client.needed(name)] == ["file"])
    assert boxes.b.read(name, "file") == "by b"


def test_an_outbox_that_becomes_receive_only_takes_its_files_back(boxes: Boxes) -> None:
    """What is missing in it is not deleted at the others; a revert brings it from them."""
    a, b = boxes.a, boxes.b
    name = boxes.share()
    boxes.send(name, "lost", "kept")
    boxes.until(lambda: a.client.completion(name, b.id).need_items == 0)
    a.change(name, type=FolderType.RECEIVE_ONLY)
    a.path(name, "lost").unlink()
    a.client.scan(name)
    assert a.client.folder_status(name).receive_only_changed == 1
    a.client.revert(name)

    boxes.until(lambda: a.read(name, "lost") == "text")
    assert b.read(name, "lost") == "text"


# Folders that cannot be worked on.


def test_who_is_not_shared_with_any_more_keeps_what_came(boxes: Boxes) -> None:
    """Nothing is deleted, and nothing more comes."""
    a, b = boxes.a, boxes.b
    name, other = boxes.share(), boxes.share()
    boxes.send(name, "first")
    a.change(name, devices=NO_DEVICES)
    a.write(name, "second")
    a.path(name, "first").unlink()
    a.client.scan(name)

    boxes.send(other, "later")
    assert b.read(name, "first") == "text"
    assert not b.path(name, "second").exists()


def test_a_folder_without_its_marker_is_not_looked_at(boxes: Boxes) -> None:
    """A scan is refused, the state says why, and nothing is deleted at the others."""
    a = boxes.a
    name = boxes.share()
    boxes.send(name, "file")
    for path in [*a.path(name, ".stfolder").iterdir(), a.path(name, "file")]:
        path.unlink()
    a.path(name, ".stfolder").rmdir()
    with pytest.raises(SyncthingRefused, match="marker missing") as refused:
        a.client.scan(name)

    status = a.client.folder_status(name)
    assert (refused.value.status, status.state) == (500, "error")
    assert "marker missing" in status.error
    assert boxes.b.read(name, "file") == "text"
    a.path(name, ".stfolder").mkdir()
    a.path(name, "file").write_text("again")
    a.client.scan(name)
    boxes.until(lambda: boxes.b.read(name, "file") == "again")
    assert not a.client.folder_status(name).error


def test_a_receiver_without_its_marker_pulls_once_it_is_back(boxes: Boxes) -> None:
    """Until then it knows what it lacks; a missing directory is no different."""
    b = boxes.b
    name = boxes.share()
    boxes.send(name, "first")
    boxes.until(lambda: b.client.folder_status(name).state == "idle")
    (b.root / name).rename(b.root / f"{name}-away")
    with pytest.raises(SyncthingRefused, match="path missing"):
        b.client.scan(name)
    boxes.a.write(name, "second")
    boxes.until(lambda: b.client.folder_status(name).need_items == 1)
    assert "path missing" in b.client.folder_status(name).error
    (b.root / f"{name}-away").rename(b.root / name)
    b.client.scan(name)

    boxes.until(lambda: b.read(name, "second") == "text")


def test_a_paused_folder_tells_nothing_and_takes_nothing(boxes: Boxes) -> None:
    """It is not scanned either; what was sent meanwhile comes afterwards."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.b.change(name, paused=True)
    boxes.a.write(name, "second")

    status = boxes.b.client.folder_status(name)
    assert (status.state, status.global_files, status.sequence) == ("", 0, 0)
    with pytest.raises(SyncthingRefused, match="paused") as scan:
        boxes.b.client.scan(name)
    with pytest.raises(SyncthingRefused) as errors:
        boxes.b.client.folder_errors(name)
    with pytest.raises(SyncthingRefused) as needed:
        boxes.b.client.needed(name)
    assert [each.value.status for each in (scan, errors, needed)] == [500, 404, 404]
    assert not boxes.b.path(name, "second").exists()
    boxes.b.change(name, paused=False)
    boxes.until(lambda: boxes.b.read(name, "second") == "text")


def test_a_folder_that_is_not_there_is_refused(boxes: Boxes) -> None:
    """Each request has its status; an order that nobody carries out is none."""
    client = boxes.a.client
    requests: list[Callable[[], object]] = [
        lambda: client.folder_status(UNKNOWN),
        lambda: client.folder_errors(UNKNOWN),
        lambda: client.needed(UNKNOWN),
        lambda: client.completion(UNKNOWN, boxes.b.id),
        lambda: client.scan(UNKNOWN),
        lambda: client.restart(UNKNOWN),
    ]
    found = []
    for request in requests:
        with pytest.raises(SyncthingRefused) as refused:
            request()
        found.append(refused.value.status)
    client.override(UNKNOWN)
    client.revert(UNKNOWN)

    assert found == [404, 404, 404, 404, 500, 404]


def test_a_folder_that_is_restarted_is_scanned(boxes: Boxes) -> None:
    """What changed on disk meanwhile is found."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.a.path(name, "unseen").write_text("unseen")
    boxes.a.client.restart(name)

    boxes.until(lambda: boxes.b.read(name, "unseen") == "unseen")


# What is offered.


def _offers(boxes: Boxes, name: str) -> list[str]:
    """Who offers this folder to `b`."""
    return [each.offered_by for each in boxes.b.client.pending_folders() if each.id == name]


def test_a_folder_that_a_known_device_offers_is_pending_until_it_is_added(boxes: Boxes) -> None:
    """With its label, and an event when it comes and when it goes."""
    boxes.b.listen()
    name = boxes.offer()
    boxes.until(lambda: _offers(boxes, name) == [boxes.a.id])

    [pending] = [each for each in boxes.b.client.pending_folders() if each.id == name]
    assert pending.label == name
    boxes.until(lambda: _heard(boxes, "PendingFoldersChanged") == 1)
    boxes.b.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({boxes.a.id})))
    boxes.until(lambda: not _offers(boxes, name))
    boxes.until(lambda: _heard(boxes, "PendingFoldersChanged") == 2)


def _heard(boxes: Boxes, kind: str) -> int:
    return [event.type for event in boxes.b.heard()].count(kind)


def test_a_folder_that_is_offered_no_more_is_not_pending(boxes: Boxes) -> None:
    """Who takes the offer back need not be asked."""
    name = boxes.offer()
    boxes.until(lambda: _offers(boxes, name))
    boxes.a.change(name, devices=NO_DEVICES)

    boxes.until(lambda: not _offers(boxes, name))


def test_a_folder_that_is_ignored_is_not_pending(boxes: Boxes) -> None:
    """Of that device, and also when it offers it again."""
    name, other = boxes.offer(), boxes.offer()
    boxes.until(lambda: _offers(boxes, name))
    tree = boxes.b.tree
    for entry in tree["devices"]:
        if entry["deviceID"] == boxes.a.id:
            ignored = {"id": name, "label": "", "time": "1970-01-01T00:00:00Z"}
            entry["ignoredFolders"].append(ignored)
    boxes.b.put_tree(tree)
    boxes.until(lambda: not _offers(boxes, name))
    boxes.a.drop(other)
    boxes.until(lambda: not _offers(boxes, other))

    assert not _offers(boxes, name)


def test_a_folder_that_is_shared_is_not_ignored_any_more(boxes: Boxes) -> None:
    """It leaves the device's list."""
    name = boxes.offer()
    tree = boxes.b.tree
    for entry in tree["devices"]:
        ignored = {"id": name, "label": "", "time": "1970-01-01T00:00:00Z"}
        entry["ignoredFolders"].append(ignored)
    boxes.b.put_tree(tree)
    boxes.b.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({boxes.a.id})))

    [entry] = [each for each in boxes.b.tree["devices"] if each["deviceID"] == boxes.a.id]
    assert name not in {each["id"] for each in entry["ignoredFolders"]}


# Events.


def test_events_are_counted_for_each_set_of_types_from_its_first_request_on(boxes: Boxes) -> None:
    """What happened before is not among them, and ids begin at 1."""
    name = boxes.share()
    boxes.send(name, "before")
    alone = {"LocalIndexUpdated"}
    assert boxes.b.client.events(0, 1, alone) == []
    boxes.send(name, "after")
    boxes.until(lambda: boxes.b.client.events(0, 1, alone))

    events = boxes.b.client.events(0, 1, alone)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert {event.type for event in events} == alone
    assert boxes.b.client.events(len(events), 1, {"LocalIndexUpdated", "FolderPaused"}) == []


def test_a_file_that_arrives_is_told_of_at_both_ends(boxes: Boxes) -> None:
    """The sender's index has it, then the receiver hears of it, moves, and finishes it."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.until(lambda: boxes.b.client.folder_status(name).state == "idle")
    boxes.a.listen()
    boxes.b.listen()
    boxes.send(name, "file", text="not known there")

    def received() -> list[str]:
        found = [event for event in boxes.b.heard() if event.folder == name]
        return [
            event.type if event.type != "StateChanged" else f"to {event.state}"
            for event in found
            if event.item in {None, "file"}
        ]

    boxes.until(lambda: "LocalIndexUpdated" in received())
    boxes.until(lambda: received()[-1] == "to idle")
    moves = ["RemoteIndexUpdated", "to syncing", "ItemFinished", "LocalIndexUpdated"]
    assert [each for each in received() if each in moves] == moves
    [sent] = [event for event in boxes.a.heard() if event.type == "LocalIndexUpdated"]
    assert (sent.folder, sent.names) == (name, ("file",))
    [finished] = [event for event in boxes.b.heard() if event.type == "ItemFinished"]
    assert (finished.folder, finished.item, finished.error) == (name, "file", None)
    heard = [event for event in boxes.b.heard() if event.type == "RemoteIndexUpdated"]
    assert {event.device for event in heard} == {boxes.a.id}


def test_a_folder_that_fails_is_told_of(boxes: Boxes) -> None:
    """Its state becomes an error."""
    name = boxes.share()
    boxes.send(name, "file")
    boxes.b.listen()
    (boxes.b.root / name).rename(boxes.b.root / f"{name}-away")
    with pytest.raises(SyncthingRefused):
        boxes.b.client.scan(name)

    boxes.until(lambda: (name, "error") in [(e.folder, e.state) for e in boxes.b.heard()])


# Devices.


def test_who_is_connected_is_known_and_who_dialled(boxes: Boxes) -> None:
    """By both; the own device is not among them."""
    here, there = boxes.a.client.connections(), boxes.b.client.connections()

    assert boxes.a.id not in here
    assert boxes.b.id not in there
    assert here[boxes.b.id].type.endswith("-client")
    assert there[boxes.a.id].type.endswith("-server")
    assert here[boxes.b.id].address == boxes.b.device.addresses[0].removeprefix("tcp://")
    assert here[boxes.b.id].client_version.startswith("v")
    assert not here[boxes.b.id].paused


def test_an_unknown_device_that_dials_is_pending_until_it_is_added(boxes: Boxes) -> None:
    """With the name it gives itself; once it is added the two are connected."""
    b, c = boxes.b, boxes.c
    b.listen()
    c.put(devices=[b.device])
    boxes.until(b.client.pending_devices)

    [pending] = b.client.pending_devices()
    assert (pending.id, pending.name) == (c.id, "c")
    boxes.until(lambda: _heard(boxes, "PendingDevicesChanged"))
    b.put(devices=[c.device])
    boxes.until(lambda: not b.client.pending_devices())
    boxes.until(lambda: b.client.connections()[c.id].connected)
    boxes.until(lambda: _is_told(boxes, "DeviceConnected"))


def _is_told(boxes: Boxes, kind: str) -> bool:
    return (kind, boxes.c.id) in [(event.type, event.device) for event in boxes.b.heard()]


def test_a_third_device_gets_files_from_one_that_has_them(boxes: Boxes) -> None:
    """Who shares a folder with another passes on what came from a third."""
    a, b, c = boxes.a, boxes.b, boxes.c
    name = boxes.share(kind=FolderType.RECEIVE_ONLY)
    b.change(name, devices=frozenset({a.id, c.id}))
    c.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({b.id})))
    boxes.send(name, "file")

    boxes.until(lambda: c.read(name, "file") == "text")
    assert c.client.holders(name, "file") == {b.id}


def test_a_member_that_sends_is_believed_by_those_who_get_files_from_it(boxes: Boxes) -> None:
    """What it changed reaches them as if it were the sender's; the sender's override undoes it."""
    a, b, c = boxes.a, boxes.b, boxes.c
    name = boxes.share(kind=FolderType.SEND_RECEIVE)
    b.change(name, devices=frozenset({a.id, c.id}))
    c.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({b.id})))
    boxes.send(name, "file")
    boxes.until(lambda: c.read(name, "file") == "text")
    boxes.until(lambda: b.client.folder_status(name).state == "idle")
    b.write(name, "file", text="by b")
    boxes.until(lambda: c.read(name, "file") == "by b")
    boxes.until(lambda: a.client.needed(name))
    a.client.override(name)

    boxes.until(lambda: c.read(name, "file") == "text")


def test_a_device_that_is_paused_is_disconnected_until_it_is_not(boxes: Boxes) -> None:
    """At both ends."""
    b, c = boxes.b, boxes.c
    for paused in (True, False):
        tree = b.tree
        for entry in tree["devices"]:
            entry["paused"] = paused and entry["deviceID"] == c.id
        b.put_tree(tree)

        boxes.until(lambda paused=paused: b.client.connections()[c.id].connected is not paused)  # type: ignore[misc] # mypy cannot infer a lambda with a default
        boxes.until(lambda paused=paused: c.client.connections()[b.id].connected is not paused)  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert b.client.connections()[c.id].paused is paused


def test_a_device_that_is_dropped_is_disconnected(boxes: Boxes) -> None:
    """It may knock again; one that is ignored is not pending."""
    b, c = boxes.b, boxes.c
    b.listen()
    b.client.put_configuration(with_changes(b.configuration, drop_devices=[c.id]))
    boxes.until(lambda: _is_told(boxes, "DeviceDisconnected"))
    boxes.until(lambda: [each.id for each in b.client.pending_devices()] == [c.id])
    b.client.put_configuration(with_ignored(b.configuration, [c.id]))

    boxes.until(lambda: not b.client.pending_devices())
    assert b.configuration.setup.ignored == {c.id}
    assert c.id not in b.client.connections()


def test_a_device_that_is_added_is_not_ignored_any_more(boxes: Boxes) -> None:
    """It leaves the list."""
    device = Device(device_of("ignored"), "ignored", ("dynamic",))
    boxes.a.client.put_configuration(with_ignored(boxes.a.configuration, [device.id]))
    assert device.id in boxes.a.configuration.setup.ignored
    tree = boxes.a.tree
    tree["devices"].append({"deviceID": device.id, "name": "ignored"})
    boxes.a.put_tree(tree)

    assert device.id not in boxes.a.configuration.setup.ignored


def test_nothing_answers_after_a_shutdown_and_event_ids_begin_again_after_a_start(
    boxes: Boxes,
) -> None:
    """Configuration and identity are as before; what was written meanwhile is found."""
    c = boxes.c
    name = "ks-c-restarted"
    c.put(Folder(name, FolderType.SEND_ONLY, NO_DEVICES))
    c.write(name, "file")
    before, started = c.configuration.setup, c.client.system().start_time
    c.client.shutdown()
    boxes.until(lambda: not _answers(boxes))
    c.path(name, "unseen").write_text("unseen")
    c.start()

    assert c.client.events(0, 0, {"ItemFinished"}) == []
    assert c.configuration.setup == before
    assert c.client.system().my_id == c.id
    assert c.client.system().start_time >= started
    boxes.until(lambda: c.client.folder_status(name).global_files == 2)


def _answers(boxes: Boxes) -> bool:
    try:
        boxes.c.client.ping()
    except SyncthingUnreachable:
        return False
    return True
