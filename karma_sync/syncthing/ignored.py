"""Changes Syncthing's two lists of what it ignores: devices that dial us, folders they offer.

The person may have added entries by hand; these are kept.
"""

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import Field

from karma_sync.paths import is_metadata_folder
from karma_sync.syncthing.wire import Reply

_NO_TIME = "1970-01-01T00:00:00Z"  # Syncthing only shows the time to people

_Entry = dict[str, Any]


class IgnoredFolder(Reply):
    id: str


class IgnoredDevice(Reply):
    device_id: str = Field(alias="deviceID")


def refused(folders: Iterable[IgnoredFolder] | None) -> frozenset[str]:
    """The IDs of our metadata folders among these ignored folders."""
    return frozenset(folder.id for folder in folders or () if is_metadata_folder(folder.id))


def refused_folders(entry: _Entry, wanted: Collection[str]) -> list[_Entry]:
    """A device's new list of ignored folders: these metadata folders, and all foreign entries."""
    kept = {folder["id"]: folder for folder in entry.get("ignoredFolders") or []}
    new = {f: {"id": f, "label": "", "time": _NO_TIME} for f in sorted(wanted)}
    return [
        folder
        for name, folder in (new | kept).items()
        if name in new or not is_metadata_folder(name)
    ]


def ignored_devices(entries: Iterable[_Entry], more: Collection[str]) -> list[_Entry]:
    """The list of ignored devices with these added."""
    kept = {entry["deviceID"]: entry for entry in entries}
    new = {d: {"deviceID": d, "name": "", "address": "", "time": _NO_TIME} for d in sorted(more)}
    return list((new | kept).values())
