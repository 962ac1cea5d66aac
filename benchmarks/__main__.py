"""`python -m benchmarks [NAME…]`: runs all benchmarks, or those named."""

import argparse
from collections.abc import Callable

from benchmarks import bench_redact, cycle, idle, latency, packaging, results, soak, workload

SOAK_MINUTES = 15.0


def redaction() -> None:
    """Speed and quality of redaction."""
    for name, figures in bench_redact.run(workload.corpus()).items():
        results.write(name, str(figures.pop("how", "")), figures)


ALL: dict[str, Callable[[], None]] = {
    run.__name__: run
    for run in (
        redaction,
        packaging.package_append_ms,
        packaging.package_1000,
        packaging.package_rss_mb,
        idle.cli_start_ms,
        latency.append_to_readable_s,
        latency.append_wire_kb,
        latency.paste_to_first_session_s,
        idle.idle_daemon,
        cycle.idle_cycle,
    )
}


def main() -> None:
    """Run benchmarks by name, all if none is named."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    names = [*ALL, soak.soak.__name__]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(names)}")
    parser.add_argument("--soak-minutes", type=float, default=SOAK_MINUTES, metavar="N")
    asked = parser.parse_args()
    strange = sorted(set(asked.names) - set(names))
    if strange:
        parser.error(f"no benchmark {', '.join(strange)}; there are {', '.join(names)}")
    for name in asked.names or names:
        print(f"== {name} (seed {workload.SEED})", flush=True)
        if name == soak.soak.__name__:
            soak.soak(asked.soak_minutes)
        else:
            ALL[name]()


if __name__ == "__main__":
    main()
