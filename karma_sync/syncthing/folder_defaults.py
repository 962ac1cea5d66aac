"""What is the same for every folder and device of ours.

Apart from the models of Syncthing's answers: commands that need only this start sooner.
"""

from collections.abc import Mapping

# See docs/syncthing.md, "Folder settings": no watcher (we scan), no permissions (a member's chmod
# would reach the library's links), newest first, no copies that outlive a retraction, no delay in
# v2.
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
# What a device may never do here: introduce others, or create folders
# (docs/syncthing.md, "Folder settings").
FIXED_DEVICE: Mapping[str, bool | str] = {
    "compression": "metadata",
    "introducer": False,
    "autoAcceptFolders": False,
    "untrusted": False,
}
