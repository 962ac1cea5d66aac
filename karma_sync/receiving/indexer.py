"""Keeps the full-text index equal to what the library holds, within the importer's transaction.

Of a file that grew, only what is new is read. Text that is no longer part of an item is taken out
in the transaction that drops it, while its chunks are still there to be read.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from karma_sync.agents.growing_file import lines_before_too_long, skipped
from karma_sync.agents.read_ahead import MUCH_BYTES
from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.session.manifest import ItemFile, Manifest
from karma_sync.domain.session.passage import Extractor, Texts, passages_of
from karma_sync.domain.session.profile import ItemKind
from karma_sync.errors import Unverified
from karma_sync.receiving.index_ahead import AheadEnded, AheadFailed, IndexAhead
from karma_sync.receiving.observations import ObservationIndex
from karma_sync.store import activity, library, observations, search_index
from karma_sync.store.database import Database, Transaction
from karma_sync.store.record_ids import CopiedRecords
from karma_sync.store.search_index import Extracted, IndexedFile, IndexedItem, TextIsLost

# Content indexed in one transaction: each has the index merge and write its pages anew.
_BATCH_BYTES = 30_000_000

_RECORDS = "records-3"  # raise it if other ids of records are stored, or other copies count

Items = Sequence[tuple[str, str]]  # (folder, item) each

log = logging.getLogger(__name__)


class _Damaged(Exception):
    """The library's files of an item cannot be read."""

    def __init__(self, folder: str, item: str) -> None:
        super().__init__(item)
        self.place = folder, item


