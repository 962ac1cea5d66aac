"""Where results go: build/bench.json, one object per name, and the raw samples beside it."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.workload import SEED
from karma_sync.demo.measure import percentile

BUILD = Path(__file__).resolve().parents[1] / "build"
Figures = dict[str, object]


def spread(samples: Sequence[float]) -> Figures:
    """n, p50, p95 and max of samples."""
    return {
        "n": len(samples),
        "p50": round(percentile(samples, 50), 4),
        "p95": round(percentile(samples, 95), 4),
        "max": round(max(samples), 4),
    }


def write(name: str, how: str, figures: Figures, samples: Sequence[float] = ()) -> None:
    """Add one result to bench.json as soon as it is there."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "bench.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    result = {"n": 1, "seed": SEED, "bytes": None, "syncthing": None, "how": how} | figures
    path.write_text(json.dumps(known | {name: result}, indent=1, sort_keys=True) + "\n")
    print(f"{name}: {json.dumps(result)}", flush=True)
    if samples:
        (BUILD / "bench").mkdir(exist_ok=True)
        with (BUILD / "bench" / f"{name}.csv").open("w", newline="") as out:
            csv.writer(out).writerows([["sample"], *([s] for s in samples)])
