"""Two builds of karma-sync measured in turns, in one run on one machine.

Each build is a checkout with its own `.venv`, and runs its own copy of a benchmark, as `python -m
benchmarks NAME` in its own directory; older checkouts understand that command line too. Where a
benchmark itself differs between the two, so does what its figures mean.
"""

import json
import os
import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine, results, workload

# Set for the processes that are started here: they leave the machine's speed unmeasured.
PLAIN = "KARMA_SYNC_BENCH_PLAIN"
_PYTHON = ".venv/bin/python"
_RESULT = re.compile(r"^\w+: \{.*\}$", re.MULTILINE)
# Numbers in a result that say what was measured, not what came out.
_NO_FIGURES = frozenset({"n", "seed", "bytes"})


@dataclass(frozen=True)
class Build:
    """One of the two builds: what to call it, where its checkout is, what it measured so far."""

    name: str
    root: Path
    samples: dict[str, list[float]] = field(default_factory=dict)

    def check(self) -> None:
        """Make sure that the checkout's environment runs the checkout's own code."""
        if not (self.root / _PYTHON).exists():
            raise SystemExit(f"{self.root} has no {_PYTHON}: type `make env` there")
        where = self._run("-P", "-c", "import karma_sync; print(karma_sync.__file__)").strip()
        if not Path(where).resolve().is_relative_to(self.root):
            raise SystemExit(f"{_PYTHON} in {self.root} runs the code at {where}")

    def commit(self) -> str:
        """The commit that is checked out, with `-dirty` if files differ from it."""
        command = ["git", "-C", str(self.root), "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip()

    def measure(self, arguments: Sequence[str]) -> None:
        """Run a benchmark once, and add what it measured to the samples."""
        for name, value in figures_in(self._run("-m", "benchmarks", *arguments)).items():
            self.samples.setdefault(name, []).append(value)

    def _run(self, *arguments: str) -> str:
        """The output of this build's Python."""
        # Python must import this checkout's code, and keep compiled bytecode as it does for users.
        left_out = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
        inherited = {name: value for name, value in os.environ.items() if name not in left_out}
        # Unless it is told, each checkout looks for transcripts beside itself.
        ours = {PLAIN: "1", "KARMA_SYNC_CORPUS": str(workload.corpus().resolve())}
        command = [str(self.root / _PYTHON), *arguments]
        with subprocess.Popen(
            command,
            cwd=self.root,
            env=inherited | ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                said, _ = process.communicate()
            except BaseException:
                process.terminate()  # not killed: it ends the daemons that it started
                raise
        if process.returncode:
            raise SystemExit(f"{said}\n{self.name} build: {' '.join(arguments)} failed")
        return said


def compare(checkout: Path, names: Sequence[str], turns: int, soak_minutes: float) -> None:
    """Run benchmarks in turns; print medians and ratios, and write build/bench-against.json."""
    this, other = Build("this", results.BUILD.parent), Build("other", checkout.resolve())
    for build in (this, other):
        build.check()
    before = machine.speed()
    for turn in range(turns):
        # The build that goes first is another one each turn, so that a busy disk or warm caches,
        # as the first leaves them behind, affect both.
        for name in names:
            minutes = ["--soak-minutes", str(soak_minutes)] if name == "soak" else []
            for build in (this, other) if turn % 2 == 0 else (other, this):
                print(f"== turn {turn + 1} of {turns}: {name}, {build.name} build", flush=True)
                build.measure([name, *minutes])
    rows = compared(this.samples, other.samples)
    print(f"medians of {turns} runs of each build")
    print("\n".join(table(rows)))
    written = {
        "benchmarks": list(names),
        "turns": turns,
        "commits": {build.name: build.commit() for build in (this, other)},
        "machine": {"before": before, "after": machine.speed()},
        "figures": rows,
    }
    path = results.BUILD / "bench-against.json"
    path.write_text(json.dumps(written, indent=1) + "\n")
    print(f"written to build/{path.name}")


def figures_in(output: str) -> dict[str, float]:
    """Every number that `results.write` printed as a result, by `RESULT.FIGURE`."""
    found: dict[str, float] = {}
    for line in _RESULT.findall(output):
        name, _, result = line.partition(": ")
        found |= dict(_numbers(name, json.loads(result)))
    return found


def _numbers(name: str, value: object) -> Iterable[tuple[str, float]]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in _NO_FIGURES:
                yield from _numbers(f"{name}.{key}", each)
    elif isinstance(value, int | float):
        yield name, value


def compared(
    this: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]
) -> dict[str, results.Figures]:
    """The medians of both builds for every figure, and this build's divided by the other's.

    A median is None where that build has no such figure; so is a ratio that cannot be computed.
    """
    rows: dict[str, results.Figures] = {}
    for name in sorted({*this, *other}):
        mine, theirs = (
            round(statistics.median(samples[name]), 6) if name in samples else None
            for samples in (this, other)
        )
        rows[name] = {
            "this": mine,
            "other": theirs,
            "ratio": None if mine is None or not theirs else round(mine / theirs, 4),
            "samples": {"this": this.get(name, []), "other": other.get(name, [])},
        }
    return rows


def table(rows: Mapping[str, results.Figures]) -> list[str]:
    """The rows of `compared` as lines for people."""
    wide = max([len("figure"), *map(len, rows)])
    lines = [f"{'figure':<{wide}} {'this':>12} {'other':>12} {'this/other':>12}"]
    for name, row in rows.items():
        cells = (f"{_short(row[key]):>12}" for key in ("this", "other", "ratio"))
        lines.append(f"{name:<{wide}} {' '.join(cells)}")
    return lines


def _short(value: object) -> str:
    return "-" if value is None else f"{value:.5g}"
