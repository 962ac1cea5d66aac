"""JSON to our values and back: what Syncthing sends, what we send, and what we leave alone."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.syncthing import wire
from karma_sync.syncthing.configuration import Configuration, with_changes
from karma_sync.syncthing.folder_defaults import FIXED

ROOT = Path("/home/alice/.local/share/karma-sync/folders")
ME, BOB, CAROL, NAS = "ME-1", "BOB-1", "CAROL-1", "NAS-1"
NAMES = ["BOB-1", "CAROL-1", "DAVE-1", "ERIN-1"]

# As 1.29.5 answers, shortened; `custom` stands for all that we do not know.
CONFIG = {
    "version": 37,
    "custom": {"kept": [1, None]},
    "folders": [
        {
            "id": "photos",
            "label": "Photos",
            "path": "~/Photos",
            "type": "sendreceive",
            "devices": [{"deviceID": ME}, {"deviceID": NAS}],
            "rescanIntervalS": 60,
            "custom": True,
        },
    ],
    "devices": [
        {"deviceID": ME, "name": "alice.mbp", "addresses": ["dynamic"]},
        {"deviceID": NAS, "name": "nas", "addresses": ["tcp://10.0.0.9:22000"], "custom": 1},
    ],
    "gui": {"apiKey": "the-api-key", "password": "$2a$10$hash"},
}

OUTBOX = Folder("ks-c-out", FolderType.SEND_ONLY, frozenset({BOB}))
BOB_DEVICE = Device(BOB, "bob.tower", ("tcp://10.0.0.2:22000", "dynamic"))


def read(tree: Mapping[str, Any]) -> Configuration:
    return Configuration.read(json.dumps(tree).encode(), ME, ROOT)


def written(configuration: Configuration) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(configuration.write())
    return tree


def entry(configuration: Configuration, folder: str) -> dict[str, Any]:
    [found] = [f for f in written(configuration)["folders"] if f["id"] == folder]
    return dict(found)


def with_outbox() -> Configuration:
    return with_changes(
        read(CONFIG), put_devices={BOB_DEVICE}, put_folders={OUTBOX: ROOT / OUTBOX.id}
    )


def tampered(**changes: Any) -> Folder:
    """Our outbox, after somebody changed these entries of it."""
    tree = written(with_outbox())
    tree["folders"] = [f | changes if f["id"] == OUTBOX.id else f for f in tree["folders"]]
    [found] = read(tree).folders
    return found


devices = st.builds(
    Device,
    id=st.sampled_from(NAMES),
    name=st.text(max_size=8),
    addresses=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3).map(tuple),
)
folders = st.builds(
    Folder,
    id=st.sampled_from(["ks-c-a", "ks-c-b", "ks-m-c"]),
    type=st.sampled_from(FolderType),
    devices=st.frozensets(st.sampled_from(NAMES)),
    paused=st.booleans(),
)


@given(
    st.lists(devices, unique_by=lambda d: d.id, min_size=4),
    st.lists(folders, unique_by=lambda f: f.id),
)
def test_reading_what_was_written_gives_equal_values(
    put_devices: list[Device], put_folders: list[Folder]
) -> None:
    """Devices and folders come back as they were put, folders sound, whatever their values."""
    changed = with_changes(
        read(CONFIG),
        put_devices=put_devices,
        put_folders={folder: ROOT / folder.id for folder in put_folders},
    )

    again = read(written(changed))
    assert again.folders == changed.folders == frozenset(put_folders)
    assert again.devices - {Device(NAS, "nas", ("tcp://10.0.0.9:22000",))} == frozenset(put_devices)


@given(
    st.frozensets(st.sampled_from([*NAMES, ME, NAS])),
    st.frozensets(st.sampled_from(["ks-c-a", "ks-c-out", "photos"])),
    st.lists(folders, unique_by=lambda f: f.id),
)
def test_nothing_foreign_is_ever_touched(
    drop_devices: frozenset[str], drop_folders: frozenset[str], put_folders: list[Folder]
) -> None:
    """Whatever is put and dropped, the person's folder, their device and our own stay as they are,
    and so does everything that we do not understand.
    """
    changed = with_changes(
        with_outbox(),
        drop_devices=drop_devices,
        put_folders={folder: ROOT / folder.id for folder in put_folders},
        drop_folders=drop_folders,
    )

    tree = written(changed)
    assert CONFIG["folders"][0] in tree["folders"]  # type: ignore[index]  # an example, not a schema
    assert CONFIG["devices"][0] in tree["devices"]  # type: ignore[index]  # the same
    assert CONFIG["devices"][1] in tree["devices"]  # type: ignore[index]  # the same
    assert tree["custom"] == CONFIG["custom"]
    assert tree["gui"] == CONFIG["gui"]


def test_changing_nothing_changes_nothing() -> None:
    """Without changes the same JSON is sent back."""
    assert written(with_changes(read(CONFIG))) == CONFIG


def test_changes_leave_the_configuration_they_start_from_alone() -> None:
    """with_changes is pure: the configuration given to it stays as it was."""
    before = read(CONFIG)
    with_changes(before, put_devices={BOB_DEVICE}, put_folders={OUTBOX: ROOT / OUTBOX.id})

    assert written(before) == CONFIG


def test_a_folder_is_sent_with_all_fixed_settings() -> None:
    """Watcher off, permissions ignored, no versions, no conflict copies, chunks first, no delay."""
    sent = entry(with_outbox(), OUTBOX.id)

    assert sent.items() >= FIXED.items()
    assert sent["fsWatcherEnabled"] is False
    assert sent["ignorePerms"] is True
    assert sent["versioning"] == {"type": ""}
    assert (sent["maxConflicts"], sent["order"], sent["pullerDelayS"]) == (0, "newestFirst", 0)
    assert sent["minDiskFree"] == {"value": 1, "unit": "%"}
    assert sent["label"] == sent["id"] == OUTBOX.id
    assert {d["deviceID"] for d in sent["devices"]} == {ME, BOB}


def test_a_device_is_sent_without_power_over_us() -> None:
    """It introduces nobody and creates no folders, whatever it was allowed before."""
    tree = CONFIG | {
        "devices": [
            {"deviceID": BOB, "introducer": True, "autoAcceptFolders": True, "paused": True},
        ]
    }
    [sent] = written(with_changes(read(tree), put_devices={BOB_DEVICE}))["devices"]

    assert (sent["introducer"], sent["autoAcceptFolders"]) == (False, False)
    assert (sent["name"], sent["compression"]) == ("bob.tower", "metadata")
    assert sent["addresses"] == ["tcp://10.0.0.2:22000", "dynamic"]


def test_a_device_keeps_settings_that_are_not_ours() -> None:
    """A pause, a rate limit or an ignored folder survives a new name or address."""
    mine = {"paused": True, "maxSendKbps": 100, "ignoredFolders": [{"id": "x"}]}
    tree = CONFIG | {"devices": [{"deviceID": BOB, "name": "old"} | mine]}
    [sent] = written(with_changes(read(tree), put_devices={BOB_DEVICE}))["devices"]

    assert sent.items() >= mine.items()


@pytest.mark.parametrize(
    "changes",
    [
        {"fsWatcherEnabled": True},
        {"ignorePerms": False},
        {"versioning": {"type": "trashcan", "params": {"cleanoutDays": "0"}}},
        {"maxConflicts": 10},
        {"order": "random"},
        {"pullerDelayS": 1},
        {"minDiskFree": {"value": 0, "unit": "%"}},
        {"label": "../../evil"},
        {"type": "receiveencrypted"},
        {"devices": [{"deviceID": BOB}]},
        {"devices": [{"deviceID": ME}, {"deviceID": "UNKNOWN-1"}]},
        {"devices": [{"deviceID": ME}, {"deviceID": BOB, "encryptionPassword": "x"}]},
    ],
    ids=str,
)
def test_a_folder_with_another_setting_is_not_sound(changes: dict[str, Any]) -> None:
    """A folder whose settings, devices or label are not as we send them reads as not sound."""
    assert not tampered(**changes).sound


@pytest.mark.parametrize(
    "changes",
    [
        {"pullerDelayS": None},
        {"group": "", "maxConcurrentWrites": 16},
        {"versioning": {"type": "", "params": {}, "cleanupIntervalS": 3600, "fsType": "basic"}},
        {"minDiskFree": {"value": 1.0, "unit": "%"}},
    ],
    ids=str,
)
def test_a_folder_is_sound_whatever_a_version_adds_or_lacks(changes: dict[str, Any]) -> None:
    """Settings we do not fix, and fixed ones that this version does not know, do not count."""
    assert tampered(**changes).sound


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("ks-c-out", "/home/alice/elsewhere/ks-c-out"),
        ("ks-c-out", str(ROOT)),
        ("ks-c-out", str(ROOT / ".." / "ks-c-out")),
        ("ks-c-out", f"{ROOT}-2/ks-c-out"),
        ("ks-c-out", "~/x"),
        ("ks-c-out", ""),
        ("photos", str(ROOT / "photos")),
    ],
)
def test_a_folder_is_ours_only_with_our_prefix_and_below_our_root(folder: str, path: str) -> None:
    """A folder without `ks-`, or outside the root, is foreign: not listed, not replaced, not
    dropped, and no such folder can be put.
    """
    foreign = {"id": folder, "path": path, "type": "sendonly", "devices": [{"deviceID": ME}]}
    configuration = read(CONFIG | {"folders": [foreign]})
    put = {Folder(folder, FolderType.SEND_ONLY, frozenset()): ROOT / folder}
    changed = with_changes(
        configuration, put_folders=put if folder == "ks-c-out" else {}, drop_folders={folder}
    )

    assert configuration.folders == frozenset()
    assert written(changed)["folders"] == [foreign]
    with pytest.raises(ValueError, match="not below"):
        with_changes(configuration, put_folders=dict.fromkeys(put, Path(path)))


def test_a_dropped_device_leaves_our_folders_too() -> None:
    """Removing a device takes it out of our folders' lists in the same write."""
    changed = with_changes(with_outbox(), drop_devices={BOB})

    assert changed.folders == {Folder(OUTBOX.id, OUTBOX.type, frozenset())}
    assert BOB not in {device.id for device in changed.devices}


