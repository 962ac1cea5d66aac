"""The state of the archive, for `status` and other commands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from karma_sync.archive.holdings import Holdings, holdings
from karma_sync.errors import DatabaseUnusable
from karma_sync.settings import ArchiveSettings

# The time for which `status` offers to purge projects that the agent purged.
_OFFERED = timedelta(days=30)


@dataclass(frozen=True)
class ArchiveStatus:
    """The settings of the archive and what it holds; `fault` is the reason if it cannot be read."""

    settings: ArchiveSettings
    holdings: Holdings = Holdings()
    fault: str = ""


def archive_status(database: Path, settings: ArchiveSettings, now: datetime) -> ArchiveStatus:
    """The archive at `now`, from archive.db."""
    try:
        since_ms = int((now - _OFFERED).timestamp() * 1000)
        return ArchiveStatus(settings, holdings(database, since_ms))
    except DatabaseUnusable as error:
        return ArchiveStatus(settings, fault=str(error))
