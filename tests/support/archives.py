"""An archive in a folder of its own, with the agent's directory beside it; no daemon."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.archive.archiver import Archiver, ArchiverHooks
from karma_sync.archive.forgetting import Forgetter
from karma_sync.archive.indexing import ArchiveIndexer
from karma_sync.archive.reader import ArchivedCopy, ArchiveReader
from karma_sync.archive.schedule import (
    ArchiveParts,
    ArchiveRequests,
    ArchiveSchedule,
    ScheduleHooks,
)
from karma_sync.archive.store import open_archive
from karma_sync.archive.upkeep import Upkeep
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.runtime.worker import Wake
from karma_sync.settings import ArchiveSettings
from tests.support.transcripts import Session, write_session

PROJECT = "example.org/acme/repo"
ME = AccessScope("alice.box")
_MOST_RUNS = 1000


@dataclass
class Desk:
    """The archive, its agent, and a clock that a test sets."""

    folder: Path
    settings: ArchiveSettings = ArchiveSettings()
    shared: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    seconds: float = 1000.0
    days: float = 0.0  # that have passed

    def __post_init__(self) -> None:
        self.claude = self.folder / "claude"
        self.claude.mkdir(exist_ok=True)
        self.root = self.folder / "archive"
        self.open()

    def open(self) -> None:
        """Begin, or begin again as a new process does."""
        self.store = open_archive(self.folder / "archive.db")
        self.source = ClaudeSource([self.claude])
        self.archiver = Archiver(
            self.root, self.store, self.source, ArchiverHooks(lambda cwds: PROJECT, self.now_ms)
        )
        self.indexer = ArchiveIndexer(self.root, self.store, EXTRACTORS)
        self.forgetter = Forgetter(self.root, self.store, self.indexer)
        self.upkeep = Upkeep(self.root, self.store, lambda cwds: PROJECT)
        self.requests = ArchiveRequests(Wake(), self.source.representative)
        parts = ArchiveParts(self.source, self.archiver, self.forgetter, self.upkeep, self.indexer)
        self.schedule = ArchiveSchedule(
            self.requests,
            self.settings,
            parts,
            ScheduleHooks(
                shared=lambda: self.shared,
                report=self._report,
                monotonic=lambda: self.seconds,
                now_ns=lambda: self.now_ms() * 10**6,
            ),
        )
        self.reader = ArchiveReader(self.root, self.folder / "archive.db")

    def close(self) -> None:
        self.store.close()

    def _report(self, errors: object) -> None:
        self.errors = list(errors)  # type: ignore[call-overload] # a sequence of texts

    def now_ms(self) -> int:
        return int((datetime.now(UTC) + timedelta(days=self.days)).timestamp() * 1000)

    # ---- the agent

    def write(self, *said: str, cwd: str = "/src/repo", days_ago: float = 0) -> Session:
        """Have the agent write a session."""
        when = datetime.now(UTC) - timedelta(days=days_ago)
        return write_session(self.claude, Path(cwd), said or ("hello",), when)

    # ---- the archive

    def work(self) -> float | None:
        """Have the schedule do what is due now; returns when it is due again."""
        for _ in range(_MOST_RUNS):
            if (wait := self.schedule.run()) != 0.0:
                return wait
        raise AssertionError("the archive never comes to rest")

    def pass_(self) -> None:
        """Have all sessions compared, and archived where something is new."""
        self.requests.request_pass()
        self.work()

    def copy(self, session: Session | str) -> ArchivedCopy:
        """The archived copy of a session."""
        return self.reader.session(ME, session if isinstance(session, str) else session.id)

    def read(self, session: Session | str, name: str = TRANSCRIPT) -> bytes:
        """A file as the archive has it."""
        copy = self.copy(session)
        return b"".join(self.reader.content(copy, copy.file(name)))

    def ids(self) -> set[str]:
        """The archived sessions."""
        return {row.session for row in self.reader.sessions(ME)}

    def packs(self) -> list[Path]:
        """The packs on disk."""
        return sorted(self.root.glob("??/*.pack"))


@contextmanager
def desk(folder: Path, settings: ArchiveSettings = ArchiveSettings()) -> Iterator[Desk]:  # noqa: B008 frozen
    """A desk whose database is closed at the end."""
    folder.mkdir(exist_ok=True)
    found = Desk(folder, settings)
    try:
        yield found
    finally:
        found.close()
