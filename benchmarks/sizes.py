"""`python -m benchmarks.sizes`: what packaging costs with other chunk sizes and zstd levels.

Prints one line for each workload and setting. docs/adr/0014-chunk-size.md rests on these figures.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from benchmarks import workload
from benchmarks.packaging import Desk
from karma_sync.channel import layout
from karma_sync.demo.measure import percentile
from karma_sync.domain import limits

_KIB = 1024
_APPENDED = 1 << 20
_SIDES, _SIDE_BYTES = 40, 20_000
# Chunk KiB, inline KiB, zstd level. The first is what is in use; the others differ from it in one.
SETTINGS = (
    (256, 512, 3),
    (128, 512, 3),
    (192, 512, 3),
    (512, 1024, 3),
    (1024, 2048, 3),
    (256, 512, 1),
    (256, 512, 6),
    (256, 512, 9),
)
# More of them for the workload with many small files.
MORE_SETTINGS = ((256, 256, 3), (256, 1024, 3), (128, 256, 3), (192, 256, 3))


@contextmanager
def _set(chunk: int, inline: int, level: int) -> Iterator[None]:
    with (
        patch.object(limits, "CHUNK_BYTES", chunk * _KIB),
        patch.object(limits, "INLINE_BYTES", inline * _KIB),
        patch.object(limits, "ITEM_BYTES", limits.MANIFEST_BYTES + inline * _KIB + _KIB),
        patch.object(layout, "_LEVEL", level),
    ):
        yield


def _corpus(desk: Desk) -> Path:
    """Make a session of each real transcript; the path of the largest, to which lines are added."""
    desk.sessions.mkdir(parents=True)
    found = sorted((workload.corpus() / "claude").rglob("*.jsonl"))
    for number, path in enumerate(found):
        (desk.sessions / f"session-{number}.jsonl").write_bytes(path.read_bytes())
    return max(desk.sessions.glob("*.jsonl"), key=lambda path: path.stat().st_size)


def _one(desk: Desk, size: int) -> Path:
    made = workload.make(desk.sessions, desk.clone, 1, size)
    return desk.sessions / f"{made.sessions[0]}.jsonl"


def _with_sides(desk: Desk) -> Path:
    """Make a session of 5 MB with the output of many tools in files beside it; its path."""
    transcript = _one(desk, 5_000_000)
    spilled = transcript.read_bytes()
    place = transcript.with_suffix("") / "tool-results"
    place.mkdir(parents=True, exist_ok=True)
    for number in range(_SIDES):
        at = number * _SIDE_BYTES
        (place / f"toolu_{number}.txt").write_bytes(spilled[at : at + _SIDE_BYTES])
    return transcript


_WORKLOADS: dict[str, Callable[[Desk], Path]] = {
    "corpus": _corpus,
    "sides": _with_sides,
    "5 MB": lambda desk: _one(desk, 5_000_000),
    "50 MB": lambda desk: _one(desk, 50_000_000),
    "500 MB": lambda desk: _one(desk, 500_000_000),
}


def main() -> None:
    """Measure each workload with each setting."""
    for name, make in _WORKLOADS.items():
        for chunk, inline, level in SETTINGS + (MORE_SETTINGS if make is _with_sides else ()):
            with TemporaryDirectory() as root, _set(chunk, inline, level):
                desk = Desk(Path(root))
                figures = _measure(desk, make(desk))
                desk.store.close()
            setting = {"workload": name, "chunk": chunk, "inline": inline, "level": level}
            print(json.dumps(setting | figures), flush=True)


def _measure(desk: Desk, transcript: Path) -> dict[str, float]:
    """Package everything; then append a line and package again, for each of many lines."""
    raw = sum(p.stat().st_size for p in desk.sessions.rglob("*.*") if p.is_file())
    spent = time.process_time()
    desk.package_all()
    spent = time.process_time() - spent
    files = [p for p in desk.outbox.path.rglob("*") if p.is_file()]
    appended, written = [], []
    for line in _real_lines(transcript):
        with transcript.open("ab") as out:
            out.write(line)
        desk.outbox.take_written()
        began = time.process_time()
        desk.package_all()
        appended.append((time.process_time() - began) * 1000)
        names = desk.outbox.take_written()
        written.append(sum((desk.outbox.path / n).stat().st_size for n in names) / 1000)
    return {
        "cpu_mb_s": round(raw / spent / 10**6, 1),
        "bytes_ratio": round(sum(p.stat().st_size for p in files) / raw, 4),
        "du_ratio": round(sum(p.stat().st_blocks * 512 for p in files) / raw, 4),
        "files": len(files),
        "append_cpu_ms": round(statistics.median(appended), 2),
        "append_kb_p50": round(percentile(written, 50), 1),
        "append_kb_p95": round(percentile(written, 95), 1),
    }


def _real_lines(transcript: Path) -> list[bytes]:
    """The first lines of a transcript, 1 MiB in all: enough to fill the largest chunk."""
    lines: list[bytes] = []
    with transcript.open("rb") as source:
        while sum(map(len, lines)) < _APPENDED and (line := source.readline()):
            lines.append(line)
    return lines


if __name__ == "__main__":
    main()
