"""Stores the ledger in work.db: which sessions left through which channel, recalls, confirmations.

The ledger answers what others may have of this member, also after a session was withdrawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from karma_sync.domain.session.profile import FileKind, kind_of
from karma_sync.domain.value import Value
from karma_sync.store.database import Transaction
from karma_sync.store.table import Table

if TYPE_CHECKING:
    from karma_sync.domain.session.manifest import Manifest, Retraction

TABLES = """
    CREATE TABLE departed (
        folder TEXT, item TEXT, body TEXT NOT NULL, PRIMARY KEY (folder, item)) WITHOUT ROWID;
    CREATE TABLE recall (
        folder TEXT PRIMARY KEY, through INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        swept INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE confirmed (
        folder TEXT, member TEXT, revision INTEGER NOT NULL,
        PRIMARY KEY (folder, member)) WITHOUT ROWID
"""


class Departed(Value, frozen=True, kw_only=True):
    """One session as it last left through a channel, for `project` and `team` (the team's id).

    `first` and `revision` are Unix milliseconds, because revisions are moments. `size` is in bytes
    before compression. `kinds` are the kinds of its files. `withdrawn` is the revision of its
    retraction; 0 if it is not withdrawn. If the ledger was rebuilt from an outbox, `first` is the
    revision that was found there, and of a withdrawn item only the ids and the retraction's
    revision are known.
    """

    folder: str
    item: str
    team: str = ""
    project: str = ""
    agent: str = ""
    session: str = ""
    first: int
    revision: int
    size: int = 0
    redactions: dict[str, int] = {}
    redactor: str = ""
    kinds: tuple[FileKind, ...] = ()
    withdrawn: int = 0


@dataclass(frozen=True)
class Recall:
    """A recall: everything that left with a revision up to `through` is replaced or withdrawn.

    `at_ms` is when the recall began (Unix milliseconds). `swept` is true if no such revision is
    left in the outbox.
    """

    folder: str
    through: int
    at_ms: int
    swept: bool

    def finished(self) -> "Recall":
        """The recall after the last such revision left the outbox."""
        return replace(self, swept=True)


departed = Table("departed", Departed, ["folder", "item"])


def row_of(folder: str, manifest: "Manifest", first: int) -> Departed:
    """The ledger's row for an item with this manifest; `first` is its first revision."""
    return Departed(
        folder=folder,
        item=manifest.item,
        team=manifest.team,
        project=manifest.project,
        agent=manifest.session.wrote,
        session=manifest.session.session_id,
        first=first,
        revision=manifest.revision,
        size=manifest.size,
        redactions=manifest.redactions,
        redactor=manifest.redactor,
        kinds=tuple(sorted({kind_of(file.path) for file in manifest.files})),
    )


def row_of_withdrawn(folder: str, retraction: "Retraction") -> Departed:
    """The ledger's row for an item of which only the retraction is known."""
    return Departed(
        folder=folder,
        item=retraction.item,
        team=retraction.team,
        project=retraction.project,
        first=retraction.revision,
        revision=retraction.revision,
        withdrawn=retraction.revision,
    )


def record_sent(tx: Transaction, folder: str, manifest: "Manifest") -> None:
    """Record that an item left, for the first time or again."""
    before = departed.get(tx, folder, manifest.item)
    first = before.first if before else manifest.revision
    departed.put(tx, row_of(folder, manifest, first))


def record_withdrawn(tx: Transaction, folder: str, item: str, revision: int) -> None:
    """Record that an item was retracted under this revision."""
    before = departed.get(tx, folder, item)
    known = before or Departed(folder=folder, item=item, first=revision, revision=revision)
    departed.put(tx, known.changed(withdrawn=revision))


def revisions(tx: Transaction, folder: str) -> dict[str, int]:
    """The revisions of all items that left through a channel and are not withdrawn, by item."""
    rows = departed.all(tx, folder=folder)
    return {row.item: row.revision for row in rows if not row.withdrawn}


def put_recall(tx: Transaction, recall: Recall) -> None:
    """Store the recall of a channel; it replaces an earlier one."""
    tx.execute(
        "INSERT OR REPLACE INTO recall VALUES (?, ?, ?, ?)",
        [recall.folder, recall.through, recall.at_ms, recall.swept],
    )


def get_recall(tx: Transaction, folder: str) -> Recall | None:
    """The latest recall of a channel; None if there was none."""
    row = tx.execute("SELECT * FROM recall WHERE folder = ?", [folder]).fetchone()
    return Recall(folder, row["through"], row["at_ms"], bool(row["swept"])) if row else None


def retractions(tx: Transaction, folder: str) -> list[tuple[str, int]]:
    """The retractions of a channel as (item, revision), in the order of revisions."""
    rows = departed.all(tx, folder=folder)
    found = sorted((row.withdrawn, row.item) for row in rows if row.withdrawn)
    return [(item, revision) for revision, item in found]


def confirm(tx: Transaction, folder: str, member: str, revision: int) -> None:
    """Record that `member` (a key) has exactly what had left up to `revision`.

    `revision` was the highest revision of the channel at that time.
    """
    tx.execute(
        "INSERT INTO confirmed VALUES (?, ?, ?) ON CONFLICT (folder, member)"
        " DO UPDATE SET revision = excluded.revision WHERE revision < excluded.revision",
        [folder, member, revision],
    )


def confirmed(tx: Transaction, folder: str) -> dict[str, int]:
    """The highest revision up to which each member had everything, by member key."""
    rows = tx.execute("SELECT member, revision FROM confirmed WHERE folder = ?", [folder])
    return {row["member"]: row["revision"] for row in rows}


def named_chunks(tx: Transaction, folder: str, items: Iterable[str]) -> set[str]:
    """The hashes of the chunks that these items of a channel name, as far as work.db knows."""
    wanted = set(items)
    rows = tx.execute("SELECT sha256, item FROM chunk_ref WHERE folder = ?", [folder])
    return {row["sha256"] for row in rows if row["item"] in wanted}
