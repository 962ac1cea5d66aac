"""What karma-sync costs when nothing happens."""

import json
import subprocess
import sys
import time

import psutil

from benchmarks import results
from benchmarks.pair import Sender, sender

_STARTS = 20
_IDLE_S = 120.0


def cli_start_ms() -> None:
    """A command from its start to its end."""
    commands = {"help": ["--help"], "code": ["code"]}
    with sender() as a:
        samples = {
            name: [_run_ms(a, arguments) for _ in range(_STARTS)]
            for name, arguments in commands.items()
        }
    figures: results.Figures = {"n": _STARTS}
    for name, each in samples.items():
        figures |= {
            f"{what}_{name}": value for what, value in results.spread(each).items() if what != "n"
        }
    how = "`karma-sync --help` and `karma-sync code`, each as a process"
    results.write("cli_start_ms", how, figures)


def _run_ms(a: Sender, arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "karma_sync", *arguments],
        env=a.member.environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return (time.perf_counter() - began) * 1000


def idle_daemon() -> None:
    """CPU and memory of a daemon, without its Syncthing, that shares a project with a peer."""
    with sender() as a:
        a.share()
        b = a.newcomer("bob")
        a.pair(b)
        b.run("accept", "bench", "--yes", "--direction", "both")
        status = json.loads(a.member.run("status", "--json"))
        process = psutil.Process(status["daemon"]["pid"])
        time.sleep(15)  # receipts are exchanged within ten seconds; this is no test
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
