"""Sessions made from lines of real transcripts; the same seed makes the same sessions."""

import json
import os
import random
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from karma_sync.agents.claude.choosing import ClaudeRecords
from karma_sync.domain.session.profile import Profile

SEED = 20261120
_CWD = re.compile(rb'("cwd"\s*:\s*)"(?:[^"\\]|\\.)*"')
_SESSION = re.compile(rb'("sessionId"\s*:\s*)"[^"]*"')
_SIDE_BYTES = 20_000


def corpus() -> Path:
    """The folder of real transcripts: `KARMA_SYNC_CORPUS`, or shared/corpus beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    place = Path(os.environ.get("KARMA_SYNC_CORPUS") or default)
    if not (place / "claude").is_dir():
        raise SystemExit(f"no transcripts at {place}/claude: set KARMA_SYNC_CORPUS")
    return place


@dataclass(frozen=True)
class Workload:
    """The sessions that were made: their ids, newest first, and the bytes of all their files."""

    sessions: list[str]
    size: int


def make(project: Path, cwd: Path, count: int, total: int, seed: int = SEED) -> Workload:
    """Write `count` sessions, `total` bytes in all, into `project`, as Claude Code would.

    One in four has a subagent, and one in four a tool's output in a file of its own. Their times
    of modification are a minute apart.
    """
    chance = random.Random(seed)
    lines = list(_lines(cwd))
    project.mkdir(parents=True, exist_ok=True)
    newest = project.stat().st_mtime
    sessions, size = [], 0
    for number in range(count):
        session = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        path = project / f"{session}.jsonl"
        size += _write(path, _some(lines, chance, total // count), session)
        if number % 4 == 0:
            side = path.with_suffix("") / "subagents" / "agent-1.jsonl"
            size += _write(side, _some(lines, chance, _SIDE_BYTES), session)
        if number % 4 == 1:
            side = path.with_suffix("") / "tool-results" / "toolu_1.txt"
            size += _write(side, _some(lines, chance, _SIDE_BYTES), session)
        for file in (path, *path.with_suffix("").rglob("*.*")):
            os.utime(file, (newest - 60 * number, newest - 60 * number))
        sessions.append(session)
    return Workload(sessions, size)


def line(session: str, cwd: Path, size: int = 1000) -> bytes:
    """A record of `size` bytes to append to a session."""
    record = {
        "type": "user",
        "uuid": str(uuid.uuid4()),
        "sessionId": session,
        "cwd": str(cwd),
        "timestamp": "2026-11-20T12:00:00.000Z",
        "message": {"role": "user", "content": ""},
    }
    filling = random.Random(SEED).choices("abcdefghij klmnop", k=size - len(json.dumps(record)) - 1)
    record["message"] = {"role": "user", "content": "".join(filling)}
    return json.dumps(record).encode() + b"\n"


def _lines(cwd: Path) -> Iterator[bytes]:
    """Lines of the corpus that leave as they are, so that a reader has the bytes of the source."""
    own = json.dumps(str(cwd)).encode()
    chooser = ClaudeRecords(Profile.STANDARD).chooser()
    for path in sorted((corpus() / "claude").rglob("*.jsonl")):
        for raw in path.read_bytes().splitlines():
            if raw.startswith(b"{") and len(raw) < 200_000 and chooser.choose(raw).data == raw:
                yield _CWD.sub(lambda m: m[1] + own, raw) + b"\n"


def _some(lines: list[bytes], chance: random.Random, size: int) -> Iterator[bytes]:
    at, written = chance.randrange(len(lines)), 0
    while written < size:
        yield lines[at % len(lines)]
        written += len(lines[at % len(lines)])
        at += 1


def _write(path: Path, lines: Iterator[bytes], session: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    own = json.dumps(session).encode()
    with path.open("wb") as out:
        for raw in lines:
            out.write(_SESSION.sub(lambda m: m[1] + own, raw))
        return out.tell()