class Indexer:
    """Indexes items; `root` is the library's directory, `extractors` are by agent program.

    If there are `much` bytes of new items, a second process reads them ahead.
    """

    def __init__(
        self, root: Path, extractors: Mapping[str, Extractor], much: int = MUCH_BYTES
    ) -> None:
        self._root = root
        self._extractors = extractors
        versions = sorted(each.version for each in extractors.values())
        self._version = " ".join([*versions, _RECORDS])
        self._is_behind = True  # not known since the start
        self._ahead: IndexAhead | None = None
        self._unread: set[tuple[str, str]] = set()  # (folder, item) that it could not read
        self._much = much
        self.observations = ObservationIndex(self._version)

    def update(
        self, tx: Transaction, folder: str, manifest: Manifest, tails: Mapping[str, bytes]
    ) -> None:
        """Index a new revision, before the library replaces the row of the previous one.

        The chunks of both revisions, and the previous one's item file, must still be kept. `tails`
        are the ends of the new revision's files, by path. An item that the index does not have yet
        is left to `complete`, which indexes many at a time.
        """
        if search_index.get_item(tx, folder, manifest.item) is None:
            self._is_behind = True
            return
        new = _Content(KeptContent(self._root, folder, manifest), tails)
        try:
            self._update(tx, new)
        except TextIsLost:
            self._rebuild(tx, folder, without=manifest.item)
            self._update(tx, new)

    def drop(self, tx: Transaction, folder: str, item: str) -> None:
        """Take an item out, before the library drops its row and its files."""
        if _is_of_observations(tx, folder, item):
            self.observations.drop(tx, folder, item)
            return
        known = search_index.get_item(tx, folder, item)
        if known is None:
            return
        try:
            for file in search_index.files(tx, known).values():
                self._remove(tx, folder, item, (known, file))
        except TextIsLost:
            self._rebuild(tx, folder, without=item)
            return
        search_index.put_item(tx, known, 0, "", 0)
        search_index.drop_item(tx, known)
        search_index.leave_rests(tx, known)

    def drop_channel(self, tx: Transaction, folder: str) -> None:
        """Take everything out that came through a channel."""
        search_index.drop_channel(tx, folder)
        observations.drop_channel(tx, folder)

    def complete(self, store: Database) -> bool:
        """Index some items that the index lacks; return whether any are left.

        One call takes a fraction of a second. Items indexed by earlier rules are indexed again.
        """
        if not self._is_behind:
            return False
        try:
            left = self._index_batch(store)
        except _Damaged as damaged:
            # the others are indexed again: with a savepoint for each, FTS5 would write each alone
            with store.transaction() as tx:
                self._skip(tx, *damaged.place)
            return True
        except AheadFailed:
            return True  # the next call reads that item here, and finds the fault
        except AheadEnded:
            self._much = sys.maxsize  # it does not work here; this process goes on alone
            self.close()
            return True
        self._is_behind = left
        if not left:
            self.close()
        return left

    def _index_batch(self, store: Database) -> bool:
        """Index about as much as one transaction takes; whether anything is left."""
        with store.transaction() as tx:
            for folder in search_index.outdated_channels(tx, self._version):
                search_index.drop_channel(tx, folder)
            missing = library.unindexed(tx)
            is_starting = self._start_ahead(tx, store, missing)
            left = _BATCH_BYTES
            while missing and left > 0:
                left -= self._add_kept(tx, *missing.pop(), self._ahead)
        if self._ahead and is_starting:  # while it started, this process was not idle
            self._ahead.request(reversed(missing))
        return bool(missing)

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead:
            self._ahead.close()
        self._ahead = None
        self._unread.clear()

    def _start_ahead(self, tx: Transaction, store: Database, missing: Items) -> bool:
        """Start a second process if these items are many; whether it was started now."""
        is_worth_it = (os.cpu_count() or 1) > 1 and self._ahead is None
        if not is_worth_it or library.content_size(tx, missing) < self._much:
            return False
        self._ahead = IndexAhead(self._root, store.path)
        return True

    def _update(self, tx: Transaction, new: "_Content", ahead: IndexAhead | None = None) -> None:
        folder, manifest = new.kept.folder, new.kept.manifest
        channel = search_index.open_channel(tx, folder, self._version)
        item = search_index.get_item(tx, folder, manifest.item)
        item = item or search_index.add_item(tx, channel, folder, manifest.item)
        extractor = self._extractors.get(manifest.session.agent)
        read = [f for f in manifest.files if extractor and extractor.reads(f.path)]
        known = search_index.files(tx, item)
        number = max((file.number for file in known.values()), default=search_index.TITLE)
        going = {f.path for f in read if f.path in known and new.continues(f, known[f.path])}
        for path in known.keys() - going:
            self._remove(tx, folder, manifest.item, (item, known[path]))
            search_index.drop_file(tx, item, path)
            search_index.leave_rests(tx, item)
        for file in read:
            number += file.path not in going
            was = known[file.path] if file.path in going else IndexedFile(file.path, number)
            if extractor and (was.size < file.size or not was.fingerprint):
                growth = _Growth(new, file, was)
                pieces = ahead.pieces(file.path) if ahead else growth.pieces(extractor)
                self._add(tx, item, growth, pieces)
        if library.redactor_of(tx, folder, manifest.item) not in (None, manifest.redactor):
            search_index.leave_rests(tx, item)  # newer rules may have cut from the title
        activity.place(tx, item.number, manifest.project)
        facts = manifest.session
        search_index.put_item(
            tx, item, manifest.revision, facts.title, _seconds(facts.last_activity)
        )

    def _add(
        self, tx: Transaction, item: IndexedItem, growth: "_Growth", pieces: Iterable[Extracted]
    ) -> None:
        """Index the lines of a file that follow what was indexed before."""
        manifest = growth.content.kept.manifest
        copies = CopiedRecords(tx, item.number, manifest.member, manifest.session.session_id)
        at = search_index.add_lines(tx, item, growth.was, pieces, copies.among)
        search_index.put_file(tx, item, growth.until(at))

    def _remove(
        self, tx: Transaction, folder: str, item: str, which: tuple[IndexedItem, IndexedFile]
    ) -> None:
        """Take all passages of one file out, by the text that the library still keeps.

        Raises:
            TextIsLost: the kept text is not what was indexed, or cannot be read.
        """
        known, indexed = which

        def texts(ids: dict[int, int]) -> Iterator[tuple[int, Texts]]:
            return self._texts(tx, folder, item, indexed.path, ids)

        search_index.remove_file(tx, known, indexed, texts)

    def _texts(
        self, tx: Transaction, folder: str, item: str, path: str, ids: dict[int, int]
    ) -> Iterator[tuple[int, Texts]]:
        """The passages with these ids, by where they begin; takes out of `ids` what it found."""
        manifest = _kept_manifest(tx, folder, item)
        if manifest is None:
            raise TextIsLost
        extractor = self._extractors.get(manifest.session.agent)
        file = next((f for f in manifest.files if f.path == path), None)
        if extractor is None or file is None:
            raise TextIsLost
        kept = KeptContent(self._root, folder, manifest)
        try:
            for passage in passages_of(lines_before_too_long(kept.pieces(file)), extractor):
                if passage.at in ids:
                    yield ids.pop(passage.at), passage.texts
        except (OSError, Unverified) as error:
            raise TextIsLost from error

    def _rebuild(self, tx: Transaction, folder: str, without: str) -> None:
        """Make a channel's table again from what the library keeps, without one item."""
        search_index.drop_channel(tx, folder)
        for item in library.revisions(tx, folder):
            if item != without:
                try:
                    with search_index.all_or_nothing(tx):
                        self._add_kept(tx, folder, item)
                except _Damaged:
                    self._skip(tx, folder, item)

    def _add_kept(
        self, tx: Transaction, folder: str, item: str, ahead: IndexAhead | None = None
    ) -> int:
        """Index an item from the files of the library; its size in bytes.

        Raises:
            _Damaged: they cannot be read.
            AheadEnded, AheadFailed: `ahead` cannot give them; nothing of them is indexed.
        """
        manifest = _kept_manifest(tx, folder, item)
        if manifest is None:
            return 0
        if manifest.kind is ItemKind.OBSERVATIONS:
            self.observations.index_again(tx, folder, item, manifest.revision)
            return manifest.size
        kept = KeptContent(self._root, folder, manifest)
        is_new = search_index.get_item(tx, folder, item) is None
        if (folder, item) in self._unread or not is_new:
            ahead = None
        try:
            given = ahead if ahead and ahead.begin(folder, item, manifest.revision) else None
            self._update(tx, _Content(kept, kept.tails()), given)
        except AheadFailed:
            self._unread.add((folder, item))
            raise
        except (OSError, Unverified, TextIsLost) as error:
            raise _Damaged(folder, item) from error
        return manifest.size

    def _skip(self, tx: Transaction, folder: str, item: str) -> None:
        """Leave out an item whose files cannot be read."""
        log.warning("item %s cannot be searched: its files in the library are damaged", item)
        manifest = _kept_manifest(tx, folder, item)
        if manifest is not None:
            search_index.skip_item(tx, folder, item, manifest.revision, self._version)


