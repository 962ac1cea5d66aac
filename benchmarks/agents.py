"""The cost of an agent's requests: the start of the server, its tools, and searches."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import results, workload
from benchmarks.packaging import Desk as Packaging
from benchmarks.search import Receiver, queries, write_permuted
from karma_sync import settings
from karma_sync.domain.session.observation import Observation
from karma_sync.mcp.desk import Desk
from karma_sync.mcp.view import Views
from karma_sync.paths import Paths
from karma_sync.sending.packaging.observations import ObservationPackager
from karma_sync.service.served_log import ServedLog
from karma_sync.service.sessions.agent_scope import AgentReach
from karma_sync.signing import SigningKey
from karma_sync.store import state
from karma_sync.store.state import open_state

_STARTS = 20
_QUERIES = 420
_OBSERVATIONS = int(os.environ.get("KARMA_SYNC_BENCH_OBSERVATIONS", 100_000))
_WORDS = re.compile(r"[a-z]{4,12}")
_BYTES = int(os.environ.get("KARMA_SYNC_BENCH_BYTES", 1_000_000_000))
_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
_READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
_LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def mcp() -> None:
    """Start the server, list its tools, and search a library of 1 GB through it.

    The library also has 100,000 observations. Writes mcp_start_s, mcp_tools_kb and mcp_search_ms.
    The environment variables KARMA_SYNC_BENCH_BYTES and KARMA_SYNC_BENCH_OBSERVATIONS make it
    search less.
    """
    with TemporaryDirectory() as root:
        packaging = Packaging(Path(root))
        made = write_permuted(packaging, _BYTES, workload.SEED)
        packaging.package_all()
        _note(packaging)
        paths = member_home(Path(root) / "home", packaging)
        receiver = Receiver(paths.data, packaging)
        receiver.import_all()
        _starts(paths, packaging.clone)
        _searches(paths, packaging.clone, receiver, made.size)
        receiver.store.close()
        packaging.store.close()


def _note(packaging: Packaging) -> None:
    """Package observations whose words come from the sessions."""
    chance = random.Random(workload.SEED)
    words = sorted({w for p in _some(packaging) for w in _WORDS.findall(p.read_bytes().decode())})
    found = [
        Observation(
            id=f"obs-{number:06d}",
            version=1 + number,
            type="discovery",
            title=" ".join(chance.choices(words, k=6)),
            content=" ".join(chance.choices(words, k=60)),
            agent="claude-code",
            author=packaging.channel.owner.tag,
            updated=f"2026-05-{1 + number % 28:02d}T12:00:00Z",
        )
        for number in range(_OBSERVATIONS)
    ]
    packager = ObservationPackager(packaging.packager, time.time_ns)
    packager.package(packaging.channel, "benchmark", found, packaging.outbox, kept=frozenset())
    packaging.outbox.flush()


def _some(packaging: Packaging) -> list[Path]:
    return sorted(packaging.sessions.rglob("*.jsonl"))[:20]


def member_home(home: Path, packaging: Packaging) -> Paths:
    """A home of the member who leads the team, and a clone of the project."""
    paths = Paths.inside(home)
    paths.create()
    SigningKey.create(paths.key)
    channel = packaging.channel
    network = settings.NetworkSettings(
        port=22_000, addresses=(), discovery=False, relays=False, nat=False
    )
    settings.save(paths, channel.owner.tag, network, [packaging.claude])
    states = open_state(paths.state_db)
    with states.transaction() as tx:
        state.teams.put(tx, channel.team)
    states.close()
    packaging.clone.mkdir(exist_ok=True)
    git = ["git", "-C", str(packaging.clone)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "remote", "add", "origin", f"https://{channel.project}"], check=True)
    return paths


def _starts(paths: Paths, clone: Path) -> None:
    samples, said = [], b""
    for _ in range(1 + _STARTS):
        took, said = _start(paths, clone)
        samples.append(took)
    how = (
        "from the start of the process `python -m karma_sync mcp` to its answer to `initialize`,"
        " after one that is not timed, in which Python compiles what it imports"
    )
    results.write("mcp_start_s", how, results.spread(samples[1:]), samples[1:])
    how = "the answer to `tools/list`: names, descriptions and schemas, as JSON"
    results.write("mcp_tools_kb", how, {"value": round(len(said) / 1000, 3)})


def _start(paths: Paths, clone: Path) -> tuple[float, bytes]:
    """The seconds to the first answer, and the answer to `tools/list`."""
    environ = os.environ | {"KARMA_SYNC_HOME": str(paths.data)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "karma_sync", "mcp"],
        cwd=clone,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(_line(_HELLO))
        process.stdin.flush()
        assert b"serverInfo" in process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.write(_line(_READY) + _line(_LIST))
        process.stdin.flush()
        said = process.stdout.readline()
        process.stdin.close()
    return took, said


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _searches(paths: Paths, clone: Path, receiver: Receiver, size: int) -> None:
    asked = queries(receiver, _QUERIES, workload.SEED)
    views = Views(paths, os.environ, clone, AgentReach())
    desk = Desk(views, ServedLog(paths.served))
    samples, found = [], 0
    for text in asked:
        began = time.perf_counter()
        given = desk.ask("search_sessions", {"query": text})
        samples.append((time.perf_counter() - began) * 1000)
        assert not given.failed, given.framed
        found += bool(given.answer.ids)
    how = (
        "one call of search_sessions in a server that runs: databases opened and closed, the"
        " directory's project, search, snippets, frame, log; the queries of search_ms;"
        " `with_hits`: how many found something"
    )
    figures = results.spread(samples) | {"with_hits": found, "bytes": size}
    figures["observations"] = _OBSERVATIONS
    results.write("mcp_search_ms", how, figures, samples)
