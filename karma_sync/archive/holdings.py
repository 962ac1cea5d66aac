"""Sums over the archive for `status`: numbers, and no text of a session.

A module of its own, because `status` loads nothing else of the archive.
"""

from dataclasses import dataclass
from pathlib import Path

from karma_sync.store.read_only import reading_own


@dataclass(frozen=True)
class PurgedProject:
    """A project whose sessions the agent deleted before its own clean-up would have.

    `directory` is the first in which its sessions worked, `sessions` are those in the archive.
    """

    directory: str
    sessions: int


@dataclass(frozen=True)
class Holdings:
    """The content of the archive, in numbers.

    `size` is in bytes before compression, `stored` after it. `kept` sessions are those that the
    agent no longer has. `oldest_ms` is when the oldest was last active (Unix milliseconds).
    """

    sessions: int = 0
    size: int = 0
    stored: int = 0
    kept: int = 0
    oldest_ms: int = 0
    purged: tuple[PurgedProject, ...] = ()


def holdings(database: Path, since_ms: int) -> Holdings:
    """The content of the archive, and the projects that the agent purged since a moment.

    `since_ms` is in Unix milliseconds.

    Raises:
        DatabaseUnusable: archive.db cannot be read.
    """
    if not database.exists():
        return Holdings()
    with reading_own(database) as tx:
        row = tx.execute(
            "SELECT count(*) AS sessions, coalesce(sum(size), 0) AS size,"
            " coalesce(sum(length), 0) AS stored, coalesce(sum(gone_ms > 0), 0) AS kept,"
            " coalesce(min(active_ms), 0) AS oldest_ms FROM session"
        ).fetchone()
        rows = tx.execute(
            "SELECT min(nullif(cwd, '')) AS directory, count(*) AS sessions FROM session"
            " WHERE (home, folder) IN"
            " (SELECT home, folder FROM session WHERE early AND gone_ms > ?)"
            " GROUP BY home, folder HAVING min(gone_ms) > 0"
            " AND directory IS NOT NULL ORDER BY directory",
            [since_ms],
        ).fetchall()
    found = tuple(PurgedProject(**dict(each)) for each in rows)
    return Holdings(**dict(row), purged=found)