@dataclass(frozen=True)
class _Content:
    """A revision that is being imported: its chunks are kept already, its item file is not yet."""

    kept: KeptContent
    tails: Mapping[str, bytes]

    def pieces(self, file: ItemFile, first: int) -> Iterator[bytes]:
        """A file's content from its chunk number `first` on."""
        for sha, size in file.chunks[first:]:
            yield self.kept.chunk(sha, size)
        yield self.tails[file.path]

    def continues(self, file: ItemFile, was: IndexedFile) -> bool:
        """Whether the file begins with all that was indexed of it."""
        if file.size < was.size or len(file.chunks) < was.chunks:
            return False
        return _Growth(self, file, was).fingerprint(was.chunks, was.size) == was.fingerprint


@dataclass(frozen=True)
class _Growth:
    """The part of a file that was added after it was indexed."""

    content: _Content
    file: ItemFile
    was: IndexedFile

    def pieces(self, extractor: Extractor) -> Iterator[Extracted]:
        """Yield the indexed content of the new lines, up to a line that is too long."""
        known = sum(length for _, length in self.file.chunks[: self.was.chunks])
        content = self.content.pieces(self.file, self.was.chunks)
        blocks = lines_before_too_long(skipped(content, self.was.size - known))
        return search_index.extracted(extractor, blocks, self.was.size)

    def until(self, size: int) -> IndexedFile:
        """The state after everything before byte `size` was indexed."""
        chunks, start = 0, 0
        for _, length in self.file.chunks:
            if start + length > size:
                break
            chunks, start = chunks + 1, start + length
        fingerprint = self.fingerprint(chunks, size)
        return IndexedFile(self.was.path, self.was.number, chunks, size, fingerprint)

    def fingerprint(self, chunks: int, size: int) -> str:
        """A hash over the first full chunks, and the bytes from there to byte `size`."""
        known = self.file.chunks[:chunks]
        digest = hashlib.blake2b(b"".join(bytes.fromhex(sha) for sha, _ in known), digest_size=16)
        left = size - sum(length for _, length in known)
        pieces = self.content.pieces(self.file, chunks) if left > 0 else iter(())
        for piece in pieces:
            digest.update(memoryview(piece)[:left])
            left -= len(piece)
            if left <= 0:
                break
        return digest.hexdigest()


def _kept_manifest(tx: Transaction, folder: str, item: str) -> Manifest | None:
    body = library.kept_body(tx, folder, item)
    return Manifest.model_validate_json(body) if body else None


def _is_of_observations(tx: Transaction, folder: str, item: str) -> bool:
    manifest = _kept_manifest(tx, folder, item)
    return manifest is not None and manifest.kind is ItemKind.OBSERVATIONS


def _seconds(moment: datetime | None) -> int:
    try:
        return int(moment.timestamp()) if moment else 0
    except (OverflowError, ValueError):
        return 0
