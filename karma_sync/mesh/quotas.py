"""Pauses folders that are too large, and tries them again every hour.

The sizes are Syncthing's figures. A peer can make a figure too high; then the folder that it filled
is paused. A peer cannot hide files: Syncthing counts what it is about to fetch.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import World, folder_title, outboxes
from karma_sync.paths import holds_documents, is_door
from karma_sync.runtime.event_log import EventLog
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.syncthing.wire import FolderStatus

RETRY_AFTER = timedelta(hours=1)


def above_quota(folder: str, files: int, size: int) -> str:
    """The reason why a folder of `size` bytes in so many files is too large; "" if it is not."""
    if is_door(folder):
        return _above("bytes", size, limits.DOOR_BYTES) or _above("files", files, limits.DOOR_FILES)
    if not holds_documents(folder):
        return _above("bytes", size, limits.CHANNEL_BYTES)
    return _above("bytes", size, limits.METADATA_BYTES) or _above(
        "files", files, limits.METADATA_FILES
    )


def _above(what: str, count: int, most: int) -> str:
    return f"it is paused: it holds more than {most:,} {what}" if count > most else ""


class Quotas:
    """The folders that are too large, kept in work.db; `changed` is called when the set changes."""

    def __init__(
        self,
        store: Database,
        event_log: EventLog,
        now: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._event_log = event_log
        self._now = now
        self._changed = changed

    def folders(self) -> frozenset[str]:
        """The IDs of the folders that must be paused now."""
        with self._store.reading() as tx:
            found = work.too_large.all(tx)
        return frozenset(f.folder for f in found if self._now() < f.since + RETRY_AFTER)

    def check_status(self, world: World, folder: str, status: FolderStatus) -> None:
        """Compare a folder's size with its limit, and record whether it is too large."""
        if not status.state:
            return  # a paused folder has no figures
        mine = folder in {channel.id for channel in outboxes(world)}
        size = status.local_bytes if mine else status.global_bytes
        why = above_quota(folder, status.global_files, size)
        with self._store.transaction() as tx:
            known = work.too_large.get(tx, folder)
            if why:
                row = work.TooLarge(folder=folder, why=why, since=self._now())
                work.too_large.put(tx, row)
            elif known:
                work.too_large.drop(tx, folder=folder)
        title = folder_title(world, folder)
        if why:
            self._event_log.record_fault("too large", title, why)
        elif known:
            self._event_log.record_end(title, "it is small enough again")
        if why or known:
            self._changed()
