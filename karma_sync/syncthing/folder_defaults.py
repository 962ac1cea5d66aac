"""The settings that all our folders and devices share.

They are not in `configuration.py`, so that commands which need only them start sooner.
"""

from collections.abc import Mapping
from pathlib import Path, PurePath

OUR_PREFIX = "ks-"

# See docs/syncthing.md, "Folder settings". No watcher: we request scans. No permissions: a member's
# chmod would reach the library's links. Newest first. No conflict copies: they would outlive a
# retraction. No delay in v2.
FIXED: Mapping[str, bool | int | str] = {
    "filesystemType": "basic",
    "fsWatcherEnabled": False,
    "ignorePerms": True,
    "autoNormalize": True,
    "order": "newestFirst",
    "ignoreDelete": False,
    "pullerDelayS": 0,
    "maxConflicts": 0,
    "markerName": ".stfolder",
    "copyOwnershipFromParent": False,
    "disableFsync": False,
    "syncOwnership": False,
    "sendOwnership": False,
    "syncXattrs": False,
    "sendXattrs": False,
}
FIXED_NESTED: Mapping[str, Mapping[str, int | str]] = {
    "minDiskFree": {"value": 1, "unit": "%"},
    "versioning": {"type": ""},
}
# No device may introduce other devices or create folders here (docs/syncthing.md, "Folder
# settings").
FIXED_DEVICE: Mapping[str, bool | int | str] = {
    "compression": "metadata",
    "numConnections": 1,
    "introducer": False,
    "autoAcceptFolders": False,
    "untrusted": False,
}


def is_our_folder(folder: str, path: str, root: Path) -> bool:
    """Whether a folder with this ID and path is ours: it lies below `root`."""
    place = PurePath(path)
    below = place.is_relative_to(root) and place != root and ".." not in place.parts
    return below and folder.startswith(OUR_PREFIX)
