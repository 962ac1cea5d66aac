"""A stage for members with temporary homes: whatever is started on it ends with it."""

import os
import shutil
import signal
import subprocess  # noqa: S404 our own program, a list of arguments
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from karma_sync.errors import KarmaError, TimedOut
from karma_sync.runtime.timing import poll

_LOOK_S = 0.005
_STOP_S = 30.0  # a daemon gives its workers and its Syncthing 15 s each
_KILLED_S = 5.0
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stage() -> Iterator[Path]:
    """An empty temporary directory, by its real name; gone at the end, with all its processes.

    Also after Ctrl-C, SIGTERM, SIGHUP or any error.
    """
    with _raised_on_signals():
        root = Path(tempfile.mkdtemp(prefix="karma-sync-demo-")).resolve()
        try:
            yield root
        finally:
            for number in _ENDS:
                signal.signal(number, signal.SIG_IGN)  # nothing may cut the cleaning short
            end_processes(root)
            shutil.rmtree(root)


@contextmanager
def _raised_on_signals() -> Iterator[None]:
    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_processes(root: Path) -> None:
    """End every process of a home below `root`, each by its id: first daemons, then the others."""
    for wanted in (_is_daemon, lambda _: True):
        found = [p for p in processes(root) if wanted(p)]
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(found, _STOP_S)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, _KILLED_S)


def processes(root: Path) -> list[psutil.Process]:
    """The processes whose environment or command line names a home below `root`."""
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _is_below(p, root)]


def _is_below(process: psutil.Process, root: Path) -> bool:
    try:
        home = process.environ().get("KARMA_SYNC_HOME", "")
        flags = [a.removeprefix("--home=") for a in process.cmdline() if a.startswith("--home=")]
        return any(Path(place).is_relative_to(root) for place in (home, *flags) if place)
    except psutil.Error:
        return False  # somebody else's, or gone


def _is_daemon(process: psutil.Process) -> bool:
    try:
        return "karma_sync" in process.cmdline()
    except psutil.Error:
        return False


class DemoMember:
    """One person on one machine, all in a directory of their own; types commands like a person."""

    def __init__(self, root: Path, user: str, machine: str) -> None:
        self.user, self.machine = user, machine
        self.root = root / user
        self.home = self.root / "karma-sync"
        self.claude = self.root / "claude"
        self.root.mkdir()

    @property
    def tag(self) -> str:
        return f"{self.user}.{self.machine}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this person's shell; git is not told of another repository."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        own = {"KARMA_SYNC_HOME": str(self.home), "CLAUDE_CONFIG_DIR": str(self.claude)}
        return inherited | own

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Type a command and do not wait for its end."""
        return subprocess.Popen(  # noqa: S603 see above
            [sys.executable, "-P", "-m", "karma_sync", *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, within_s: float = 120.0) -> str:
        """Type a command; return its output.

        Raises:
            KarmaError: it failed, or did not end in time.
        """
        return self.result(self.start(*arguments, cwd=cwd), arguments, within_s)

    def result(
        self, started: subprocess.Popen[str], arguments: tuple[str, ...], within_s: float
    ) -> str:
        """The output of a command that was started with these arguments."""
        typed = f"{self.tag} typed karma-sync {' '.join(arguments)}"
        try:
            said, complaint = started.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise TimedOut(f"{typed}, and it did not end within {within_s:g} seconds") from None
        finally:
            if started.poll() is None:
                started.kill()
                started.communicate()
        if started.returncode:
            raise KarmaError(f"{typed}; exit code {started.returncode}: {complaint.strip()}")
        return said

    def log_end(self, lines: int = 8) -> str:
        """The last lines of the daemon's log, for the case that something went wrong."""
        try:
            log = (self.home / "karma-sync.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(log.splitlines()[-lines:])


def until(condition: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait until a condition holds; how many seconds that took.

    Raises:
        TimedOut: it does not hold in time; `what` names it.
    """
    began = time.monotonic()
    if not poll(condition, _LOOK_S, within_s):
        raise TimedOut(f"{what}: not within {within_s:g} seconds")
    return time.monotonic() - began
