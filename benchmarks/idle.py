"""The cost of karma-sync before and between its work: a command's start, an idle daemon."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import psutil

from benchmarks import results
from benchmarks.pair import sender

_STARTS = 20  # of each command
_COMMANDS = {
    "pass": ("-c", "pass"),
    "help": ("-m", "karma_sync", "--help"),
    "code": ("-m", "karma_sync", "code"),
    "status": ("-m", "karma_sync", "status"),
    "search": ("-m", "karma_sync", "search", "file"),
}
_IDLE_S = 120.0


def cli_start_ms() -> None:
    """How long commands take from start to end: in milliseconds, and as multiples of Python's own.

    They run in turns, once each, so that a busy moment of the machine meets all of them.
    """
    samples: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    with sender() as a:
        # As for users, Python keeps the bytecode that it compiles in the untimed first turn.
        environment = a.member.environment
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(1 + _STARTS):
            for name, arguments in _COMMANDS.items():
                samples[name].append(_run_ms(arguments, environment))
        version = a.syncthing()
    samples = {name: each[1:] for name, each in samples.items()}
    common: results.Figures = {"n": _STARTS, "syncthing": version}
    how = (
        "`python -m karma_sync` with --help, code, status and search, each as a process, its"
        " daemon up; `pass` is `python -c pass` with the same Python; all of them in turns, after"
        " one turn that is not timed, in which Python compiles what it imports"
    )
    results.write("cli_start_ms", how, common | _spreads(samples))
    how = f"medians of cli_start_ms, divided by that of `pass`; {how}"
    results.write("cli_start_x", how, common | multiples(samples))
    results.write_samples("cli_start_ms", samples)


def _spreads(samples: Mapping[str, Sequence[float]]) -> results.Figures:
    return {
        f"{figure}_{name}": value
        for name, each in samples.items()
        for figure, value in results.spread(each).items()
        if figure != "n"
    }


def multiples(samples: Mapping[str, Sequence[float]]) -> results.Figures:
    """Each command's median as a multiple of that of `pass`; the medians themselves in `ms`."""
    medians = {name: statistics.median(each) for name, each in samples.items()}
    figures: results.Figures = {
        name: round(median / medians["pass"], 2)
        for name, median in medians.items()
        if name != "pass"
    }
    return figures | {"ms": {name: round(median, 2) for name, median in medians.items()}}


def _run_ms(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Milliseconds from starting Python with these arguments until it has ended."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return (time.perf_counter() - began) * 1000


def idle_daemon() -> None:
    """CPU and memory of a daemon that shares a project with one peer; its Syncthing not counted."""
    with sender() as a:
        a.share()
        b = a.newcomer("bob")
        a.pair(b)
        b.run("accept", "bench", "--yes", "--direction", "both")
        status = json.loads(a.member.run("status", "--json"))
        process = psutil.Process(status["daemon"]["pid"])
        time.sleep(15)  # the two exchange receipts within ten seconds; after that, nothing is left
        before = process.cpu_times()
        time.sleep(_IDLE_S)
        after = process.cpu_times()
        spent = after.user + after.system - before.user - before.system
        figures: results.Figures = {
            "cpu_percent": round(100 * spent / _IDLE_S, 3),
            "rss_mb": round(process.memory_info().rss / 10**6, 1),
            "syncthing": status["daemon"]["syncthing"],
        }
        how = f"{_IDLE_S:.0f} s of one daemon with one team, one project, one peer, nothing written"
        results.write("idle_daemon", how, figures)
