"""The cost of reading, packaging, importing and listing 100,000 observations."""

import os
import random
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import results, workload
from benchmarks.packaging import Desk
from benchmarks.search import Receiver
from karma_sync.agents.engram.source import EngramSource
from karma_sync.daemon.observing import follow
from karma_sync.domain.session.project import Place, Where
from karma_sync.domain.session.selection import Choices
from karma_sync.library.observations import Observations
from karma_sync.sending.observation_selection import ObservationSelector
from karma_sync.sending.observations import ObservationHooks, ObservationSender
from karma_sync.sending.packaging.observations import ObservationPackager
from karma_sync.store.read_only import reading_only

_COUNT = int(os.environ.get("KARMA_SYNC_BENCH_OBSERVATIONS", "100000"))
_PASSES = 20
_EDITS = 20
_SCHEMA = """
    CREATE TABLE sessions (id TEXT PRIMARY KEY, project TEXT, directory TEXT);
    CREATE TABLE observations (id INTEGER PRIMARY KEY, sync_id TEXT, session_id TEXT, type TEXT,
        title TEXT, content TEXT, project TEXT, scope TEXT, revision_count INTEGER,
        created_at TEXT, updated_at TEXT, deleted_at TEXT);
    INSERT INTO sessions VALUES ('s1', 'bench', '/src/bench')
"""


def observations() -> None:
    """Share 100,000 observations of Engram, then look again, edit one, and list them.

    Writes observations_import_s, observations_pass_ms, observation_edit_ms and
    observations_page_ms. The environment variable KARMA_SYNC_BENCH_OBSERVATIONS makes it fewer.
    """
    with TemporaryDirectory() as root:
        desk = Desk(Path(root))
        home = Path(root) / "engram"
        _fill(home, random.Random(workload.SEED))
        sender = _sender(desk, home)
        began = time.perf_counter()
        _send(sender, desk)
        packaged_s = time.perf_counter() - began
        receiver = Receiver(Path(root), desk)
        took = receiver.import_all()
        how = (
            "from a verified item into an empty library with its index, a second; `package_s`:"
            " from Engram's database into an outbox, the first time"
        )
        figures: results.Figures = {"value": round(_COUNT / took), "n": _COUNT}
        results.write("observations_import_s", how, figures | {"package_s": round(packaged_s, 2)})
        _passes(sender, desk)
        _edits(sender, desk, home, receiver)
        _pages(receiver)
        receiver.store.close()
        desk.store.close()


def _passes(sender: ObservationSender, desk: Desk) -> None:
    _send(sender, desk)  # compares once more after the first packaging
    samples = []
    for _ in range(_PASSES):
        began = time.perf_counter()
        _send(sender, desk)
        samples.append((time.perf_counter() - began) * 1000)
    how = f"a look at {_COUNT} observations of which none changed"
    results.write("observations_pass_ms", how, results.spread(samples), samples)


def _edits(sender: ObservationSender, desk: Desk, home: Path, receiver: Receiver) -> None:
    samples = []
    for number in range(_EDITS):
        with closing(sqlite3.connect(home / "engram.db")) as engram:
            engram.execute(
                "UPDATE observations SET revision_count = revision_count + 1, title = ?"
                " WHERE id = ?",
                [f"edited {number}", 1 + number * (_COUNT // _EDITS)],
            )
            engram.commit()
        began = time.perf_counter()
        _send(sender, desk)
        receiver.import_all()
        samples.append((time.perf_counter() - began) * 1000)
    how = f"one of {_COUNT} edited in Engram, until it can be read from the library; no Syncthing"
    results.write("observation_edit_ms", how, results.spread(samples), samples)


def _pages(receiver: Receiver) -> None:
    reader, samples = Observations(receiver.store), []
    for _ in range(_PASSES):
        began = time.perf_counter()
        reader.page(receiver.scope, most=50)
        samples.append((time.perf_counter() - began) * 1000)
    how = f"the 50 of {_COUNT} observations that changed last"
    results.write("observations_page_ms", how, results.spread(samples), samples)


def _send(sender: ObservationSender, desk: Desk) -> None:
    limits = desk.channel.subscription.limits.changed(observations=True)
    agreed = desk.channel.subscription.changed(limits=limits)
    sender.start_pass()
    sender.send(replace(desk.channel, subscription=agreed), desk.outbox, frozenset())
    desk.outbox.flush()


def _sender(desk: Desk, home: Path) -> ObservationSender:
    project = desk.channel.project
    source = EngramSource(home, list, frozenset, reading_only)
    selector = ObservationSelector(
        lambda path: Place(Where.PROJECT, project), lambda: {"/src/bench": project}
    )

    hooks = ObservationHooks(lambda: True, Choices, lambda ids: frozenset(), follow=follow)
    packager = ObservationPackager(desk.packager, time.time_ns)
    return ObservationSender([source], desk.packager, packager, selector, hooks)


def _fill(home: Path, chance: random.Random) -> None:
    """Engram's database with observations of about 600 bytes each."""
    home.mkdir()
    words = [f"word{number}" for number in range(20_000)]
    with closing(sqlite3.connect(home / "engram.db")) as engram:
        engram.executescript(_SCHEMA)
        engram.executemany(
            "INSERT INTO observations VALUES (?, ?, 's1', 'bugfix', ?, ?, 'bench', 'project', 1,"
            " '2026-11-20 12:00:00', '2026-11-20 12:00:00', NULL)",
            (
                (
                    1 + number,
                    f"obs-{chance.getrandbits(64):016x}",
                    " ".join(chance.choices(words, k=6)),
                    " ".join(chance.choices(words, k=60)),
                )
                for number in range(_COUNT)
            ),
        )
        engram.commit()
