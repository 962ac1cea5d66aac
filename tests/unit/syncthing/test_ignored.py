"""The patterns in Syncthing's ignore file: ours come and go, those of the person stay."""

from karma_sync.syncthing.ignored import IgnoredFolder, ignored_devices, refused, refused_folders

OURS, OTHER = "ks-m-" + "a" * 26, "ks-m-" + "b" * 26
PHOTOS = {"id": "photos", "label": "Photos", "time": "2026-01-01T00:00:00Z"}


def test_only_metadata_folders_are_ours() -> None:
    found = [IgnoredFolder(id=name) for name in ("photos", OURS, "ks-c-" + "c" * 26)]

    assert refused(found) == {OURS}
    assert refused(None) == frozenset()


def test_folders_ignored_by_hand_stay_and_ours_are_those_that_are_wanted() -> None:
    entry = {"ignoredFolders": [PHOTOS, {"id": OURS, "label": "", "time": "2026-02-02T00:00:00Z"}]}

    assert refused_folders(entry, [OTHER])[1:] == [PHOTOS]
    assert refused_folders(entry, [OTHER])[0]["id"] == OTHER
    assert refused_folders(entry, []) == [PHOTOS]
    assert refused_folders({"ignoredFolders": None}, []) == []
    kept = {folder["id"]: folder for folder in refused_folders(entry, [OURS])}
    assert kept[OURS]["time"] == "2026-02-02T00:00:00Z", "what is there is not written anew"


def test_devices_ignored_by_hand_stay() -> None:
    by_hand = {"deviceID": "HAND", "name": "tv", "address": "", "time": "2026-01-01T00:00:00Z"}

    found = {each["deviceID"]: each for each in ignored_devices([by_hand], ["NEW", "HAND"])}

    assert found.keys() == {"NEW", "HAND"}
    assert found["HAND"] == by_hand
