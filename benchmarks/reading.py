"""The cost of reading: a session's first screen, figures of ten thousand, who did what."""

import gc
import io
import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import results, workload
from benchmarks.packaging import Desk
from benchmarks.search import Receiver
from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.archive.reader import ArchiveReader
from karma_sync.cli.session.turns import View, print_conversation
from karma_sync.domain.access import AccessScope, admin_of
from karma_sync.domain.session.activity import Activity, StatsBy, WantedFile
from karma_sync.domain.session.manifest import Manifest
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.domain.value import Verified
from karma_sync.library.conversation import conversation
from karma_sync.library.reader import Library
from karma_sync.library.search import Searcher
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.service.sessions.search import SessionSearch
from karma_sync.service.sessions.stats import in_local_time, stats
from karma_sync.service.sessions.who import who
from karma_sync.store import activity, library, search_index
from karma_sync.store.database import Database, Transaction
from karma_sync.store.library import open_library

_SCREENS = 40
_ROWS = 50
_SIZES = {"5": 5_000_000, "50": 50_000_000}
_SESSIONS = 10_000
_BATCH = 500
_STATS = 10  # of each kind
_WHO = 300
_AUTHORS = tuple(f"member{number}.box" for number in range(5))
_PROJECTS = tuple(f"example.org/acme/project{number}" for number in range(10))

Found = list[tuple[int, Activity]]


class _ScreenIsFull(Exception):
    """The person has a screen to read."""


