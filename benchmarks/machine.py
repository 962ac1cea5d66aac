"""The speed of this machine at this moment: Python, SHA-256, zstd, fsync; without karma-sync.

Figures of karma-sync that were measured on two machines, or on one machine at two loads, compare
only together with these.
"""

import hashlib
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard

from benchmarks import results, workload

RUNS = 7
_LOOP = 2_000_000
# Sessions as `package_1000` makes them, 500 kB each, but fewer of them.
_SESSIONS, _BYTES = 40, 20_000_000
_SYNCS, _SYNC_BYTES = 50, 4096

HOW = (
    f"medians: {RUNS} timings of sum(i * i for i in range({_LOOP:_})); {RUNS} of SHA-256 and"
    f" {RUNS} of zstd level 3, one thread, over {_SESSIONS} sessions made as for package_mb_s;"
    f" {_SYNCS} timings of a new file of {_SYNC_BYTES} bytes, written and fsynced in the directory"
    " for temporary files, where the benchmarks work too"
)


def speed() -> results.Figures:
    """The figures that `HOW` describes: milliseconds, and MB of input a second."""
    with TemporaryDirectory() as name:
        root = Path(name)
        made = workload.make(root / "sessions", root / "clone", _SESSIONS, _BYTES)
        contents = list(contents_below(root / "sessions"))
        small = [os.urandom(_SYNC_BYTES) for _ in range(_SYNCS)]
        loop_s = statistics.median(_loop_s() for _ in range(RUNS))
        sha256_s = statistics.median(sum(sha256_each_s(contents)) for _ in range(RUNS))
        zstd3_s = statistics.median(sum(zstd3_each_s(contents)) for _ in range(RUNS))
        fsync_s = statistics.median(fsync_each_s(root / "synced", small))
    return {
        "python_loop_ms": round(loop_s * 1000, 1),
        "sha256_mb_s": round(made.size / sha256_s / 10**6, 1),
        "zstd3_mb_s": round(made.size / zstd3_s / 10**6, 1),
        "fsync_ms": round(fsync_s * 1000, 3),
    }


def contents_below(root: Path) -> Iterator[bytes]:
    """The content of every file below `root`, in the order of their paths."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path.read_bytes()


def sha256_each_s(contents: Iterable[bytes]) -> list[float]:
    """Seconds that SHA-256 takes for each of these, in one thread."""
    return _each_s(lambda content: hashlib.sha256(content).digest(), contents)


def zstd3_each_s(contents: Iterable[bytes]) -> list[float]:
    """Seconds that zstd takes to compress each of these into a frame at level 3, in one thread."""
    return _each_s(zstandard.ZstdCompressor(level=3).compress, contents)


def fsync_each_s(place: Path, contents: Iterable[bytes]) -> list[float]:
    """Seconds to write and fsync a new file with each of these, one file after the other.

    The files lie in `place`, a directory that is made for them.
    """
    place.mkdir()
    numbers = iter(range(10**9))

    def write(content: bytes) -> None:
        with (place / str(next(numbers))).open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())

    return _each_s(write, contents)


def _each_s(do: Callable[[bytes], object], contents: Iterable[bytes]) -> list[float]:
    """Seconds that `do` takes for each content; reading the contents is not counted."""
    seconds = []
    for content in contents:
        began = time.perf_counter()
        do(content)
        seconds.append(time.perf_counter() - began)
    return seconds


def _loop_s() -> float:
    began = time.perf_counter()
    sum(i * i for i in range(_LOOP))
    return time.perf_counter() - began


def cpu_seconds() -> float:
    """CPU time so far of this process and of those that it started and that have ended; seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
