"""What it costs to import sessions into a library with its index, and to search them."""

import os
import random
import re
from collections import Counter
from collections.abc import Sequence

from benchmarks import workload
from benchmarks.packaging import Desk

_BYTES = int(os.environ.get("KARMA_SYNC_BENCH_BYTES", 1_000_000_000))
_SESSIONS = 500
_AS_FREQUENT = 50  # so many neighbours in the order of frequency change places
# Words whose place matters: the names of fields, and the values that say what a record is.
_WORD = re.compile(rb'(?<![\\A-Za-z0-9_/.-])[a-z]{4,}(?![A-Za-z0-9_]*"\s*:)')


def write_permuted(desk: Desk, total: int, seed: int) -> workload.Workload:
    """Sessions of `total` bytes made of real transcripts, with other words in each session.

    Each session has a permutation of its own of all words, each taken for one that is about as
    frequent. So no chunk repeats, while sessions compress, and words are as frequent, as real ones.
    """
    chance = random.Random(seed)
    made = workload.make(desk.sessions, desk.clone, _SESSIONS, total, seed)
    words = _words()
    for path in sorted(desk.sessions.rglob("*.jsonl")):
        stat = path.stat()
        taken_for = dict(zip(words, _permuted(words, chance), strict=True))
        mixed = _WORD.sub(lambda m: taken_for.get(m[0], m[0]), path.read_bytes())  # noqa: B023
        path.write_bytes(mixed)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return made


def _permuted(words: Sequence[bytes], chance: random.Random) -> list[bytes]:
    found: list[bytes] = []
    for start in range(0, len(words), _AS_FREQUENT):
        group = list(words[start : start + _AS_FREQUENT])
        chance.shuffle(group)
        found += group
    return found


def _words() -> list[bytes]:
    """Every word that may be taken for another, the most frequent one first."""
    value = re.compile(rb'"(?:type|subtype|role|name|model|userType|level)"\s*:\s*"([^"]*)"')
    fixed: set[bytes] = {b"true", b"false", b"null"}
    counted: Counter[bytes] = Counter()
    for path in sorted((workload.corpus() / "claude").rglob("*.jsonl")):
        raw = path.read_bytes()
        fixed |= {w for v in set(value.findall(raw)) for w in re.findall(rb"[a-z]+", v)}
        counted.update(_WORD.findall(raw))
    return [word for word, _ in counted.most_common() if word not in fixed]
