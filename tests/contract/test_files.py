"""Behaviour of Syncthing that we rely on: how files travel, and how it reports on them."""

import os
from pathlib import Path

from karma_sync.domain.mesh.plan import Folder, FolderType
from tests.support.boxes import Boxes

UNKNOWN = "ks-c-unknown"
NO_DEVICES: frozenset[str] = frozenset()


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
    """The old file or directory gives way to the new one of another kind."""
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
    """The receiver's own files in it are not deleted with it."""
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
    boxes.until(lambda: boxes.offers(name))

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
