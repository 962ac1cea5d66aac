"""Keeps the observations of the library, and their index, equal to the newest revisions."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from karma_sync.domain import limits
from karma_sync.domain.session.manifest import Manifest
from karma_sync.domain.session.observation import OBSERVATIONS, Observation, decoded, lines_of
from karma_sync.domain.value import Verified
from karma_sync.store import observations, search_index
from karma_sync.store.database import Transaction
from karma_sync.store.search_index import IndexedFile, IndexedItem

_FILE = IndexedFile(OBSERVATIONS, 1)
_IMPORTED, _SKIPPED = "imported", "skipped"


class CheckedObservations(Protocol):
    """The records of an item that were verified, and how many were not, by reason code."""

    @property
    def found(self) -> Verified[tuple[Observation, ...]]: ...
    @property
    def refused(self) -> Mapping[str, int]: ...


@dataclass(frozen=True)
class Checked:
    """The verified records of a revision: all of them, or those that it changed.

    `gone` are the ids in what the revision before had instead; None if all was verified.
    """

    records: CheckedObservations
    gone: Set[str] | None


def ids_in(pieces: Iterable[bytes]) -> frozenset[str] | None:
    """The ids of the records in whole lines; None if a line is no record."""
    lines = lines_of(b"".join(pieces))
    try:
        return frozenset(decoded(line).id for line in lines)
    except msgspec.MsgspecError:
        return None


class ObservationIndex:
    """Writes the observations of items; the caller holds the transaction.

    `version` is that of the whole index.
    """

    def __init__(self, version: str) -> None:
        self._version = version

    def is_whole(self, tx: Transaction, place: observations.Place, author: str) -> bool:
        """Whether the rows of an item are all records of its revision, and all by this member.

        Then it is enough to read what a new revision changes.
        """
        left_out = observations.results(tx).get(place, {"": 1}).keys() - {_IMPORTED, _SKIPPED}
        return not left_out and observations.authors_of(tx, place) <= {author}

    def fits(self, tx: Transaction, place: observations.Place, checked: Checked) -> bool:
        """Whether what a revision changed can be taken over without the rest of it.

        It cannot if an id comes twice, or there would be more records than an item may have.
        """
        found = [record.id for record in checked.records.found.value]
        known = observations.known_ids(tx, place, found)
        gone = checked.gone or frozenset()
        count = observations.count_of(tx, place) + len(found) - len(known)
        return known <= gone and count <= limits.OBSERVATIONS_PER_ITEM

    def replace(self, tx: Transaction, folder: str, manifest: Manifest, checked: Checked) -> bool:
        """Take over the records of a new revision; whether text was replaced or removed."""
        place = folder, manifest.item
        found = checked.records.found.value
        change = observations.replace_all(tx, place, manifest.project, found, checked.gone)
        live = sum(not record.deleted for _, record in change.added)
        counts = {_IMPORTED: live, _SKIPPED: change.kept, **checked.records.refused}
        observations.put_result(tx, place, counts)
        item = self._item(tx, folder, manifest.item)
        if change.removed:
            numbers = [number for number, _ in change.removed]
            ids = search_index.passage_ids(tx, item, _FILE.number, numbers)
            gone = [(ids[number], each) for number, each in change.removed if number in ids]
            search_index.remove(tx, item, ((n, observations.texts_of(each)) for n, each in gone))
            search_index.leave_rests(tx, item)
        self._add(tx, item, change.added)
        search_index.put_item(tx, item, manifest.revision, "", 0)
        return bool(change.removed)

    def index_again(self, tx: Transaction, folder: str, item: str, revision: int) -> None:
        """Index all records of an item of which the index has nothing."""
        known = self._item(tx, folder, item)
        self._add(tx, known, observations.all_of(tx, (folder, item)))
        search_index.put_item(tx, known, revision, "", 0)

    def drop(self, tx: Transaction, folder: str, item: str) -> None:
        """Delete the records of an item, and take them out of the index."""
        known = search_index.get_item(tx, folder, item)
        if known is not None:
            ids = search_index.passage_ids(tx, known, _FILE.number)
            rows = [each for each in observations.all_of(tx, (folder, item)) if each[0] in ids]
            search_index.remove(
                tx, known, ((ids[n], observations.texts_of(record)) for n, record in rows)
            )
            search_index.drop_item(tx, known)
            search_index.leave_rests(tx, known)
        observations.drop(tx, (folder, item))

    def _item(self, tx: Transaction, folder: str, item: str) -> IndexedItem:
        known = search_index.get_item(tx, folder, item)
        if known is None:
            channel = search_index.open_channel(tx, folder, self._version)
            known = search_index.add_item(tx, channel, folder, item)
            search_index.put_file(tx, known, _FILE)
        return known

    def _add(
        self, tx: Transaction, item: IndexedItem, added: Iterable[tuple[int, Observation]]
    ) -> None:
        passages = [
            observations.passage_of(number, record, _seconds(record.updated or record.created))
            for number, record in added
            if not record.deleted
        ]
        if passages:
            search_index.add(tx, item, _FILE.number, passages)


def _seconds(moment: str) -> int:
    """A moment as a record has it, in Unix seconds; 0 if it has none."""
    try:
        return int(datetime.fromisoformat(moment).timestamp()) if moment else 0
    except (ValueError, OverflowError):
        return 0
