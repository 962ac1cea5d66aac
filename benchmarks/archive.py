"""The cost of archiving: speed, size on disk, a pass with nothing new; no daemon."""

import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, results, workload
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.archive.archiver import Archiver, ArchiverHooks
from karma_sync.archive.forgetting import Forgetter
from karma_sync.archive.indexing import ArchiveIndexer
from karma_sync.archive.schedule import (
    ArchiveParts,
    ArchiveRequests,
    ArchiveSchedule,
    ScheduleHooks,
)
from karma_sync.archive.store import open_archive
from karma_sync.archive.upkeep import Upkeep
from karma_sync.runtime.timing import now_ms
from karma_sync.runtime.worker import Wake
from karma_sync.settings import ArchiveSettings

_SESSIONS = 1000
_BYTES = 500_000_000
_RUNS = 3
_PASSES = 5


class _Archive:
    """An archive of the sessions below `claude`, run as the archiving thread does."""

    def __init__(self, root: Path, claude: Path) -> None:
        self.root = root / "archive"
        self.store = open_archive(root / "archive.db")
        source = ClaudeSource([claude])
        hooks = ArchiverHooks(lambda cwds: "github.com/example/bench", now_ms)
        archiver = Archiver(self.root, self.store, source, hooks)
        indexer = ArchiveIndexer(self.root, self.store, {})  # sessions are indexed after a pass
        forgetter = Forgetter(self.root, self.store, indexer)
        upkeep = Upkeep(self.root, self.store, hooks.project_of)
        parts = ArchiveParts(source, archiver, forgetter, upkeep, indexer)
        self._requests = ArchiveRequests(Wake(), source.representative)
        self.schedule = ArchiveSchedule(
            self._requests, ArchiveSettings(), parts, ScheduleHooks(shared=tuple)
        )

    def pass_s(self) -> float:
        """Seconds of a pass over all sessions."""
        began = time.perf_counter()
        self._requests.request_pass()
        while self.schedule.run() == 0.0:
            continue
        return time.perf_counter() - began

    def close(self) -> None:
        self.store.close()


def archive_mb_s() -> None:
    """Archive 1,000 sessions for the first time, then again with nothing new.

    Writes archive_mb_s, archive_ratio and archive_unchanged_s.
    """
    with TemporaryDirectory() as name:
        root = Path(name)
        made = workload.make(root / "claude/projects/-bench", root / "clone", _SESSIONS, _BYTES)
        os.sync()  # so that writing the sessions does not go on while archiving is measured
        speeds, by_cpu = [], []
        for number in range(_RUNS):
            place = root / str(number)
            place.mkdir()
            archive = _Archive(place, root / "claude")
            spent = machine.cpu_seconds()
            speeds.append(made.size / archive.pass_s() / 10**6)
            by_cpu.append(made.size / (machine.cpu_seconds() - spent) / 10**6)
            unchanged = [archive.pass_s() for _ in range(_PASSES)]
            used = sum(p.stat().st_blocks * 512 for p in place.rglob("*") if p.is_file())
            archive.close()
    common: results.Figures = {"bytes": made.size}
    how = (
        "1,000 sessions of 500 MB in all, one pass: read, described, hashed, compressed, fsynced,"
        " named in archive.db; median MB/s of the runs, by the clock and by CPU time"
    )
    figures: results.Figures = {"value": round(statistics.median(speeds), 1), "n": _RUNS}
    figures |= {"by_cpu": round(statistics.median(by_cpu), 1)}
    results.write("archive_mb_s", how, figures | common, speeds)
    how = "size of archive and archive.db as du counts it, divided by the bytes of the sessions"
    results.write("archive_ratio", how, {"value": round(used / made.size, 4)} | common)
    how = "a pass over 1,000 archived sessions with nothing new: no file is opened; median"
    figures = {"value": round(statistics.median(unchanged), 4), "n": _PASSES}
    results.write("archive_unchanged_s", how, figures | common, unchanged)
