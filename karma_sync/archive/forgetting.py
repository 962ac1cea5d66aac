"""Forgets archived sessions: those that a person purges, and those beyond the limits."""

from collections.abc import Iterable
from pathlib import Path

from karma_sync.archive import store
from karma_sync.archive.indexing import ArchiveIndexer
from karma_sync.archive.pack import pack_path
from karma_sync.archive.store import ArchivedSession, Key
from karma_sync.store.database import Database

# Marks in archive.db: nothing last written up to FLOOR (Unix nanoseconds) fits into the QUOTA.
_FLOOR = "floor_ns"
_QUOTA = "quota"


class Forgetter:
    """Deletes sessions from the archive at `root`, with their packs."""

    def __init__(self, root: Path, database: Database, index: ArchiveIndexer) -> None:
        self._root = root
        self._store = database
        self._index = index

    def purge(self, keys: Iterable[Key], now_ms: int) -> None:
        """Forget sessions for good at `now_ms` (Unix milliseconds): they are not archived again."""
        wanted = list(keys)
        with self._store.transaction() as tx:
            self._index.forget(tx, wanted)
            for key in wanted:
                store.put_purged(tx, key, now_ms)
                store.drop_session(tx, key)
        self._delete(wanted)

    def limit(self, oldest_ns: int, quota: int) -> None:
        """Forget sessions last written before `oldest_ns`, and the oldest beyond `quota` bytes.

        `oldest_ns` is in Unix nanoseconds; 0 stands for no limit in both. Of the quota, the session
        that was written last always stays.
        """
        with self._store.reading() as tx:
            rows = store.all_sessions(tx).values()
        newest_first = sorted(rows, key=lambda row: row.changed_ns, reverse=True)
        dropped = _beyond(newest_first, oldest_ns, quota)
        if not dropped:
            return
        with self._store.transaction() as tx:
            self._index.forget(tx, [row.key for row in dropped])
            for row in dropped:
                store.drop_session(tx, row.key)
            floor = max((r.changed_ns for r in dropped if r.changed_ns >= oldest_ns), default=0)
            known = store.mark(tx, _FLOOR) if store.mark(tx, _QUOTA) == quota else 0
            store.put_mark(tx, _FLOOR, max(floor, known))
            store.put_mark(tx, _QUOTA, quota)
        self._delete([row.key for row in dropped])

    def floor_ns(self, quota: int) -> int:
        """Nothing last written up to this moment (Unix nanoseconds) fits into a quota of bytes.

        0 if nothing was dropped under this quota yet. So what was dropped is not archived again
        from a source that still exists.
        """
        if not quota:
            return 0
        with self._store.reading() as tx:
            return store.mark(tx, _FLOOR) if store.mark(tx, _QUOTA) == quota else 0

    def _delete(self, keys: Iterable[Key]) -> None:
        for key in keys:
            path = pack_path(self._root, key, 0)
            for each in path.parent.glob(f"{path.name.partition('.')[0]}.*.pack"):
                each.unlink(missing_ok=True)
        self._index.remove_rests()
        self._store.checkpoint()  # deleted text must not stay in the write-ahead log


def _beyond(
    newest_first: Iterable[ArchivedSession], oldest_ns: int, quota: int
) -> list[ArchivedSession]:
    dropped, used = [], 0
    for number, row in enumerate(newest_first):
        used += row.length
        if row.changed_ns < oldest_ns or (quota and used > quota and number):
            dropped.append(row)
    return dropped
