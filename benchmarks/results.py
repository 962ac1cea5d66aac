"""Writes results: build/bench.json, one object for each name, and raw samples beside it."""

import csv
import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from benchmarks.workload import SEED
from karma_sync.demo.measure import percentile

BUILD = Path(__file__).resolve().parents[1] / "build"
Figures = dict[str, object]


def spread(samples: Sequence[float]) -> Figures:
    """The number of samples, their 50th and 95th percentile, and the largest."""
    return {
        "n": len(samples),
        "p50": round(percentile(samples, 50), 4),
        "p95": round(percentile(samples, 95), 4),
        "max": round(max(samples), 4),
    }


def write(name: str, how: str, figures: Figures, samples: Sequence[float] = ()) -> None:
    """Put one result into bench.json, in place of an earlier one of that name, and print it.

    `how` says in words what was measured. The line that is printed is `NAME: {JSON}`; `--against`
    reads it, also from older builds, so its form stays as it is. Samples go to bench/NAME.csv.
    """
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "bench.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    result = {"n": 1, "seed": SEED, "bytes": None, "syncthing": None, "how": how} | figures
    path.write_text(json.dumps(known | {name: result}, indent=1, sort_keys=True) + "\n")
    print(f"{name}: {json.dumps(result)}", flush=True)
    if samples:
        write_samples(name, {"sample": samples})


def write_samples(name: str, columns: Mapping[str, Sequence[float | str]]) -> None:
    """Write raw samples into bench/NAME.csv, a column for each series."""
    (BUILD / "bench").mkdir(parents=True, exist_ok=True)
    with (BUILD / "bench" / f"{name}.csv").open("w", newline="") as out:
        csv.writer(out).writerows([[*columns], *zip_longest(*columns.values())])