def test_a_device_that_a_foreign_folder_uses_stays() -> None:
    """The person's other machine is not removed while one of their folders is shared with it."""
    changed = with_changes(read(CONFIG), drop_devices={NAS})

    assert {device.id for device in changed.devices} == {NAS}


def test_putting_wins_over_dropping() -> None:
    """An entry that is both put and dropped is there afterwards."""
    changed = with_changes(
        with_outbox(),
        put_devices={BOB_DEVICE},
        drop_devices={BOB},
        put_folders={OUTBOX: ROOT / OUTBOX.id},
        drop_folders={OUTBOX.id},
    )

    assert changed.folders == {OUTBOX}
    assert BOB_DEVICE in changed.devices


def test_a_printed_configuration_shows_no_secret() -> None:
    """The API key and the password's hash do not get into a log by way of repr."""
    assert "the-api-key" not in repr(read(CONFIG))
    assert "$2a$" not in repr(read(CONFIG))


@pytest.mark.parametrize("body", ["[]", "{", '{"folders": [{}]}', '{"devices": 3}', "null"])
def test_a_configuration_of_another_shape_is_refused(body: str) -> None:
    """Nothing is guessed from an answer that is no configuration."""
    with pytest.raises(ValueError, match="."):
        Configuration.read(body.encode(), ME, ROOT)


NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
LOCAL_NOON = "2026-08-01T14:00:00.000000000+02:00"

ANSWERS: list[tuple[Callable[[bytes], Any], Any, Any]] = [
    (wire.read_version, {"version": "v1.19.2-ds1", "os": "linux"}, "v1.19.2-ds1"),
    (
        wire.read_system,
        {"myID": ME, "startTime": LOCAL_NOON, "uptime": 3},
        wire.System(my_id=ME, start_time=NOON),
    ),
    (
        wire.read_connections,
        {
            "connections": {
                BOB: {
                    "connected": True,
                    "paused": False,
                    "address": "10.0.0.2:22000",
                    "clientVersion": "v2.0.10",
                    "primary": {},
                }
            },
            "total": {},
        },
        {BOB: wire.Connection(connected=True, address="10.0.0.2:22000", client_version="v2.0.10")},
    ),
    (
        wire.read_pending_devices,
        {CAROL: {"time": LOCAL_NOON, "name": "carol.c", "address": "10.0.0.3:22000"}},
        [wire.PendingDevice(id=CAROL, name="carol.c", address="10.0.0.3:22000", time=NOON)],
    ),
    (
        wire.read_pending_folders,
        {"f": {"offeredBy": {BOB: {"time": LOCAL_NOON, "label": "x", "receiveEncrypted": False}}}},
        [wire.PendingFolder(id="f", label="x", offered_by=BOB, time=NOON)],
    ),
    (
        wire.read_folder_status,
        {"state": "idle", "needTotalItems": 2, "needBytes": 10, "receiveOnlyTotalItems": 3},
        wire.FolderStatus(state="idle", need_items=2, need_bytes=10, receive_only_changed=3),
    ),
    (wire.read_folder_status, {"state": ""}, wire.FolderStatus()),
    (wire.read_folder_errors, {"folder": "f", "errors": None}, []),
    (
        wire.read_folder_errors,
        {"errors": [{"path": "a", "error": "no space"}]},
        [wire.FolderError(path="a", error="no space")],
    ),
    (
        wire.read_completion,
        {"completion": 99.5, "needBytes": 1, "needItems": 1},
        wire.Completion(completion=99.5, need_bytes=1, need_items=1, remote_state=None),
    ),
    (
        wire.read_completion,
        {"completion": 100, "remoteState": "notSharing"},
        wire.Completion(completion=100, remote_state="notSharing"),
    ),
    (wire.read_events, [], []),
]


