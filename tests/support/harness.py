"""Members on this machine, each with a home, a Claude directory and a clone, driven by the CLI.

Daemons are real, and run Syncthings of their own, all of it on loopback. Other commands run in
this process, which is ten times as fast; `test_real_processes.py` starts each for real.
Whatever a `Town` started it ends again, by process id, and says so if something stayed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET  # noqa: S405 - reads only what our own Syncthing wrote
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
import pytest
import requests

from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.errors import KarmaError
from karma_sync.library.reader import Library
from karma_sync.paths import Paths
from karma_sync.store.library import open_library
from karma_sync.store.read_only import reading_only
from karma_sync.store.readable import stored_scope
from tests.support.forks import Command, Forks, exit_code
from tests.support.in_process import Done, run_in_process
from tests.support.interrupting import ctrl_c_works
from tests.support.quick_start import starting_quickly
from tests.support.repositories import make_repository
from tests.support.terminal import a_process, run_on_terminal
from tests.support.transcripts import Session, write_session

T = TypeVar("T")

REMOTE = "git@example.org:acme/repo.git"
PROJECT = "example.org/acme/repo"
# Generous: 1.19's first connection now and then takes 20 to 40 s (docs/syncthing.md).
WAIT_S = 90.0
COMMAND_S = 60.0
_PLAYED_S = 60.0  # much longer than what happens in memory takes
_POLL_S = 0.03
_PATIENCE, _LONGEST_PAUSE_S = 0.1, 0.15  # the share of a wait between two looks, up to a pause
_LOG_LINES = 100
# They start processes, which end with or after them, or become another program.
_NEED_PROCESSES = {"up", "demo", "service"}

# What the environments of members have in common with the start of their daemons.
_AT_START = {"PYTHONFAULTHANDLER": "1", "PYTHONWARNINGS": "error"}

live: "list[Member]" = []


class Played(Protocol):
    """Members who do nothing by themselves: who waits for them has them go on."""

    def settle(self) -> None: ...
    def minute_passes(self) -> None: ...


played: list[Played] = []


def programs() -> list[Path]:
    """Every Syncthing the environment names, the one on PATH if it names none; at most two."""
    first = os.environ.get("KARMA_SYNC_SYNCTHING") or shutil.which("syncthing")
    found = [first, os.environ.get("KARMA_SYNC_SYNCTHING_2")]
    return [starting_quickly(Path(program)) for program in dict.fromkeys(found) if program]


def each_program() -> list[object]:
    """Parameters of a fixture: each of `programs`, all but the first in the slow tests only."""
    first, *others = programs()
    slow = [pytest.param(p, id="second", marks=pytest.mark.slow) for p in others]
    return [pytest.param(first, id="first"), *slow]


@cache
def forks(*prefix: str) -> Forks:
    """The forks of one process, which is started behind this prefix."""
    return Forks(dict(os.environ) | _AT_START, prefix)


def until(condition: Callable[[], T], what: str, timeout: float = WAIT_S) -> T:
    """Wait until `condition` gives something true, and return that.

    If it does not within `timeout` seconds, the test fails, and shows every member's logs.
    """
    began = time.monotonic()
    deadline = began + (min(timeout, _PLAYED_S) if played else timeout)
    while True:
        for each in played:
            each.settle()
        if found := condition():
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:g} s in vain for: {what}\n{logs()}", pytrace=False)
        for each in played:
            each.minute_passes()
        # a look opens databases or runs a command, on the processors that the others need
        waited = time.monotonic() - began
        time.sleep(min(max(_POLL_S, _PATIENCE * waited), _LONGEST_PAUSE_S))


@dataclass(frozen=True)
class Result:
    """The result of a command: its output and its exit code."""

    args: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Member:
    """A person on a machine of their own, as far as karma-sync can tell."""

    def __init__(self, folder: Path, user: str, program: Path) -> None:
        self.user = user
        self.tag = f"{user}.box"
        self.folder = folder / user
        self.home = self.folder / "karma"
        self.paths = Paths.inside(self.home)
        self.claude = self.folder / "claude"
        self.claude.mkdir(parents=True)
        (self.folder / "user-home").mkdir()
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("KARMA_", "GIT_", "ST", "CLAUDE", "ENGRAM"))
        }
        self.environ = kept | {
            "HOME": str(self.folder / "user-home"),
            "KARMA_SYNC_HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.claude),
            "ENGRAM_DATA_DIR": str(self.folder / "engram"),
            "KARMA_SYNC_SYNCTHING": str(program),
            **_AT_START,
        }
        self._forked: list[psutil.Process] = []
        self.repo = self.clone(REMOTE)
        live.append(self)

    def clone(self, remote: str | None, name: str = "repo") -> Path:
        """A repository of this member's with that remote, or with none."""
        place = self.folder / "src" / name
        place.mkdir(parents=True)
        make_repository(place, remote)
        return place

    # ---- commands

    def run(
        self,
        *args: str,
        check: bool = True,
        stdin: str | None = None,
        cwd: Path | None = None,
        real: bool = False,
    ) -> Result:
        """Run a command; without `stdin` there is nobody to answer. `check`: it must succeed.

        With `real` it has a process of its own.
        """
        done = self._execute(args, cwd, (stdin or "").encode(), real=real)
        result = Result(args, done.returncode, done.stdout.decode(), done.stderr.decode())
        assert not check or result.code == 0, f"{self.tag}: {result}\n{logs()}"
        return result

    def json(self, *args: str) -> dict[str, Any]:
        """The JSON output of a command; it must succeed."""
        found: dict[str, Any] = json.loads(self.run(*args, "--json").out)
        return found

    def start(self, *args: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        """Begin a command and go on meanwhile; `finish` waits for it."""
        with ctrl_c_works():
            return subprocess.Popen(
                self.command(args),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=self.environ,
                cwd=cwd or self.repo,
            )

    def finish(self, process: "subprocess.Popen[str]") -> Result:
        """Wait until a command that was begun has ended, well or not."""
        try:
            out, err = process.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"{process.args!r} does not end: {out}{err}\n{logs()}", pytrace=False)
        return Result((), process.returncode, out, err)

    def on_terminal(
        self,
        *args: str,
        answers: Sequence[str],
        read: Callable[[str], None] = lambda seen: None,
    ) -> Result:
        """Run a command on a terminal; each time it asks, it gets the next answer.

        `read` is called with all that was shown, each time something more was.
        """
        if (found := self._forks_now) is None:
            start = a_process(self.command(args), self.environ, self.repo)
        else:
            start = partial(self._start_on_terminal, found, args)
        code, seen = run_on_terminal(start, answers, read)
        return Result(args, code, seen, "")

    @property
    def forks(self) -> Forks | None:
        """The forks that are its daemon, and commands on terminals; None: processes are."""
        return forks()

    @property
    def _forks_now(self) -> Forks | None:
        """The same, with its environment as it is now."""
        found = self.forks
        return found if found and found.can_start(self.environ) else None

    def _start_on_terminal(
        self, found: Forks, args: Sequence[str], terminal: int
    ) -> Callable[[], int]:
        """Start a command on a terminal; the result waits for its exit code."""
        name = os.ttyname(terminal)
        ended = Path(tempfile.mkdtemp()) / "code"
        command = Command(args, self.environ, str(self.repo), name, name, name, str(ended))
        found.start(command)

        def wait() -> int:
            code = exit_code(ended)
            shutil.rmtree(ended.parent)
            return code

        return wait

    # ---- the daemon

    def init(self) -> "Member":
        names = ("--user", self.user, "--machine", "box")
        self.run("init", *names, "--no-discovery", "--address", "127.0.0.1")
        return self

    def up(self) -> "Member":
        """Start the daemon, and wait until it is up."""
        found = self._forks_now
        if found is None:
            self.run("up", "-d")
            return self
        args, log = ("up", "--log-to-file"), str(self.paths.log)
        command = Command(args, self.environ, str(self.repo), os.devnull, log, log)
        process = psutil.Process(found.start(command))
        self._forked.append(process)
        deadline = time.monotonic() + COMMAND_S
        while not self._is_up_in(process.pid):
            in_time = process.is_running() and time.monotonic() < deadline
            assert in_time, f"the daemon of {self.tag} did not come up\n{logs()}"
            time.sleep(_POLL_S)
        return self

    def _is_up_in(self, pid: int) -> bool:
        """Whether the daemon says that it is up, in that process."""
        try:
            return self.daemon_pid == pid
        except (FileNotFoundError, ValueError):
            return False

    def down(self) -> None:
        """Stop the daemon as a person does; afterwards nothing of it runs."""
        self.run("down")
        assert not self.processes(), f"{self.tag} left {self.processes()} running"

    def kill9(self) -> None:
        """Kill the daemon so that it can do nothing about it."""
        os.kill(self.daemon_pid, signal.SIGKILL)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The daemon does nothing meanwhile; its Syncthing goes on."""
        os.kill(self.daemon_pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.daemon_pid, signal.SIGCONT)

    @property
    def daemon_pid(self) -> int:
        return int(json.loads(self.paths.running.read_text())["pid"])

    @property
    def syncthing_pid(self) -> int:
        return int((self.paths.syncthing / "karma-sync.pid").read_text())

    @property
    def code(self) -> str:
        return str(self.json("code")["code"])

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for this member: it has this home in its environment or flags."""
        return [p for p in psutil.process_iter() if self._is_mine(p)]

    def sockets(self) -> set[str]:
        """Addresses on which this member listens."""
        return {
            connection.laddr.ip
            for process in self.processes()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN or not connection.raddr
        }

    def forget(self) -> None:
        """It is not among those any more whose logs a failure shows."""
        live.remove(self)

    # ---- sessions

    def write_session(
        self, *said: str, cwd: Path | None = None, days_ago: float = 0, odd: bool = True
    ) -> Session:
        """Have the agent write a session in the clone, or in another directory."""
        when = datetime.now(UTC) - timedelta(days=days_ago)
        return write_session(self.claude, cwd or self.repo, said or ("hello",), when, odd)

    def write_withheld(self, *said: str) -> Session:
        """The same for a session that is withheld before it can leave."""
        self.down()
        session = self.write_session(*said)
        self.run("session", "withhold", session.id)
        self.up()
        return session

    def sessions(self) -> list[dict[str, Any]]:
        """The sessions in `session list`, in its order; without those that only the archive has."""
        return [s for s in self.listed() if not s["archived"]]

    def listed(self) -> list[dict[str, Any]]:
        """All that `session list` shows, in its order."""
        return list(self.json("session", "list")["sessions"])

    def raw(self, session_id: str, file: str = TRANSCRIPT) -> bytes:
        """A file of a session as `session show --raw` writes it."""
        done = self._execute(("session", "show", session_id, "--raw", "--file", file))
        assert done.returncode == 0, done
        return done.stdout

    def peek(self, session_id: str, file: str = TRANSCRIPT) -> bytes | None:
        """The same, read from the library by this process, for waiting; None if not there."""
        if not self.paths.library_db.exists():
            return None
        store = open_library(self.paths.library_db)
        try:
            with reading_only(self.paths.state_db) as tx:
                scope = stored_scope(tx, self.tag)
            library = Library(self.paths.library, store)
            found = library.session(scope, session_id)
            return b"".join(library.content(scope, found, file))
        except KarmaError:
            return None
        finally:
            store.close()

    def until_readable(self, *sessions: Session, timeout: float = WAIT_S) -> None:
        """Wait until these sessions can be read here just as they are on their author's disk."""
        for session in sessions:
            what = f"session {session.id} at {self.tag}"
            until(lambda s=session: self.peek(s.id) == s.content, what, timeout)  # type: ignore[misc] # mypy cannot infer a lambda with a default

    # ---- Syncthing

    def gui(self) -> tuple[str, str]:
        """The URL of our Syncthing, and its API key."""
        gui = ET.parse(self.paths.syncthing / "config.xml").find("gui")  # noqa: S314 - see above
        assert gui is not None
        return f"http://{gui.findtext('address')}", str(gui.findtext("apikey"))

    def rest(self, path: str) -> Any:
        """The answer of our Syncthing to a GET that has its key."""
        url, key = self.gui()
        return requests.get(f"{url}/rest/{path}", headers={"X-API-Key": key}, timeout=20).json()

    def folders(self) -> dict[str, str]:
        """The type of each folder that Syncthing has now, by id."""
        return {folder["id"]: folder["type"] for folder in self.rest("config/folders")}

    def outboxes(self) -> list[Path]:
        """The folders through which this member sends."""
        return [self.paths.folder(i) for i, kind in self.folders().items() if kind == "sendonly"]

    # ---- inside

    @property
    def needs_processes(self) -> bool:
        """Whether this member's commands differ from those of this process in more than values."""
        return self.environ.get("PYTHONPATH") != os.environ.get("PYTHONPATH")

    def command(self, args: Sequence[str]) -> list[str]:
        """The program and arguments to execute for a command of ours."""
        return [sys.executable, "-P", "-m", "karma_sync", *args]

    def _execute(
        self,
        args: Sequence[str],
        cwd: Path | None = None,
        stdin: bytes = b"",
        *,
        real: bool = False,
    ) -> "subprocess.CompletedProcess[bytes] | Done":
        if not real:
            if not self.needs_processes and _NEED_PROCESSES.isdisjoint(args[:1]):
                return run_in_process(args, self.environ, cwd or self.repo, stdin)
            if (found := self._forks_now) is not None:
                return self._run_forked(found, args, cwd or self.repo, stdin)
        return subprocess.run(
            self.command(args),
            input=stdin,
            capture_output=True,
            timeout=COMMAND_S,
            env=self.environ,
            cwd=cwd or self.repo,
            check=False,
        )

    def _run_forked(self, found: Forks, args: Sequence[str], cwd: Path, stdin: bytes) -> Done:
        with tempfile.TemporaryDirectory() as made:
            code, *streams = (Path(made) / name for name in ("code", "in", "out", "err"))
            streams[0].write_bytes(stdin)
            paths = (str(path) for path in (*streams, code))
            found.start(Command(args, self.environ, str(cwd), *paths))
            return Done(exit_code(code), streams[1].read_bytes(), streams[2].read_bytes())

    def git(self, place: Path, *args: str) -> None:
        subprocess.run(["git", "-C", str(place), *args], check=True, env=self.environ)

    def _is_mine(self, process: psutil.Process) -> bool:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if process in self._forked:  # the system shows the environment of what it forked from
                return process.status() != psutil.STATUS_ZOMBIE
            if process.environ().get("KARMA_SYNC_HOME") == str(self.home):
                return True
            return f"--home={self.paths.syncthing}" in process.cmdline()
        return False


def logs() -> str:
    """The ends of all members' logs."""
    found = []
    for member in live:
        for log in (member.paths.log, member.paths.syncthing_log):
            text = log.read_text(errors="replace") if log.exists() else "(none)"
            tail = "\n".join(text.splitlines()[-_LOG_LINES:])
            found.append(f"---- {member.tag}: {log.name}\n{tail}")
    return "\n".join(found)
