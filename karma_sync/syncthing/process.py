"""Starts, watches and ends our own Syncthing, which never outlives us for long."""

import errno
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO

import psutil

from karma_sync.errors import PortTaken, SyncthingError, SyncthingMissing, SyncthingUnreachable
from karma_sync.files import PRIVATE_FILE, write_private
from karma_sync.runtime.timing import Deadline
from karma_sync.syncthing.home import require_key
from karma_sync.syncthing.port import SyncthingPort
from karma_sync.syncthing.program import environment

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS, PORT_TRIES = 24_000, 8_000, 100  # Linux: outgoing connections use 32768 up
LOG_BYTES = 1_000_000
HALF_WRITTEN = ".syncthing.tmp."  # a file, such as config.xml, that a killed Syncthing left
ESSENCE_CHARS = 500
POLL_S = 0.05
ORPHAN_GRACE_S = 5.0  # ending takes 0.1 to 1 s, or 10 s if 1.29 dials a peer that rejects it

_DOWNGRADE = (
    "a newer Syncthing has used this home: install that version again, or name it in"
    " KARMA_SYNC_SYNCTHING"
)
_HANDED_OUT: set[int] = set()
_LAUNCHER = Path(__file__).with_name("launch.py")
_TROUBLE = re.compile(r"\b(WARN|WARNING|WRN|ERR|ERROR|FATAL|panic)\b", re.IGNORECASE)
_PACKAGE = re.compile(r" \(log\.pkg=[\w/]+\)| log\.pkg=[\w/]+(?=\))")  # v2 ends its lines so
_NEWER_CONFIG = "is newer than supported version"
_TIMESTAMP = re.compile(r"^(\[\w+\] )?[\d/: .T+Z-]{8,35}")


def free_port(preferred: Iterable[int] = (), but: int = 0) -> int:
    """A TCP port on which nobody listens now; the first free one of `preferred`, if there is one.

    Never returns the same port twice in one process, and never `but`, which has another use. Other
    ports come from below the range of outgoing connections: one of those could take the port first.

    Raises:
        PortTaken: no free port was found.
    """
    tries = (FIRST_PORT + secrets.randbelow(PORTS) for _ in range(PORT_TRIES))
    for port in (*preferred, *tries):
        with socket.socket() as probe:
            if port not in {but, *_HANDED_OUT} and _listens(probe, port) is None:
                _HANDED_OUT.add(port)
                return port
    raise PortTaken("found no free port on this machine")


def require_free(port: int, setting_name: str) -> None:
    """Return if we can listen on this port of 127.0.0.1.

    Raises:
        PortTaken: we cannot; the hint names the setting to change.
    """
    with socket.socket() as probe:
        error = _listens(probe, port)
    if error:
        raise PortTaken(
            f"port {port} cannot be used: {error.strerror or error}",
            hint=f"set {setting_name} to another port, or end the program that has {port}",
        ) from error


def _listens(probe: socket.socket, port: int) -> OSError | None:
    """Listen on the port as Syncthing does; returns the error, or None if that works.

    A port whose last connections are still closing counts as free. Syncthing dials from its own
    port with SO_REUSEPORT, so after it ended only a bind with SO_REUSEPORT succeeds. Such a bind
    could also share the port with a listening program, so first we try to connect to one.
    """
    with socket.socket() as caller:
        caller.settimeout(1.0)
        if caller.connect_ex((LOOPBACK, port)) == 0:
            return OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        probe.bind((LOOPBACK, port))
        probe.listen(1)
    except OSError as error:
        return error
    return None


