"""`python -m benchmarks [NAME…]`: runs all benchmarks, or those named."""

import sys
from collections.abc import Callable

from benchmarks import bench_redact, idle, latency, packaging, results, workload


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
        idle.cli_start_ms,
        latency.append_to_readable_s,
        latency.paste_to_first_session_s,
        idle.idle_daemon,
    )
}


def main(names: list[str]) -> None:
    """Run benchmarks by name, all if none is named."""
    unknown = sorted(set(names) - ALL.keys())
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}")
    for name in names or ALL:
        print(f"== {name} (seed {workload.SEED})", flush=True)
        ALL[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