class _Terminal(io.StringIO):
    """A terminal of so many rows."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._rows += text.count("\n")
        if self._rows >= _ROWS:
            raise _ScreenIsFull
        return len(text)


def show_ms() -> None:
    """The first screen of sessions of 5 and of 50 MB, in a process that has the library open."""
    os.environ["TERM"] = "xterm-256color"
    figures: results.Figures = {}
    samples: list[float] = []
    for name, size in _SIZES.items():
        with TemporaryDirectory() as root:
            desk = Desk(Path(root))
            workload.make(desk.sessions, desk.clone, 1, size)
            desk.package_all()
            receiver = Receiver(Path(root), desk)
            receiver.import_all()
            taken = [_first_screen(receiver) for _ in range(_SCREENS)]
            receiver.store.close()
            desk.store.close()
        spread = results.spread(taken)
        figures |= spread if name == "5" else {f"{key}_{name}_mb": v for key, v in spread.items()}
        samples += taken
    how = (
        f"finding a session by its id and drawing its first {_ROWS} lines for a terminal with"
        " colours, Markdown among them; 5 MB, and 50 MB in the figures with `50_mb`"
    )
    results.write("show_ms", how, figures, samples)


def _first_screen(receiver: Receiver) -> float:
    began = time.perf_counter()
    wanted = receiver.library.sessions(receiver.scope)[0].manifest.session.session_id
    found = receiver.library.session(receiver.scope, wanted)
    pieces = receiver.library.content(receiver.scope, found, TRANSCRIPT)
    messages = conversation(found.manifest.session.agent, pieces)
    with redirect_stdout(_Terminal()), suppress(_ScreenIsFull):
        print_conversation(messages, View())
    return (time.perf_counter() - began) * 1000


def stats_and_who() -> None:
    """Figures of 10,000 sessions, and who worked on a file of them; writes stats_ms and who_ms."""
    with TemporaryDirectory() as root:
        desk = Desk(Path(root))
        workload.make(desk.sessions, desk.clone, 1, 20_000)
        desk.package_all()
        receiver = Receiver(Path(root), desk)
        receiver.import_all()
        model = receiver.library.sessions(receiver.scope)[0].manifest
        receiver.store.close()
        desk.store.close()
        with _filled(Path(root) / "many", model) as (store, paths):
            _measure(Path(root) / "many", store, model.team, paths)


@contextmanager
def _filled(root: Path, model: Manifest) -> Iterator[tuple[Database, Sequence[str]]]:
    """A library with the activity of 10,000 sessions, and some of the paths they touched."""
    chance = random.Random(workload.SEED)
    store = open_library(root / "library.db")
    known = _activities()
    for start in range(0, _SESSIONS, _BATCH):
        with store.transaction() as tx:
            for number in range(start, start + _BATCH):
                _put(tx, model, number, chance.choice(known))
    with store.reading() as tx:
        rows = tx.execute(
            "SELECT DISTINCT substr(path, below) AS path FROM activity_touch WHERE below > 1"
        )
        paths = sorted(row["path"] for row in rows)
    yield store, paths
    store.close()


def _activities() -> list[Found]:
    """The activities in the lines of each transcript of the corpus."""
    found = []
    for path in sorted((workload.corpus() / "claude").rglob("*.jsonl")):
        passages = EXTRACTORS["claude-code"].passages(path.read_bytes(), 0)
        lines = [(p.time, p.activity) for p in passages if p.time]
        if len(lines) > 10:
            found.append(lines)
    return found


def _put(tx: Transaction, model: Manifest, number: int, lines: Found) -> None:
    member, project = _AUTHORS[number % 5], _PROJECTS[number % 10]
    item = f"{number:032x}"
    folder = f"ks-c-{number % 50:026d}".replace("0", "a").replace("1", "b").replace("9", "c")
    shift = number * 600
    when = datetime.fromtimestamp(lines[-1][0], UTC) - timedelta(seconds=shift)
    facts = model.session.model_copy(
        update={"session_id": f"{number:08x}-0000", "last_activity": when}
    )
    manifest = model.model_copy(
        update={"item": item, "member": member, "project": project, "session": facts}
    )
    library.put_item(tx, folder, Verified(manifest), when)
    channel = search_index.open_channel(tx, folder, "bench")
    indexed = search_index.add_item(tx, channel, folder, item)
    shifted = ((max(1, at - shift), each) for at, each in lines)
    activity.add(tx, indexed.number, 1, True, shifted)
    activity.place(tx, indexed.number, project)


def _measure(root: Path, store: Database, team: str, paths: Sequence[str]) -> None:
    scope = AccessScope(_AUTHORS[0], frozenset({team}), roles=frozenset({admin_of(team)}))
    files = Library(root, store)
    sessions = ReadableSessions(files, ArchiveReader(root / "none", root / "none.db"), {})
    searcher = Searcher(files, EXTRACTORS, {}, datetime.now(UTC))
    search = SessionSearch(searcher, sessions)
    gc.set_threshold(100_000, 10, 10)  # as every command does
    samples: list[float] = []
    slowest: dict[str, float] = {}
    for by in StatsBy:
        taken = []
        for _ in range(_STATS):
            began = time.perf_counter()
            found = stats(sessions, scope, by, {}, in_local_time)
            taken.append((time.perf_counter() - began) * 1000)
        assert found.total.sessions == _SESSIONS
        slowest[by.value] = round(sorted(taken)[_STATS // 2], 1)
        samples += taken
    how = (
        f"the figures of {_SESSIONS:,} sessions by member, team, project, day, agent, model and"
        f" tool, {_STATS} times each; `medians`: of each. Their activity is that of transcripts of"
        f" the corpus, shifted in time, by {len(_AUTHORS)} members in {len(_PROJECTS)} projects"
    )
    results.write("stats_ms", how, results.spread(samples) | {"medians": slowest}, samples)
    chance = random.Random(workload.SEED)
    asked, hits = [], 0
    for _ in range(_WHO):
        wanted = WantedFile(chance.choice(paths), [chance.choice(_PROJECTS)])
        began = time.perf_counter()
        works = who(search, scope, wanted, 21)
        asked.append((time.perf_counter() - began) * 1000)
        hits += bool(works)
    how = (
        "who worked on one file of one project, in the same library, the sessions' descriptions"
        " read; `with_hits`: how many found a session"
    )
    results.write("who_ms", how, results.spread(asked) | {"with_hits": hits}, asked)
