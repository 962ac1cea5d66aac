"""Folders that grew too large are paused, and tried again every hour.

How large one is, Syncthing says: peers can make that figure too high, and then what they did is
paused. It cannot hide files from us: what it counts is what it is about to fetch.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import World, folder_title, outboxes
from karma_sync.paths import is_metadata_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.syncthing.wire import FolderStatus


def above_quota(folder: str, files: int, size: int) -> str:
    """Why a folder with so many files, of so many bytes, is too large; "" if it is not."""
    if not is_metadata_folder(folder):
        return _above("bytes", size, limits.CHANNEL_BYTES)
    return _above("bytes", size, limits.METADATA_BYTES) or _above(
        "files", files, limits.METADATA_FILES
    )


def _above(what: str, count: int, most: int) -> str:
    return f"it is paused: it holds more than {most:,} {what}" if count > most else ""


TRIED_AGAIN = timedelta(hours=1)


class Quotas:
    """Which folders are too large; `changed` is called when that is another set."""

    def __init__(
        self,
        store: Database,
        notes: EventLog,
        now: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._notes = notes
        self._now = now
        self._changed = changed

    def folders(self) -> frozenset[str]:
        """The folders that are to be paused now."""
        with self._store.reading() as tx:
            found = work.too_large.all(tx)
        return frozenset(f.folder for f in found if self._now() < f.since + TRIED_AGAIN)

    def judge(self, world: World, folder: str, status: FolderStatus) -> None:
        """Look at a folder's size; a paused one has none to look at."""
        if not status.state:
            return
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
            self._notes.record_fault("too large", title, why)
        elif known:
            self._notes.record_end(title, "it is small enough again")
        if why or known:
            self._changed()
