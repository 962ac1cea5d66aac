"""Behaviour of Syncthing that we rely on: offers, events and devices."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.errors import SyncthingRefused, SyncthingUnreachable
from karma_sync.syncthing.configuration import with_changes, with_ignored
from tests.support.boxes import Box, Boxes
from tests.support.builders import device_of

NO_DEVICES: frozenset[str] = frozenset()


def test_a_folder_that_a_known_device_offers_is_pending_until_it_is_added(boxes: Boxes) -> None:
    """With its label, and an event when it comes and when it goes; v2 may send one twice."""
    boxes.b.listen()
    name = boxes.offer()
    boxes.until(lambda: boxes.offers(name) == [boxes.a.id])

    [pending] = [each for each in boxes.b.client.pending_folders() if each.id == name]
    assert pending.label == name
    boxes.until(lambda: _heard(boxes, "PendingFoldersChanged"))
    boxes.b.listen()
    boxes.b.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({boxes.a.id})))
    boxes.until(lambda: not boxes.offers(name))
    boxes.until(lambda: _heard(boxes, "PendingFoldersChanged"))


def _heard(boxes: Boxes, kind: str) -> int:
    return [event.type for event in boxes.b.heard()].count(kind)


def test_a_folder_that_is_offered_no_more_is_not_pending(boxes: Boxes) -> None:
    """The offering member removes the offer; nobody has to ask it."""
    name = boxes.offer()
    boxes.until(lambda: boxes.offers(name))
    boxes.a.change(name, devices=NO_DEVICES)

    boxes.until(lambda: not boxes.offers(name))


def test_a_folder_that_is_ignored_is_not_pending(boxes: Boxes) -> None:
    """It stays ignored for that device, also when the device offers it again."""
    name, other = boxes.offer(), boxes.offer()
    boxes.until(lambda: boxes.offers(name))
    tree = boxes.b.tree
    for entry in tree["devices"]:
        if entry["deviceID"] == boxes.a.id:
            ignored = {"id": name, "label": "", "time": "1970-01-01T00:00:00Z"}
            entry["ignoredFolders"].append(ignored)
    boxes.b.put_tree(tree)
    boxes.until(lambda: not boxes.offers(name))
    boxes.a.drop(other)
    boxes.until(lambda: not boxes.offers(other))

    assert not boxes.offers(name)


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
    """Earlier events are not among them, and ids begin at 1."""
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
    """The state of the folder becomes an error."""
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


def test_a_device_that_is_known_is_not_greeted(boxes: Boxes) -> None:
    """Nothing is told, and the place of a connection is not taken."""
    b, c = boxes.b, boxes.c
    (address,) = b.device.addresses
    with acquaintance(b, replace(c.device, addresses=("dynamic",))):
        assert not c.greet(address, b.id, "c, which knocks")
        assert not b.client.connections()[c.id].connected
        assert b.client.pending_devices() == []


def test_an_unknown_device_can_give_its_name_beside_its_syncthing(boxes: Boxes) -> None:
    """It is pending under this name, and connected once the other adds it and dials."""
    b, c = boxes.b, boxes.c
    (address,) = b.device.addresses
    with acquaintance(c, replace(b.device, addresses=("dynamic",))):
        with pytest.raises(SyncthingUnreachable):
            c.greet(address, boxes.a.id, "c, which means somebody else")
        assert b.client.pending_devices() == []
        assert c.greet(address, b.id, "c, which knocks")
        boxes.until(b.client.pending_devices)
        assert [(d.id, d.name) for d in b.client.pending_devices()] == [(c.id, "c, which knocks")]
        with acquaintance(b, c.device):
            boxes.until(lambda: b.client.connections()[c.id].connected)
            assert c.client.connections()[b.id].type.endswith("-server")


@contextmanager
def acquaintance(box: Box, other: Device) -> Iterator[None]:
    """One knows another for a while."""
    box.put(devices=[other])
    yield
    box.client.put_configuration(with_changes(box.configuration, drop_devices=[other.id]))


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
    """A member that shares a folder with another passes on files from a third."""
    a, b, c = boxes.a, boxes.b, boxes.c
    name = boxes.share(kind=FolderType.RECEIVE_ONLY)
    b.change(name, devices=frozenset({a.id, c.id}))
    c.put(Folder(name, FolderType.RECEIVE_ONLY, frozenset({b.id})))
    boxes.send(name, "file")

    boxes.until(lambda: c.read(name, "file") == "text")
    assert c.client.holders(name, "file") == {b.id}


def test_a_member_that_sends_is_believed_by_those_who_get_files_from_it(boxes: Boxes) -> None:
    """Its changes reach them as if it were the sender's; the sender's override undoes them."""
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
