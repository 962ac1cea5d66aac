"""Figures from samples, and the time from an appended line until another process can read it."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import until

SPACING_S = 1.1  # a session that is written to more often is packaged once a second
_WITHIN_S = 60.0


def percentile(samples: Sequence[float], percent: int) -> float:
    """The sample that `percent` of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def measure_appends(
    reader: Reader,
    transcript: Path,
    lines: Iterable[bytes],
    told: Callable[[float], None] = lambda _: None,
) -> list[float]:
    """Seconds from each append until `reader` got the exact bytes.

    The session must hold no secret: its bytes are expected as they were written.
    """
    session = transcript.stem
    samples: list[float] = []
    content = transcript.read_bytes()
    for line in lines:
        began = time.monotonic()
        with transcript.open("ab") as out:
            out.write(line)
        content += line
        expected = content

        def arrived(expected: bytes = expected) -> bool:
            return reader.transcript(session, len(expected)) == expected

        until(arrived, _WITHIN_S, f"an appended line of session {session} is readable")
        samples.append(time.monotonic() - began)
        told(samples[-1])
        time.sleep(max(0.0, SPACING_S - (time.monotonic() - began)))
    return samples
