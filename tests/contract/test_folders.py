"""Behaviour of Syncthing that we rely on: who may change files, and folders with faults."""

import os
from collections.abc import Callable

import pytest

from karma_sync.domain.mesh.plan import FolderType
from karma_sync.errors import SyncthingRefused
from tests.support.boxes import Boxes

UNKNOWN = "ks-c-unknown"
NO_DEVICES: frozenset[str] = frozenset()


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
    """Edited and deleted files come back, added ones go."""
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
    """Files that others edited or deleted come back, files that they added go."""
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
    """Missing files are not deleted at the others; a revert brings them from there."""
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
    """Files that changed on disk meanwhile are found."""
    name = boxes.share()
    boxes.send(name, "first")
    boxes.a.path(name, "unseen").write_text("unseen")
    boxes.a.client.restart(name)

    boxes.until(lambda: boxes.b.read(name, "unseen") == "unseen")
