"""The cost of one cycle of the daemon's workers without any change, with a real Syncthing."""

import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import results
from benchmarks.pair import PROJECT, Sender, gui, sender
from karma_sync.app import App
from karma_sync.daemon import wiring
from karma_sync.daemon.threads import Workers
from karma_sync.demo.stage import until
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.pairing_code import PairingCode, device_text
from karma_sync.domain.team.subscription import USUAL, Subscription
from karma_sync.paths import Paths, metadata_folder
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import state
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.greeting import greet
from karma_sync.team.documents.answers import member_document
from karma_sync.team.documents.folder import MetadataFolder
from karma_sync.team.documents.stored import MEMBER

_MEMBERS, _PROJECTS, _CYCLES = 10, 5, 20
_WITHIN_S = 120.0
_QUIET_S = 1.0
_LOOK_S = 0.05
_SETTLES = 15


def idle_cycle() -> None:
    """Requests, writes and CPU of a cycle that finds nothing to do: ten members, five projects."""
    with sender() as a:
        _share_all(a)
        others = _add_others(a)
        version = a.syncthing()
        a.member.run("down")
        app = App(Paths.inside(a.member.home), a.member.environment)
        process, direct = wiring.syncthing_process(app)
        process.start()
        try:
            process.wait_ready(direct, _WITHIN_S)
            _sign_documents(app, others)
            with _counted(a, a.root / "requests") as client:
                figures = _run(app, (client, direct), a.root / "requests")
        finally:
            process.stop(10.0)
            app.close()
    how = (
        f"{_CYCLES} cycles of all workers, each woken {_QUIET_S:g} s after the last one ended, with"
        f" {_MEMBERS} members and {_PROJECTS} projects. `requests`: the most of one cycle, counted"
        " by a proxy. `writes`: how many of these five kinds of writes happened in all cycles:"
        " requests other than GET, commits to each of the three databases, changes of files."
        " `cpu_ms`: CPU time of this process in a cycle, median"
    )
    results.write("idle_cycle", how, figures | {"syncthing": version})


def _share_all(a: Sender) -> None:
    a.member.run("team", "create", "bench")
    for number in range(_PROJECTS):
        clone = a.root / f"clone{number}"
        clone.mkdir()
        for command in (["init", "-q"], ["remote", "add", "origin", f"https://{PROJECT}{number}"]):
            subprocess.run(["git", "-C", str(clone), *command], check=True)
        a.member.run("project", "share", str(clone), "--yes", "--direction", "both")


def _add_others(a: Sender) -> dict[str, SigningKey]:
    """Put nine more members on the roster; their keys, by tag."""
    found = {}
    for number in range(1, _MEMBERS):
        key = SigningKey.create(a.root / f"key{number}.pem")
        tag = f"member{number}.box"
        device = device_text(bytes([number]) * 32)
        a.member.run("team", "add", PairingCode(tag, device, key.public).encode(), "--yes")
        found[tag] = key
    return found


def _sign_documents(app: App, others: dict[str, SigningKey]) -> None:
    """Put the others' documents where Syncthing would put them: all accept all projects."""
    with app.state.reading() as tx:
        [team] = state.teams.all(tx)
    folder = MetadataFolder(app.paths.folder(metadata_folder(team.id)))
    for key in others.values():
        answers = [
            Subscription(
                team=team.id,
                project=p.identity,
                member=key.public,
                incarnation=1,
                offer=p.incarnation,
            ).accept(1, Direction.BOTH, USUAL, Limits())
            for p in team.projects
        ]
        # an address where nothing listens, as if the member were offline
        member = team.member(key.public)
        assert member is not None
        code = PairingCode(member.tag, member.device, key.public, ("tcp://127.0.0.1:9",))
        document = member_document(team, code, answers, 1)
        payload = document.model_dump_json().encode()
        folder.put(MEMBER, key.public, key.sign(PayloadType.MEMBER, payload))


@contextmanager
def _counted(a: Sender, log: Path) -> Iterator[SyncthingClient]:
    """A client for Syncthing whose requests pass through a proxy, which logs them."""
    address, api_key = gui(a.member)
    proxy = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.proxy", address, str(log)],
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert proxy.stdout
        yield SyncthingClient(f"http://127.0.0.1:{int(proxy.stdout.readline())}", api_key)
    finally:
        proxy.terminate()
        proxy.wait()
        assert proxy.stdout
        proxy.stdout.close()


def _run(app: App, clients: tuple[SyncthingClient, SyncthingClient], log: Path) -> results.Figures:
    client, direct = clients
    workers = Workers(
        wiring.wire(app, wiring.prepare(app, client, partial(greet, app.paths.syncthing)))
    )
    outside = _Outside(app, log)
    workers.start()
    try:
        # one for metadata; for each project an outbox, and an inbox for each of the others
        folders = 1 + _PROJECTS * _MEMBERS

        def there() -> bool:
            return _folders(direct, app.paths.folders) == folders

        until(there, _WITHIN_S, "all folders in Syncthing")
        for _ in range(_SETTLES):  # receipts are written up to ten seconds later
            outside.settle()
        requests, cpu_ms, before = [], [], outside.writes()
        for _ in range(_CYCLES):
            seen, spent = outside.requests(), time.process_time()
            workers.wake()
            outside.settle()
            cpu_ms.append((time.process_time() - spent) * 1000)
            requests.append(outside.requests() - seen)
        writes = sum(x != y for x, y in zip(before, outside.writes(), strict=True))
    finally:
        workers.stop()
        outside.close()
    return {
        "n": _CYCLES,
        "requests": max(requests),
        "requests_mean": round(statistics.mean(requests), 2),
        "writes": writes,
        "cpu_ms": round(statistics.median(cpu_ms), 2),
        "cpu_ms_max": round(max(cpu_ms), 2),
        "folders": folders,
    }


class _Outside:
    """The effects of a cycle, seen from outside: in the proxy's log, in databases, in files."""

    def __init__(self, app: App, log: Path) -> None:
        self._log = log
        self._paths = app.paths
        self._databases = [
            sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            for path in (app.paths.state_db, app.paths.work_db, app.paths.library_db)
        ]

    def requests(self) -> int:
        """How many requests there were so far."""
        return len(self._log.read_text().splitlines())

    def writes(self) -> list[object]:
        """One value for each kind of write, which is another one after such a write."""
        sent = [line for line in self._log.read_text().splitlines() if not line.startswith("GET ")]
        # changes when another connection commits
        commits = [db.execute("PRAGMA data_version").fetchone()[0] for db in self._databases]
        return [len(sent), *commits, self._files()]

    def settle(self) -> None:
        """Wait until a cycle has ended: until no request has come for `_QUIET_S` seconds."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < _QUIET_S:
            now = self._log.stat().st_size
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(_LOOK_S)

    def close(self) -> None:
        for each in self._databases:
            each.close()

    def _files(self) -> set[tuple[str, int, int]]:
        """Every file in our data directory with its time and size, but for Syncthing's own home."""
        return {
            (str(path), path.stat().st_mtime_ns, path.stat().st_size)
            for path in self._paths.data.rglob("*")
            if path.is_file()
            and not path.is_relative_to(self._paths.syncthing)
            and path.suffix != ".db-shm"
        }


def _folders(client: SyncthingClient, root: Path) -> int:
    return len(client.configuration(root).folders)
