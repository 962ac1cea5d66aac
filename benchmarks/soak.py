"""One append a second for a long time, to see whether delay, memory, files or threads grow."""

import json
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import results, workload
from benchmarks.pair import Sender, sender
from karma_sync.demo.measure import percentile
from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import DemoMember, until
from karma_sync.paths import Paths

# So many sessions take turns, as those of several agents would.
_SESSIONS, _SESSION_BYTES = 10, 2_000_000
_WARM_S, _EVERY_S, _LOOK_S, _TELL_S = 30.0, 1.0, 0.01, 30.0
_WITHIN_S = 120.0


@dataclass
class _Watched:
    """A daemon or its Syncthing: its memory in bytes, open files and threads at each look."""

    process: psutil.Process
    rss: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def look(self) -> None:
        with self.process.oneshot():
            self.rss.append(self.process.memory_info().rss)
            self.files.append(self.process.num_fds())
            self.threads.append(self.process.num_threads())

    def figures(self, name: str) -> results.Figures:
        """Growth from the first third of the looks to the last. Medians: helpers come and go."""
        before, after = statistics.median(_first(self.rss)), statistics.median(_last(self.rss))
        return {
            f"{name}_rss_mb": round(after / 10**6, 1),
            f"{name}_rss_growth_percent": round(100 * (after / before - 1), 2),
            f"{name}_files_growth": _growth(self.files),
            f"{name}_threads_growth": _growth(self.threads),
        }


def soak(minutes: float) -> None:
    """Two daemons and one append a second for `minutes`; prints twice a minute how it goes."""
    with sender() as a:
        made = workload.make(a.sessions, a.clone, _SESSIONS, _SESSION_BYTES)
        b = a.newcomer("bob")
        a.share()
        a.pair(b)
        b.run("accept", "bench", "--yes", "--wait", "--direction", "both", within_s=_WITHIN_S)
        daemons = {"sender": a.member, "receiver": b}
        watched = {}
        for name, member in daemons.items():
            pid = json.loads(member.run("status", "--json"))["daemon"]["pid"]
            watched[name] = _Watched(psutil.Process(pid))
            [syncthing] = psutil.Process(pid).children()
            watched[f"{name}_syncthing"] = _Watched(syncthing)
        run = _Run(a, Reader(b), made.sessions)
        until(lambda: run.reader.count_by(a.member.tag) == _SESSIONS, _WITHIN_S, "all at B")
        run.go(_WARM_S, [])
        run.samples.clear()
        print(f"  warm after {_WARM_S:g} s; now {minutes:g} minutes", flush=True)
        run.go(60 * minutes, list(watched.values()))
        run.reader.close()
        _write(a, run.samples, watched, minutes, list(daemons.values()))


def _write(
    a: Sender,
    samples: Sequence[float],
    watched: dict[str, _Watched],
    minutes: float,
    members: Sequence[DemoMember],
) -> None:
    figures = results.spread(samples)
    first, last = percentile(_first(samples), 95), percentile(_last(samples), 95)
    figures |= {"p95_first": round(first, 4), "p95_last": round(last, 4)}
    figures |= {"p95_ratio": round(last / first, 3), "syncthing": a.syncthing()}
    figures |= {"log_bytes": max(_log_bytes(Paths.inside(m.home).log) for m in members)}
    for name, each in watched.items():
        figures |= each.figures(name)
    how = (
        f"{minutes:g} minutes of one append of 1 kB a second, onto {_SESSIONS} sessions in turn;"
        " seconds until each was readable at B; growth from the first third of the time to the"
        " last, of the daemons and of their Syncthings"
    )
    results.write("soak", how, figures, samples)


def _first(samples: Sequence[float]) -> Sequence[float]:
    return samples[: max(1, len(samples) // 3)]


def _last(samples: Sequence[float]) -> Sequence[float]:
    return samples[-max(1, len(samples) // 3) :]


def _growth(counts: Sequence[int]) -> float:
    return statistics.median(_last(counts)) - statistics.median(_first(counts))


def _log_bytes(log: Path) -> int:
    return sum(path.stat().st_size for path in log.parent.glob(f"{log.name}*"))


class _Run:
    """Appends a line a second, whether or not earlier ones have arrived, and times each."""

    def __init__(self, a: Sender, reader: Reader, sessions: Sequence[str]) -> None:
        self.reader = reader
        self.samples: list[float] = []
        self._place = a.sessions
        self._sessions = deque(sessions)
        self._lines = {session: workload.line(session, a.clone) for session in sessions}
        self._expected = {s: (a.sessions / f"{s}.jsonl").read_bytes() for s in sessions}
        self._awaited: deque[tuple[str, float]] = deque()

    def go(self, seconds: float, watched: Sequence[_Watched]) -> None:
        began = due = told = time.monotonic()
        while due - began < seconds or self._awaited:
            now = time.monotonic()
            if now >= due and due - began < seconds:
                self._append(now)
                due += _EVERY_S
                for each in watched:
                    each.look()
            if self._awaited:
                self._see()
            if now - told > _TELL_S:
                told = now
                self._tell(now - began, watched)
            time.sleep(_LOOK_S)

    def _append(self, now: float) -> None:
        session = self._sessions[0]
        self._sessions.rotate(-1)
        with (self._place / f"{session}.jsonl").open("ab") as out:
            out.write(self._lines[session])
        self._expected[session] += self._lines[session]
        self._awaited.append((session, now))

    def _see(self) -> None:
        session, since = self._awaited[0]
        expected = self._expected[session]
        if self.reader.transcript(session, len(expected)) == expected:
            self.samples.append(time.monotonic() - since)
            self._awaited.popleft()
        elif time.monotonic() - since > _WITHIN_S:
            raise AssertionError(f"{session} is not readable after {_WITHIN_S:g} s")

    def _tell(self, passed: float, watched: Sequence[_Watched]) -> None:
        recent = self.samples[-int(_TELL_S) :]
        rss = ", ".join(f"{each.rss[-1] / 10**6:.1f}" for each in watched)
        print(
            f"  {passed:4.0f} s: {len(self.samples)} appends readable, the latest"
            f" {len(recent)} in {statistics.median(recent):.3f} s (median); RSS {rss} MB",
            flush=True,
        )
