"""The program, killed at chosen points: `python -m tests.support.crashing up` runs `up`.

A point is one kind of call at one kind of place: "before os.replace folders/ks-c-*/items/*.ks".
The process is killed at the first point in its scope that no run of this walk was killed at yet.
The environment says how:

KARMA_CRASH_POINTS  file of the points hit so far, one a line; new ones are added
KARMA_CRASH_SCOPE   regular expression that a point must match
KARMA_CRASH_VICTIM  syncthing; or daemon: at every second point its Syncthing dies with it at once
KARMA_CRASH_CLOCK   if set: the time that it always is (ISO 8601). So a version that was lost in
                    a crash would be given out again, where a clock that goes on would hide it
KARMA_CRASH_CYCLE_S if set: seconds between two cycles that the timer wakes
KARMA_CRASH_ASKED   if set: file to which a line is added for each request to Syncthing
"""

import functools
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import karma_sync.__main__
import karma_sync.app
import karma_sync.daemon.main
from karma_sync.daemon import wiring
from karma_sync.paths import Paths
from karma_sync.runtime import timing as clock_of_parts
from karma_sync.syncthing.client import SyncthingClient

_PACKAGE = str(Path(karma_sync.app.__file__).parent)
_NAMES = (
    (re.compile(r"ks-([mcd])-[a-z2-7]{26}"), r"ks-\1-*"),
    (re.compile(r"[0-9a-f]{32,64}"), "*"),
    (re.compile(r"/[0-9a-f]{2}(?=/|$)"), "/??"),
    (re.compile(r"\*\.\d+\.ks"), "*.N.ks"),
    (re.compile(r"\.tmp-\d+-"), ".tmp-"),
)


class Crash:
    """Kills at the next point of the walk."""

    def __init__(self, paths: Paths, environ: dict[str, str]) -> None:
        self._paths = paths
        self._points = Path(environ["KARMA_CRASH_POINTS"])
        self._scope = re.compile(environ["KARMA_CRASH_SCOPE"])
        self._victim = environ["KARMA_CRASH_VICTIM"]
        self._lock = threading.Lock()
        self._hit = set(self._points.read_text().splitlines())

    def at(self, point: str) -> None:
        """Be killed here, if this point is new."""
        with self._lock:
            if point in self._hit or not self._scope.search(point):
                return
            self._hit.add(point)
            with self._points.open("a") as out:
                out.write(f"{point}\n")
            if self._victim == "syncthing" or len(self._hit) % 2:
                with suppress(FileNotFoundError, ProcessLookupError):
                    pid = int((self._paths.syncthing / "karma-sync.pid").read_text())
                    os.kill(pid, signal.SIGKILL)
            if self._victim == "daemon":
                os.kill(os.getpid(), signal.SIGKILL)

    def around(
        self, call: Callable[..., Any], name: str, place: Callable[..., str]
    ) -> Callable[..., Any]:
        """The same call, with a point before it and one after it."""

        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            where = f"{name} {place(*args)}"
            self.at(f"before {where}")
            result = call(*args, **kwargs)
            self.at(f"after {where}")
            return result

        return wrapped

    def generic(self, path: object) -> str:
        """A path below the home, without what differs from run to run."""
        found = str(path).removeprefix(f"{self._paths.data}/")
        for pattern, text in _NAMES:
            found = pattern.sub(text, found)
        return found


def caller() -> str:
    """The place in the program that opened a transaction: module, function and line."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(_PACKAGE) and not file.endswith("store/database.py"):
            return f"{Path(file).stem}.{frame.f_code.co_name}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


def install(crash: Crash) -> None:
    """Wrap what changes a disk, a database or Syncthing."""

    class Connection(sqlite3.Connection):
        def __init__(self, path: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(path, *args, **kwargs)
            self.name = Path(path).name

        def commit(self) -> None:
            where = f"commit {self.name} in {caller()}"
            crash.at(f"before {where}")
            super().commit()
            crash.at(f"after {where}")

    def opened(descriptor: int) -> str:
        return crash.generic(Path(f"/proc/self/fd/{descriptor}").readlink())

    def target(_source: object, path: object, *_: object) -> str:
        return crash.generic(path)

    def api(_client: object, *args: object) -> str:
        return crash.generic(args[0]) if args and isinstance(args[0], str) else ""

    patched: Any = os
    patched.fsync = crash.around(os.fsync, "fsync", opened)
    patched.replace = crash.around(os.replace, "replace", target)
    patched.link = crash.around(os.link, "link", target)
    patched.unlink = crash.around(os.unlink, "unlink", lambda path, *_: crash.generic(path))
    patched.mkdir = crash.around(os.mkdir, "mkdir", lambda path, *_: crash.generic(path))
    sql: Any = sqlite3
    sql.connect = functools.partial(sqlite3.connect, factory=Connection)
    client: Any = SyncthingClient
    client.put_configuration = crash.around(client.put_configuration, "PUT", lambda *_: "config")
    client.scan = crash.around(client.scan, "scan", api)


def count_requests(asked: Path) -> None:
    """Write down each request to Syncthing as it is made."""
    client: Any = SyncthingClient
    call = client._call

    def counted(self: SyncthingClient, request: object) -> bytes:
        with asked.open("a") as out:
            out.write(f"{request}\n")
        found: bytes = call(self, request)
        return found

    client._call = counted


def main() -> None:
    environ = dict(os.environ)
    if seconds := environ.get("KARMA_CRASH_CYCLE_S"):
        karma_sync.daemon.main.CYCLE_S = int(seconds)
    if asked := environ.get("KARMA_CRASH_ASKED"):
        count_requests(Path(asked))
    if clock := environ.get("KARMA_CRASH_CLOCK"):
        moment = datetime.fromisoformat(clock)
        modules: Any = (clock_of_parts, wiring, karma_sync.app, karma_sync.daemon.main)
        for module in modules:
            module.utc_now = lambda: moment
    if "FAKETIME_TIMESTAMP_FILE" in environ:
        # libfaketime knows no sleep until a moment of the monotonic clock, which is Python's
        timing: Any = time
        timing.sleep = lambda seconds: threading.Event().wait(seconds)
    if "KARMA_CRASH_POINTS" in environ:
        install(Crash(Paths.from_environment(environ), environ))
    karma_sync.__main__.main()


if __name__ == "__main__":
    main()
