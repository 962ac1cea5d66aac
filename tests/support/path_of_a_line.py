"""Counts the files that an appended line passes: `python -m tests.support.path_of_a_line`.

A member with one team and one shared project lives in a temporary directory, with a Syncthing in
memory. After a session was packaged once, the agent appends a line to it. The tracer records each
function of karma_sync that runs in the sending thread, from the moment the watcher tells of the
file until Syncthing is asked to rescan the outbox. A file that has the line's text in a variable of
one of these functions is marked with a star: the others decide what becomes of the line.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import karma_sync
from karma_sync.app import App
from karma_sync.cli.main import load
from karma_sync.daemon import wiring
from karma_sync.daemon.threads import Duties
from karma_sync.paths import Paths
from tests.support.memory_network import Network
from tests.support.memory_syncthing import MemorySyncthing

_PACKAGE = Path(karma_sync.__file__).parent
_BUSY_S = 1.5  # a session that was packaged within the last second waits for its turn
_REMOTE = "git@example.org:acme/repo.git"
_APPENDED = "the line that was appended"


class PathOfALine:
    """The files that ran, in order of first call, and how often one file called another."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.holding: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """Record a call or a return; the signature is that of `sys.setprofile`."""
        here = _file_of(frame)
        if here is None:
            return
        if _holds([*frame.f_locals.values(), argument]):
            self.holding.add(here)
        if event != "call":
            return
        self.files.setdefault(here)
        caller = frame.f_back
        while caller is not None and _file_of(caller) is None:
            caller = caller.f_back
        there = _file_of(caller) if caller else None
        if there and there != here:
            self.calls[there, here] += 1


def _holds(value: object, depth: int = 3) -> bool:
    """Whether the appended line's text stands in a value, or in the values that it contains."""
    match value:
        case str():
            return _APPENDED in value
        case bytes() | bytearray() | memoryview():
            return _APPENDED.encode() in bytes(value)
        case dict():
            return depth > 0 and any(_holds(each, depth - 1) for each in value.values())
        case list() | tuple():
            return depth > 0 and any(_holds(each, depth - 1) for each in value)
        case _:
            return False


def _file_of(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    return str(path.relative_to(_PACKAGE)) if path.is_relative_to(_PACKAGE) else None


def _record(text: str, repo: Path, number: int) -> bytes:
    record = {
        "type": "user",
        "sessionId": "11111111-1111-4111-8111-111111111111",
        "uuid": f"00000000-0000-4000-8000-{number:012}",
        "cwd": str(repo),
        "timestamp": "2026-01-01T00:00:00Z",
        "message": {"role": "user", "content": text},
    }
    return json.dumps(record).encode() + b"\n"


def main() -> None:
    """Print the files in order, and the counts."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        repo, claude = root / "repo", root / "claude"
        repo.mkdir()
        subprocess.run(["git", "init", "--quiet", str(repo)], check=True)
        subprocess.run(["git", "-C", str(repo), "remote", "add", "origin", _REMOTE], check=True)
        session = claude / "projects" / "-repo" / "11111111-1111-4111-8111-111111111111.jsonl"
        session.parent.mkdir(parents=True)
        session.write_bytes(b"".join(_record(f"prompt {n}", repo, n) for n in range(50)))
        os.environ |= {
            "KARMA_SYNC_HOME": str(root / "home"),
            "CLAUDE_CONFIG_DIR": str(claude),
            "HOME": str(root),
        }
        _command(
            "init",
            "--user",
            "alice",
            "--machine",
            "box",
            "--no-discovery",
            "--address",
            "127.0.0.1",
        )
        app = App(Paths.inside(root / "home"), os.environ)
        client = MemorySyncthing(Network(), app.me.device, app.me.device_name)
        _command("team", "create", "backend")
        _command("project", "share", str(repo), "--since", "all", "--yes")
        _print(_follow(app, client, session, repo))
        app.close()


def _command(*arguments: str) -> None:
    load()(list(arguments), standalone_mode=False)  # type: ignore[call-arg]


def _follow(app: App, client: MemorySyncthing, session: Path, repo: Path) -> PathOfALine:
    foundation = wiring.prepare(app, client, client.greet)
    parts = wiring.wire(app, foundation)
    duties = Duties(parts)
    duties.prime()
    for _ in range(10):
        duties.cycle()
        while duties.send() == 0.0:
            pass
    time.sleep(_BUSY_S)
    path = PathOfALine()
    with session.open("ab") as transcript:
        transcript.write(_record(_APPENDED, repo, 51))
    scans = client.requests["POST /rest/db/scan"]
    sys.setprofile(path)
    try:
        foundation.requests.sends.touch(session)
        duties.send()
    finally:
        sys.setprofile(None)
    assert client.requests["POST /rest/db/scan"] > scans, "Syncthing was not asked to rescan"
    return path


def _print(path: PathOfALine) -> None:
    for name in path.files:
        print("*" if name in path.holding else " ", name)
    print(f"{len(path.files)} files, {sum(path.calls.values())} calls from one file to another")
    print(f"{len(path.holding)} of them hold the line")


if __name__ == "__main__":
    main()
