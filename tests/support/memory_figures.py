"""A folder's figures in the shape in which Syncthing sends them."""

from tests.support.memory_events import Json
from tests.support.memory_folder import MemoryFolder
from tests.support.memory_index import LOCAL, Counts

NOTHING = Counts()


def summary(folder: MemoryFolder) -> Json:
    """The status of a folder; a paused folder has no state and no files."""
    runs = folder.is_running
    here, everywhere = (folder.here(), folder.everywhere()) if runs else (NOTHING, NOTHING)
    lacks = folder.lacks() if runs else NOTHING
    changed = folder.changed_here() if runs and folder.receives_only else NOTHING
    errors = len(folder.errors) if runs else 0
    sequence = folder.index.sequence if runs else 0
    return {
        **_numbers("global", everywhere, "Deleted"),
        **_numbers("local", here, "Deleted"),
        **_numbers("need", lacks, "Deletes"),
        **_numbers("receiveOnlyChanged", changed, "Deletes"),
        "receiveOnlyTotalItems": changed.total,
        "state": folder.state if runs else "",
        "error": folder.error if runs else "",
        "errors": errors,
        "pullErrors": errors,
        "sequence": sequence,
        "version": sequence,
        "inSyncFiles": everywhere.files - lacks.files,
        "inSyncBytes": everywhere.bytes - lacks.bytes,
    }


def completion(folder: MemoryFolder, device: str, state: str | None) -> Json:
    """The believed completion of a folder at a device or LOCAL; `state` is the device's state."""
    lacks, everywhere = folder.lacks(device), folder.everywhere()
    percent = 100 * (1 - lacks.bytes / everywhere.bytes) if everywhere.bytes else 100
    return {
        "completion": 95 if lacks.deleted and not lacks.bytes else percent,
        "globalBytes": everywhere.bytes,
        "globalItems": everywhere.items,
        "needBytes": lacks.bytes,
        "needItems": lacks.items,
        "needDeletes": lacks.deleted,
        "remoteState": state or "unknown",
        "sequence": folder.index.sequence_of(device),
    }


def needed(folder: MemoryFolder, most: int) -> Json:
    """The first of what is needed here."""
    rest = [
        {
            "name": file.name,
            "size": file.size,
            "deleted": file.deleted,
            "modifiedBy": file.modified_by,
            "version": [f"{device}:{count}" for device, count in file.version],
        }
        for file in folder.index.needed(LOCAL)[:most]
    ]
    return {"page": 1, "perpage": most, "progress": [], "queued": [], "rest": rest}


def _numbers(prefix: str, counts: Counts, deleted: str) -> Json:
    return {
        f"{prefix}Files": counts.files,
        f"{prefix}Directories": counts.directories,
        f"{prefix}Symlinks": counts.symlinks,
        f"{prefix}{deleted}": counts.deleted,
        f"{prefix}Bytes": counts.bytes,
        f"{prefix}TotalItems": counts.total,
    }