class SyncthingProcess:
    """One Syncthing on one home: a single process, without Syncthing's monitor process.

    On Linux it gets SIGTERM when our process ends, in whatever way. On other systems, and if that
    failed, the next `start` ends a Syncthing that still runs on this home.
    """

    def __init__(self, program: Path, home: Path, gui_port: int, log: Path) -> None:
        self._program = program
        self._home = home
        self._gui_port = gui_port
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread()
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process ID; None before the first start."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start Syncthing; any thread may call this, also again after Syncthing ended.

        Linux sends the parent-death signal when the THREAD that started the process ends, not when
        the process ends. So a separate thread starts Syncthing, and stays until Syncthing ended.

        Raises:
            PortTaken: another program listens on the GUI's port.
            SyncthingError: the key of this home cannot be used; Syncthing would make another one.
            SyncthingMissing: the program cannot be run.
        """
        if self._child and self.poll() is None:
            raise RuntimeError(f"Syncthing on {self._home} is already running")
        self.end_orphan()
        for half in self._home.glob(f"{HALF_WRITTEN}*"):
            half.unlink(missing_ok=True)
        if (self._home / "config.xml").exists():  # else no peer knows this machine yet
            require_key(self._home)
        require_free(self._gui_port, "gui_port")
        born: Future[subprocess.Popen[bytes]] = Future()
        self._keeper = threading.Thread(
            target=self._keep, args=(born,), name="syncthing-keeper", daemon=True
        )
        self._keeper.start()
        try:
            self._child = born.result()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise SyncthingMissing(f"{self._program} cannot be run: {error}") from error
        write_private(self._pid_file, str(self._child.pid).encode())

    def end_orphan(self) -> None:
        """End the Syncthing that an earlier daemon left on this home, if there is one.

        `start` does this too. Call it before `configure`: an orphan would overwrite config.xml.

        Raises:
            SyncthingError: the orphan does not end, not even by force.
        """
        try:
            orphan = psutil.Process(int(self._pid_file.read_text(encoding="ascii")))
            if self._home_flag not in orphan.cmdline():
                return  # another process has this process ID now
            orphan.terminate()
            if not _ended(orphan):
                orphan.kill()
                if not _ended(orphan):
                    raise SyncthingError(f"an earlier Syncthing, {orphan.pid}, cannot be ended")
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return  # there is no orphan, or the process is not ours

    def wait_ready(
        self,
        client: SyncthingPort,
        within_s: float,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Return as soon as Syncthing answers. Allow minutes: v2 may migrate its database first.

        Raises:
            SyncthingError: it ended; the message has the last errors of its log. Or `is_cancelled`
                returned True.
            SyncthingUnreachable: it did not answer within `within_s` seconds.
        """
        deadline = Deadline(within_s)
        while True:
            try:
                client.ping()
            except SyncthingError as error:
                last = error
            else:
                return
            self._keeper.join(POLL_S)
            if is_cancelled():
                raise SyncthingError("waiting for Syncthing was cancelled")
            code = self.poll()
            if code is not None:
                trouble = self._trouble()
                raise SyncthingError(
                    f"Syncthing ended with code {code} while starting: {trouble}",
                    hint=_DOWNGRADE if _NEWER_CONFIG in trouble else f"see {self._log}",
                )
            if deadline.is_over:
                raise SyncthingUnreachable(
                    f"Syncthing did not answer within {within_s:g} seconds: {last}",
                    hint=f"see {self._log}",
                )

    def poll(self) -> int | None:
        """The exit code, negative if a signal ended it; None while it runs.

        Each call also keeps the log below 1 MB.
        """
        _trim(self._log)
        return self._child.poll() if self._child else None

    def stop(self, grace_s: float) -> None:
        """End Syncthing, by force after `grace_s` seconds; returns after it ended."""
        if self._child is None:
            return
        self._child.terminate()
        self._keeper.join(grace_s)
        if self._keeper.is_alive():
            self._child.kill()
            self._keeper.join()
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self._home / "karma-sync.pid"

    def _command(self) -> list[str]:
        """The command line, with flags that 1.19, 1.29 and v2 know (docs/syncthing.md)."""
        serve = [str(self._program), "serve", self._home_flag, "--no-browser", "--no-restart"]
        if sys.platform != "linux":
            return serve
        return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *serve]

    @property
    def _home_flag(self) -> str:
        return f"--home={self._home}"

    def _keep(self, born: "Future[subprocess.Popen[bytes]]") -> None:
        """Start the process and wait for its end."""
        try:
            with _open_log(self._log) as log:
                self._log_start = log.tell()
                child = subprocess.Popen(  # noqa: S603 - the program find_program chose, no shell
                    self._command(),
                    # STMONITORED: run as a single process, without a monitor.
                    env=environment() | {"STMONITORED": "yes", "STNORESTART": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    umask=0o077,  # all its files, also synced ones, are for this user only
                    start_new_session=True,  # Ctrl-C must reach only us; we end Syncthing ourselves
                )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            born.set_exception(error)
            return
        born.set_result(child)
        child.wait()

    def _trouble(self) -> str:
        """The last errors that it logged since this start, or its last line, without times."""
        try:
            logged = self._log.read_bytes()
            if len(logged) >= self._log_start:  # else the log was emptied meanwhile
                logged = logged[self._log_start :]
            tail = logged[-8192:].decode(errors="replace")
        except OSError as error:
            return str(error)
        plain = (_PACKAGE.sub("", _TIMESTAMP.sub("", line)).strip() for line in tail.splitlines())
        lines = [line for line in plain if line]
        essence = [line for line in lines if _TROUBLE.search(line)][-3:] or lines[-1:]
        return "; ".join(essence)[-ESSENCE_CHARS:] or "it logged nothing"


def _ended(process: psutil.Process) -> bool:
    try:
        process.wait(ORPHAN_GRACE_S)
    except psutil.TimeoutExpired:
        return False
    return True


def _open_log(log: Path) -> BinaryIO:
    """Open the log to append to it, mode 0600."""
    _trim(log)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    os.fchmod(descriptor, PRIVATE_FILE)
    return os.fdopen(descriptor, "ab", buffering=0)


def _trim(log: Path) -> None:
    """Empty the log if it is above LOG_BYTES; Syncthing appends, so it continues at the start."""
    try:
        if log.stat().st_size > LOG_BYTES:
            os.truncate(log, 0)
    except FileNotFoundError:
        return
