"""`python -m benchmarks [NAME…]`: runs the benchmarks that are named, or all of them.

Results go to build/bench.json; how fast the machine was before and after the run is there under
`machine`. With `--against CHECKOUT`, the benchmarks run in turns here and in that other checkout
of karma-sync, and both builds are compared.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    against,
    agents,
    archive,
    bench_redact,
    cycle,
    forks,
    idle,
    join,
    latency,
    machine,
    mesh,
    observations,
    packaging,
    reading,
    redact_growth,
    redact_quality,
    results,
    search,
    soak,
    team,
    workload,
)

SOAK_MINUTES = 15.0
TURNS = 5


def redaction() -> None:
    """Speed of redaction, and what it finds and mistakes."""
    corpus = workload.corpus()
    found = {
        "redact_mb_s": bench_redact.speed(corpus),
        "redact_growth": redact_growth.growth(),
        "redaction_quality": redact_quality.quality(corpus),
    }
    for name, figures in found.items():
        results.write(name, str(figures.pop("how", "")), figures)


ALL: dict[str, Callable[[], None]] = {
    run.__name__: run
    for run in (
        redaction,
        packaging.package_append_ms,
        packaging.package_1000,
        packaging.package_rss_mb,
        archive.archive_mb_s,
        search.search,
        reading.show_ms,
        reading.stats_and_who,
        agents.mcp,
        observations.observations,
        forks.fork_ms,
        idle.cli_start_ms,
        latency.append_to_readable_s,
        latency.busy_append_to_readable_s,
        latency.observation_to_readable_s,
        latency.append_wire_kb,
        latency.paste_to_first_session_s,
        join.join_s,
        idle.idle_daemon,
        cycle.idle_cycle,
        team.simulated_team,
        mesh.standing_change_s,
        mesh.mesh_complete_s,
        mesh.append_to_four_s,
    )
}


def main() -> None:
    """Run the benchmarks that the command line names."""
    asked = _arguments()
    if asked.against:
        against.compare(asked.against, asked.names, asked.turns, asked.soak_minutes)
    elif against.PLAIN in os.environ:
        _run(asked.names, asked.soak_minutes)
    else:
        before = machine.speed()
        _write_machine(asked.names, before, None)
        _run(asked.names, asked.soak_minutes)
        _write_machine(asked.names, before, machine.speed())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    names = [*ALL, soak.soak.__name__]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(names)}")
    parser.add_argument("--soak-minutes", type=float, default=SOAK_MINUTES, metavar="N")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="compare with the build in this directory"
    )
    parser.add_argument(
        "--turns", type=int, default=TURNS, metavar="N", help="with --against: runs of each build"
    )
    asked = parser.parse_args()
    strange = sorted(set(asked.names) - set(names))
    if strange:
        parser.error(f"no benchmark {', '.join(strange)}; there are {', '.join(names)}")
    if asked.against and not asked.names:
        parser.error("--against needs the NAME of at least one benchmark")
    if asked.turns < 1:
        parser.error("--turns needs a number from 1")
    asked.names = asked.names or names
    return asked


def _run(names: Sequence[str], soak_minutes: float) -> None:
    for name in names:
        print(f"== {name} (seed {workload.SEED})", flush=True)
        if name == soak.soak.__name__:
            soak.soak(soak_minutes)
        else:
            ALL[name]()


def _write_machine(
    names: Sequence[str], before: results.Figures, after: results.Figures | None
) -> None:
    """Write the machine's speed, and which benchmarks ran in between; `after` is not known yet."""
    figures = {"n": machine.RUNS, "benchmarks": list(names), "before": before, "after": after}
    results.write("machine", machine.HOW, figures)


if __name__ == "__main__":
    main()
