"""What Syncthing is told to ignore for good: devices that knock, folders that a device offers.

In both lists stands also what the person ignored by hand; that stays.
"""

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import Field

from karma_sync.paths import is_metadata_folder
from karma_sync.syncthing.wire import Reply

_NO_TIME = "1970-01-01T00:00:00Z"  # when it was ignored: for people only

_Entry = dict[str, Any]


class IgnoredFolder(Reply):
    id: str


class IgnoredDevice(Reply):
    device_id: str = Field(alias="deviceID")


def refused(folders: Iterable[IgnoredFolder] | None) -> frozenset[str]:
    """Those that are metadata folders of ours."""
    return frozenset(folder.id for folder in folders or () if is_metadata_folder(folder.id))


def refused_folders(entry: _Entry, wanted: Collection[str]) -> list[_Entry]:
    """What a device's entry is to ignore: these metadata folders, and what is not ours."""
    kept = {folder["id"]: folder for folder in entry.get("ignoredFolders") or []}
    new = {f: {"id": f, "label": "", "time": _NO_TIME} for f in sorted(wanted)}
    return [
        folder
        for name, folder in (new | kept).items()
        if name in new or not is_metadata_folder(name)
    ]


def ignored_devices(entries: Iterable[_Entry], more: Collection[str]) -> list[_Entry]:
    """The list with these in it."""
    kept = {entry["deviceID"]: entry for entry in entries}
    new = {d: {"deviceID": d, "name": "", "address": "", "time": _NO_TIME} for d in sorted(more)}
    return list((new | kept).values())
