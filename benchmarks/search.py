"""The cost of importing sessions into a library with its index, and of searching them."""

import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, results, workload
from benchmarks.packaging import Desk
from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.agents.growing_file import whole_lines
from karma_sync.channel.layout import ITEMS
from karma_sync.channel.verify import (
    verify_chunk,
    verify_item,
    verify_observations,
    verify_retraction,
)
from karma_sync.domain.access import AccessScope, admin_of
from karma_sync.domain.session.query import Query
from karma_sync.library.hits import Manner
from karma_sync.library.reader import Library
from karma_sync.library.search import Searcher
from karma_sync.receiving.importer import Importer, Verifier
from karma_sync.receiving.indexer import Indexer
from karma_sync.store.database import Database
from karma_sync.store.library import open_library

_QUERIES = 420
_SAMPLED = 40  # sessions from which the words of queries come
_TYPED = re.compile(r"[A-Za-z]{3,}")
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


class Receiver:
    """A library into which everything that a desk packaged is imported."""

    def __init__(self, root: Path, desk: Desk) -> None:
        self.root = root / "library"
        self.store: Database = open_library(self.root / "library.db")
        verifier = Verifier(verify_item, verify_chunk, verify_retraction, verify_observations)
        indexer = Indexer(self.root, EXTRACTORS)
        self.importer = Importer(
            self.root, self.store, verifier, indexer, lambda: datetime.now(UTC)
        )
        self.library = Library(self.root, self.store)
        self._desk = desk
        team = desk.channel.team.id
        self.scope = AccessScope("bob.box", frozenset({team}), roles=frozenset({admin_of(team)}))

    def import_all(self) -> float:
        """Import every item, the newest first, and index all of it; seconds."""
        folder = self._desk.outbox.path
        paths = sorted((folder / ITEMS).glob("*.ks"), key=lambda p: -p.stat().st_mtime_ns)
        began = time.perf_counter()
        for path in paths:
            self.importer.import_item(self._desk.channel, folder, path.stem)
        while self.importer.complete_index():
            continue
        return time.perf_counter() - began

    def searcher(self) -> Searcher:
        """The searcher over the library as it is now."""
        return Searcher(self.library, EXTRACTORS, {}, datetime.now(UTC))


def queries(receiver: Receiver, count: int, seed: int) -> list[str]:
    """Queries that people may type: words, pairs, phrases, beginnings, filters; all with matches.

    Half of the words are picked from all different ones, half as often as they occur.
    """
    chance = random.Random(seed)
    texts = list(_texts(receiver, chance))
    running = [word for text in texts for word in _TYPED.findall(text)]
    different = sorted(set(running))
    found = []
    for number in range(count):
        word = chance.choice(different if number % 2 else running)
        words = chance.choice(texts).split()
        at = chance.randrange(max(1, len(words) - 2))
        found.append(
            (
                word,
                f"{word} {chance.choice(running)}",
                f'"{" ".join(words[at : at + 2])}"',
                f"{word[:5]}*",
                f"{word} since:30d",
                f"{word} -{chance.choice(running)}",
                f"{word} tool:Bash",
            )[number % 7]
        )
    return found


def _texts(receiver: Receiver, chance: random.Random) -> Iterator[str]:
    """Prompts, answers and results of some sessions."""
    known = receiver.library.sessions(receiver.scope)
    for readable in chance.sample(known, min(_SAMPLED, len(known))):
        extractor = EXTRACTORS[readable.manifest.session.agent]
        pieces = receiver.library.content(receiver.scope, readable, "transcript.jsonl")
        for block in whole_lines(pieces):
            for passage in extractor.passages(block, 0):
                text = passage.texts.prompt or passage.texts.answer or passage.texts.result
                if text:
                    yield text[:500]


def search() -> None:
    """Import sessions of 1 GB into a library with its index, then search it.

    Writes import_mb_s, library_ratio and search_ms. The environment variable
    KARMA_SYNC_BENCH_BYTES makes it work on less.
    """
    with TemporaryDirectory() as root:
        desk = Desk(Path(root))
        made = write_permuted(desk, _BYTES, workload.SEED)
        desk.package_all()
        os.sync()
        receiver = Receiver(Path(root), desk)
        spent = machine.cpu_seconds()
        took = receiver.import_all()
        spent = machine.cpu_seconds() - spent
        receiver.store.checkpoint()
        files = [p for p in receiver.root.rglob("*") if p.is_file()]
        used = sum(path.stat().st_blocks * 512 for path in files)
        database = (receiver.root / "library.db").stat().st_size
        common: results.Figures = {"bytes": made.size, "seed": workload.SEED}
        how = (
            f"{_SESSIONS} verified sessions into an empty library, indexed; `by_cpu`: MB a second"
            " of CPU time. Sessions are made of real transcripts with other words in each, each"
            " word taken for one that is about as frequent"
        )
        speed = {"value": round(made.size / took / 1e6, 1)}
        speed |= {"by_cpu": round(made.size / spent / 1e6, 1)}
        results.write("import_mb_s", how, common | speed)
        ratio = {"value": round(used / made.size, 4), "index": round(database / made.size, 4)}
        how = "the library with chunks and index as du counts it, divided by the raw bytes;"
        results.write("library_ratio", f"{how} `index`: the database alone", common | ratio)
        _search_ms(receiver, common)
        receiver.store.close()
        desk.store.close()


def _search_ms(receiver: Receiver, common: results.Figures) -> None:
    asked = queries(receiver, _QUERIES, workload.SEED)
    searcher, manner = receiver.searcher(), Manner()
    samples, found = [], 0
    for text in asked:
        began = time.perf_counter()
        query = Query.parse(text, searcher.now)
        hits = searcher.search(receiver.scope, query, manner).hits
        samples.append((time.perf_counter() - began) * 1000)
        found += bool(hits)
    how = (
        "one search in a process that has the library open, with the snippets of 20 hits read from"
        " the chunks: words, pairs of words, phrases, beginnings of words, words with since:, with"
        " tool:, and with an excluded word, in turns; `with_hits`: how many found something"
    )
    figures = results.spread(samples) | {"with_hits": found}
    results.write("search_ms", how, common | figures, samples)