@pytest.mark.parametrize(("parse", "answer", "value"), ANSWERS)
def test_each_answer_becomes_a_value(
    parse: Callable[[bytes], Any], answer: Any, value: Any
) -> None:
    """Known fields are read, unknown ones ignored, missing ones have defaults, times are UTC."""
    assert parse(json.dumps(answer).encode()) == value


@pytest.mark.parametrize(
    ("event_type", "data", "fields"),
    [
        (
            "StateChanged",
            {"folder": "f", "from": "idle", "to": "scanning"},
            {"folder": "f", "state": "scanning"},
        ),
        (
            "ItemFinished",
            {"folder": "f", "item": "a", "type": "file", "action": "update", "error": None},
            {"folder": "f", "item": "a"},
        ),
        (
            "ItemFinished",
            {"folder": "f", "item": "a", "error": "no space"},
            {
                "folder": "f",
                "item": "a",
                "error": "no space",
            },
        ),
        (
            "RemoteIndexUpdated",
            {"device": BOB, "folder": "f", "items": 5},
            {
                "device": BOB,
                "folder": "f",
            },
        ),
        ("LocalChangeDetected", {"folderID": "f", "path": "a"}, {"folder": "f", "item": "a"}),
        (
            "DeviceConnected",
            {"id": BOB, "addr": "10.0.0.2:22000", "type": "tcp-client"},
            {"device": BOB, "connection": "tcp-client"},
        ),
        ("DeviceDisconnected", {"id": BOB, "error": "EOF"}, {"device": BOB, "error": "EOF"}),
        ("PendingDevicesChanged", {"added": [{"deviceID": BOB}]}, {}),
        ("Starting", {"home": "/x", "myID": ME, "id": "x"}, {}),
        ("StartupComplete", None, {}),
        (
            "FolderErrors",
            {"folder": "f", "errors": [{"path": "a", "error": "x"}]},
            {
                "folder": "f",
            },
        ),
    ],
)
def test_an_event_says_what_it_concerns(
    event_type: str, data: object, fields: dict[str, str]
) -> None:
    """The subject of an event is found under that event's own spelling."""
    raw = {"id": 7, "globalID": 9, "type": event_type, "data": data}
    [event] = wire.read_events(json.dumps([raw]).encode())

    assert event == wire.SyncthingEvent(id=7, type=event_type, **fields)


@pytest.mark.parametrize(
    "parse",
    [wire.read_pong, wire.read_system, wire.read_connections, wire.read_events, wire.read_version],
)
@pytest.mark.parametrize("body", [b"*** Database migration in progress ***", b"3", b'{"x": 1}'])
def test_an_answer_of_another_shape_is_refused(
    parse: Callable[[bytes], object], body: bytes
) -> None:
    """A body that is not Syncthing's answer raises ValueError and becomes no value."""
    with pytest.raises(ValueError, match="."):
        parse(body)
