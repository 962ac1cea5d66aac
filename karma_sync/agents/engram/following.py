"""Follows Engram's database: of many observations, only the rows that changed are read again.

An edit in Engram raises the revision and the time of a row, and no other row shows it. So all
rows are looked through without their texts, which takes a thousandth of the time to read them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from karma_sync.agents.engram.source import EngramSource, KnownChunks, RowReader, Rows
from karma_sync.agents.observations import SourceChanges, SourceContent, newest
from karma_sync.domain.session.observation import SourceObservation
from karma_sync.errors import KarmaError

# The columns that change whenever a row changes. The text is not needed: it never changes alone.
_TELLING = frozenset(
    {
        *("sync_id", "session_id", "type", "category", "title", "topic_key", "tool_name"),
        *("project", "scope", "revision_count", "created_at", "updated_at", "deleted_at"),
    }
)
_MOST_AT_ONCE = 500  # ids in one query
_MOST_CHANGED = 5000  # rows; of more than that, reading all is as fast

_Seen = Mapping[int, tuple[int, str]]
"""By number of a row: a hash of the columns that change with it, and its observation's id."""


@dataclass(frozen=True)
class _Base:
    """The state of the source when it was last read."""

    folders: object
    known: KnownChunks
    reader: RowReader
    seen: _Seen


class EngramFollower:
    """Reads one Engram again and again."""

    def __init__(self, source: EngramSource) -> None:
        self._source = source
        self._base: _Base | None = None

    def read(self) -> SourceContent:
        """As `ObservationFollower`."""
        self._base = None
        folders = self._source.folder_stamp()
        known = self._source.read_folders()
        found = list(known.mine)
        problems = list(known.problems)
        try:
            if self._source.database.exists():
                with self._source.opened(self._source.database) as rows:
                    found += self._all(rows, folders, known)
        except KarmaError as error:
            problems.append(str(error))
        if problems:
            self._base = None  # rows that could not be read may have changed
        live = [each for each in newest(found) if not each.record.deleted]
        return SourceContent(live, not problems, problems)

    def changes(self) -> SourceChanges | None:
        """As `ObservationFollower`."""
        base, self._base = self._base, None
        if base is None or base.folders != self._source.folder_stamp():
            return None
        try:
            with self._source.opened(self._source.database) as rows:
                return self._changed(rows, base)
        except KarmaError:
            return None  # `read` reports why

    def _all(self, rows: Rows, folders: object, known: KnownChunks) -> list[SourceObservation]:
        reader = RowReader.of(rows, known)
        if reader is None:
            return []
        names = _telling(rows)
        seen: dict[int, tuple[int, str]] = {}
        found = []
        for row in rows.execute("SELECT rowid AS row_number, * FROM observations"):
            fields = dict(row)
            number = fields.pop("row_number")
            each = reader.read(fields)
            seen[number] = (
                hash(tuple(fields[name] for name in names)),
                each.record.id if each else "",
            )
            if each is not None:
                found.append(each)
        self._base = _Base(folders, known, reader, seen)
        return found

    def _changed(self, rows: Rows, base: _Base) -> SourceChanges | None:
        reader = RowReader.of(rows, base.known)
        if reader is None or not _goes_on(base.reader, reader):
            return None
        names = _telling(rows)
        listed = ", ".join(f'"{name}"' for name in names)
        query = f"SELECT rowid, {listed} FROM observations"  # noqa: S608 names of its own columns
        hashes = {row[0]: hash(tuple(row[1:])) for row in map(tuple, rows.execute(query))}
        seen = base.seen
        fresh = [number for number, value in hashes.items() if seen.get(number, _NONE)[0] != value]
        missing = seen.keys() - hashes.keys()
        if len(fresh) + len(missing) > _MOST_CHANGED:
            return None
        found = _rows(rows, fresh, reader)
        concerned = {each.record.id for each in found.values() if each}
        concerned |= {seen[number][1] for number in (*fresh, *missing) if number in seen}
        concerned |= reader.gone - base.reader.gone
        concerned.discard("")
        if any(each.record.id in concerned for each in base.known.mine):
            return None  # a chunk has it too, perhaps in a newer version
        # several rows may have one id: the newest of them counts
        others = [n for n, (_, name) in seen.items() if name in concerned and n in hashes]
        found |= _rows(rows, [n for n in others if n not in found], reader)
        now = {n: (hashes[n], each.record.id if each else "") for n, each in found.items()}
        kept = {n: known for n, known in seen.items() if n in hashes}
        self._base = _Base(base.folders, base.known, reader, kept | now)
        read = [each for each in found.values() if each is not None]
        live = [each for each in newest(read) if not each.record.deleted]
        return SourceChanges(live, concerned - {each.record.id for each in live})


_NONE = (0, "")


def _telling(rows: Rows) -> Sequence[str]:
    """The columns that tell that a row changed, as far as this version of Engram has them."""
    columns = [row["name"] for row in rows.execute("PRAGMA table_info(observations)")]
    return [name for name in columns if name in _TELLING]


def _goes_on(before: RowReader, now: RowReader) -> bool:
    """Whether the rows that were read before would be read in the same way now."""
    return (
        before.doubtful == now.doubtful
        and before.gone <= now.gone
        and all(now.places.get(name) == place for name, place in before.places.items())
    )


def _rows(
    rows: Rows, numbers: Sequence[int], reader: RowReader
) -> dict[int, SourceObservation | None]:
    """The observations in these rows; None for one that was deleted."""
    found: dict[int, SourceObservation | None] = {}
    for start in range(0, len(numbers), _MOST_AT_ONCE):
        listed = ", ".join(str(int(number)) for number in numbers[start : start + _MOST_AT_ONCE])
        query = f"SELECT rowid AS row_number, * FROM observations WHERE rowid IN ({listed})"  # noqa: S608 numbers
        for row in rows.execute(query):
            fields: dict[str, Any] = dict(row)
            number = fields.pop("row_number")
            found[number] = reader.read(fields)
    return found
