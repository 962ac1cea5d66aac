"""The cost of forking a session: the whole command, from its start to its end."""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import results, workload
from benchmarks.agents import member_home
from benchmarks.packaging import Desk
from benchmarks.search import Receiver

_TIMES = 15
_SIZES = {"fork_ms": 5_000_000, "fork_50mb_ms": 50_000_000}


def fork_ms() -> None:
    """Fork a session of 5 MB, then one of 50 MB; writes fork_ms and fork_50mb_ms."""
    for name, size in _SIZES.items():
        with TemporaryDirectory() as root:
            _fork(name, size, Path(root))


def _fork(name: str, size: int, root: Path) -> None:
    desk = Desk(root)
    made = workload.make(desk.sessions, desk.clone, 1, size, workload.SEED)
    desk.package_all()
    paths = member_home(root / "home", desk)
    receiver = Receiver(paths.data, desk)
    receiver.import_all()
    receiver.store.close()
    desk.store.close()
    agent = root / "agent"
    environ = os.environ | {"KARMA_SYNC_HOME": str(paths.data), "CLAUDE_CONFIG_DIR": str(agent)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-P", "-m", "karma_sync", "session", "fork", made.sessions[0]]
    samples, spent = [], []
    for _ in range(1 + _TIMES):
        began, before = time.perf_counter(), _cpu_ms()
        subprocess.run(command, cwd=desk.clone, env=environ, check=True, capture_output=True)
        samples.append((time.perf_counter() - began) * 1000)
        spent.append(_cpu_ms() - before)
    forks = list(agent.glob("projects/*/*.jsonl"))
    assert len(forks) == len(samples)
    how = (
        "`karma-sync session fork ID` from the start of its process to its end, for one session"
        " made of real transcripts; after one that is not timed, in which Python compiles what it"
        " imports; `by_cpu`: the median of its CPU time, with that of the git that it asks"
    )
    figures: results.Figures = {"bytes": made.size, "fork": forks[0].stat().st_size}
    figures["by_cpu"] = round(statistics.median(spent[1:]), 1)
    results.write(name, how, figures | results.spread(samples[1:]), samples[1:])


def _cpu_ms() -> float:
    """The CPU time of all processes that this one has waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000
