"""Indexes archived sessions, so that the person finds them; the index lies in archive.db.

It is the index that a library has (store/search_index.py), with one channel for the archive. Each
version of a transcript is indexed once, and grows with it.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from karma_sync.agents.growing_file import lines_before_too_long
from karma_sync.archive import index, store
from karma_sync.archive.pack import DamagedPack, contents, entries, open_pack, pack_path
from karma_sync.archive.store import ArchivedFile, ArchivedSession, Key
from karma_sync.domain.session.passage import Extractor, Texts, passages_of
from karma_sync.store import activity, search_index
from karma_sync.store.database import Database, Transaction
from karma_sync.store.record_ids import CopiedRecords
from karma_sync.store.search_index import IndexedFile, IndexedItem, TextIsLost

# Content indexed in one transaction.
_BATCH_BYTES = 30_000_000
_LOST = (DamagedPack, OSError)
_RECORDS = "records-2"  # raise it if other copies count

log = logging.getLogger(__name__)


OfOthers = Callable[[str, Collection[int]], Collection[int]]
"""Return the records of a session, by number, that the library also has in other sessions."""


def no_others(session: str, numbers: Collection[int]) -> Collection[int]:
    """Tells of no record that another session has it."""
    return ()


class _Damaged(Exception):
    """The pack of a session cannot be read."""

    def __init__(self, key: Key) -> None:
        super().__init__(index.item_of(key))
        self.key = key


class ArchiveIndexer:
    """Indexes what the archive at `root` holds; `extractors` are by agent program.

    A record that the library has `of_others` counts there: the session is a fork.
    """

    def __init__(
        self,
        root: Path,
        database: Database,
        extractors: Mapping[str, Extractor],
        of_others: OfOthers = no_others,
    ) -> None:
        self._of_others = of_others
        self._root = root
        self._store = database
        self._extractors = extractors
        versions = sorted(each.version for each in extractors.values())
        self._version = " ".join([*versions, _RECORDS])

    def index_some(self) -> bool:
        """Index some of what was archived since; whether anything is left."""
        with self._store.reading() as tx:
            missing = index.unindexed(tx)
            is_outdated = bool(search_index.outdated_channels(tx, self._version))
        if not missing and not is_outdated:
            return False
        try:
            with self._store.transaction() as tx:
                if is_outdated:
                    search_index.drop_channel(tx, index.FOLDER)
                    missing = index.unindexed(tx)
                left = _BATCH_BYTES
                while missing and left > 0:
                    left -= self._index(tx, missing.pop())
        except _Damaged as damaged:
            # the others are indexed again: with a savepoint for each, FTS5 would write each alone
            with self._store.transaction() as tx:
                self._skip(tx, damaged.key)
            return True
        return bool(missing)

    def forget(self, tx: Transaction, keys: Iterable[Key]) -> None:
        """Take sessions out of the index, before their packs are deleted.

        If the text of one can no longer be read, everything is indexed again later.
        """
        for key in keys:
            row = store.get_session(tx, key)
            item = search_index.get_item(tx, index.FOLDER, index.item_of(key))
            if row is None or item is None:
                continue
            files = {file.label: file for file in store.files_of(tx, key)}
            try:
                for indexed in search_index.files(tx, item).values():
                    self._remove(tx, row, (item, indexed), files.get(indexed.path))
            except TextIsLost:
                search_index.drop_channel(tx, index.FOLDER)
                return
            search_index.put_item(tx, item, 0, "", 0)
            search_index.drop_item(tx, item)
            search_index.leave_rests(tx, item)

    def remove_rests(self) -> None:
        """Remove the words of forgotten sessions from the database's file."""
        with self._store.reading() as tx:
            if not search_index.has_rests(tx):
                return
        with self._store.transaction() as tx:
            search_index.remove_rests(tx)

    def _index(self, tx: Transaction, key: Key) -> int:
        """Index the new content of one session; return its size in bytes.

        Raises:
            _Damaged: its pack cannot be read.
        """
        row = store.get_session(tx, key)
        if row is None:
            return 0
        try:
            self._update(tx, row)
        except _LOST as error:
            raise _Damaged(key) from error
        return row.size

    def _skip(self, tx: Transaction, key: Key) -> None:
        """Leave out a session whose pack cannot be read."""
        row = store.get_session(tx, key)
        if row is not None:
            log.warning("session %s cannot be searched: its archive is damaged", row.session)
            item = index.item_of(key)
            search_index.skip_item(tx, index.FOLDER, item, row.archived_ms, self._version)

    def _update(self, tx: Transaction, row: ArchivedSession) -> None:
        channel = search_index.open_channel(tx, index.FOLDER, self._version)
        name = index.item_of(row.key)
        item = search_index.get_item(tx, index.FOLDER, name)
        item = item or search_index.add_item(tx, channel, index.FOLDER, name)
        extractor = self._extractors.get(row.agent)
        known = search_index.files(tx, item)
        number = max((file.number for file in known.values()), default=search_index.TITLE)
        files = store.files_of(tx, row.key) if extractor else []
        for file in files:
            if extractor and extractor.reads(file.name):
                number += file.label not in known
                was = known.get(file.label, IndexedFile(file.label, number))
                if was.size < file.size:
                    self._add(tx, item, (row, file, was), extractor)
        _forget_replaced(tx, item, files, known)
        activity.place(tx, item.number, row.project)
        active = row.active_ms // 1000
        search_index.put_item(tx, item, row.archived_ms, row.about.title, active)

    def _add(
        self,
        tx: Transaction,
        item: IndexedItem,
        growth: tuple[ArchivedSession, ArchivedFile, IndexedFile],
        extractor: Extractor,
    ) -> None:
        row, file, was = growth
        blocks = lines_before_too_long(self._content(row, file, was.size))
        copies = CopiedRecords(tx, item.number, "", row.session)

        def copied(numbers: Collection[int]) -> set[int]:
            return copies.among(numbers).union(self._of_others(row.session, numbers))

        pieces = search_index.extracted(extractor, blocks, was.size)
        at = search_index.add_lines(tx, item, was, pieces, copied)
        search_index.put_file(tx, item, IndexedFile(was.path, was.number, 0, at, "grown"))

    def _remove(
        self,
        tx: Transaction,
        row: ArchivedSession,
        which: tuple[IndexedItem, IndexedFile],
        file: ArchivedFile | None,
    ) -> None:
        item, indexed = which

        def texts(ids: dict[int, int]) -> Iterator[tuple[int, Texts]]:
            return self._texts(row, file, ids)

        search_index.remove_file(tx, item, indexed, texts)

    def _texts(
        self, row: ArchivedSession, file: ArchivedFile | None, ids: dict[int, int]
    ) -> Iterator[tuple[int, Texts]]:
        """The passages with these ids; takes out of `ids` what it found."""
        extractor = self._extractors.get(row.agent)
        if file is None or extractor is None:
            raise TextIsLost
        blocks = lines_before_too_long(self._content(row, file, 0))
        try:
            for passage in passages_of(blocks, extractor):
                if passage.at in ids:
                    yield ids.pop(passage.at), passage.texts
        except _LOST as error:
            raise TextIsLost from error

    def _content(self, row: ArchivedSession, file: ArchivedFile, begin: int) -> Iterator[bytes]:
        """The content of one version of a file from byte `begin` on."""
        with open_pack(pack_path(self._root, row.key, row.generation)) as source:
            placed = entries(source, row.length)
            own = [p for p in placed if (p.entry.name, p.entry.version) == file.key]
            at = 0
            for each in own:
                end = at + each.entry.size
                if end > begin:
                    for piece in contents(source, [each]):
                        yield piece[max(0, begin - at) :]
                at = end


def _forget_replaced(
    tx: Transaction,
    item: IndexedItem,
    files: Iterable[ArchivedFile],
    before: Mapping[str, IndexedFile],
) -> None:
    """Forget the facts of replaced versions once another one is indexed; it mostly repeats them."""
    files = list(files)
    if all(file.label in before for file in files):
        return
    newest, indexed = store.newest(files), search_index.files(tx, item)
    for file in files:
        if file.label in indexed and newest[file.name].version != file.version:
            activity.drop_file(tx, item.number, indexed[file.label].number)
