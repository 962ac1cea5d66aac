"""The time from pasting an invitation code until a first session can be read."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import results, workload
from benchmarks.pair import Sender, sender
from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import until

_WITHIN_S = 300.0
_RUNS = 10
_COUNT, _BYTES = 1000, 500_000_000
_PROGRAM, _SECOND = "KARMA_SYNC_SYNCTHING", "KARMA_SYNC_SYNCTHING_2"


def join_s() -> None:
    """Seconds from typing `join` with a code until the newcomer can read a session."""
    samples: dict[str, list[float]] = {}
    size = 0
    for program in filter(None, (os.environ.get(_PROGRAM), os.environ.get(_SECOND))):
        with _syncthing(program), sender() as a:
            made = workload.make(a.sessions, a.clone, _COUNT, _BYTES)
            a.share()
            a.until_packaged(_COUNT)
            size = made.size
            samples[a.syncthing()] = [_joined(a, f"bob{number}") for number in range(_RUNS)]
    everything = [each for one in samples.values() for each in one]
    figures = results.spread(everything) | {
        "bytes": size,
        "syncthing": ", ".join(samples),
        "by_syncthing": {version: results.spread(one) for version, one in samples.items()},
    }
    how = (
        "from starting `join --yes` with a code until another process can read a session of the"
        f" leader's; identity and daemon were there; {_COUNT} sessions, {_BYTES / 10**6:.0f} MB"
        " raw, packaged at the leader before; each code is for one person"
    )
    results.write("join_s", how, figures, everything)


def _joined(a: Sender, user: str) -> float:
    """Have a newcomer join and wait for a session; its daemon is down afterwards."""
    code = _code(a.member.run("invite", "--no-wait", "--yes"))
    newcomer = a.newcomer(user)
    reader = Reader(newcomer)
    typed = ("join", code, "--yes")
    pasted = time.monotonic()
    started = newcomer.start(*typed)
    until(lambda: reader.count_by(a.member.tag) > 0, _WITHIN_S, f"a session at {user}")
    took = time.monotonic() - pasted
    newcomer.result(started, typed, _WITHIN_S)
    reader.close()
    newcomer.run("down")
    return took


def _code(printed: str) -> str:
    return next(word for word in printed.split() if word.startswith("KSI1-"))


@contextmanager
def _syncthing(program: str) -> Iterator[None]:
    """Have all members of a block run this Syncthing."""
    before = os.environ.get(_PROGRAM)
    os.environ[_PROGRAM] = program
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PROGRAM]
        else:
            os.environ[_PROGRAM] = before
