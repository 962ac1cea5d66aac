"""Starts commands of ours, each in a fork of one process that has loaded the program.

A new process loads for half a second of processor time, one that is to be a daemon or to redact for
more than one. A fork is what such a process is then: it has a session of its own, and the
environment, directory and streams that it is given. This file is also the program that forks.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

# What Python and its libraries read only when they start: what differs in these cannot be a fork.
_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_", "OPENSSL_", "SSL_")
_END_S = 90.0
_POLL_S = 0.01
_FAILED = -1  # in the place of a process ID


@dataclass(frozen=True)
class Command:
    """A command to run, and where; its streams are paths, of files or of a terminal.

    When it has ended, its exit code is written into `code`. Without that it is a daemon, which has
    no parent.
    """

    args: Sequence[str]
    environ: Mapping[str, str]
    cwd: str
    stdin: str
    output: str
    errors: str
    code: str = ""


class Forks:
    """One process that has loaded the program, and that starts commands; thread-safe.

    It starts when the first command is asked for, and ends with this process.
    """

    def __init__(self, environ: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        """All commands get what this environment has at the start of Python.

        `prefix` stands before the command that starts the one process.
        """
        self._environ = dict(environ)
        self._prefix = prefix
        self._one_at_a_time = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None

    def can_start(self, environ: Mapping[str, str]) -> bool:
        """Whether a command with this environment is the same in a fork as in a new process."""
        return _at_start(environ) == _at_start(self._environ)

    def start(self, command: Command) -> int:
        """Start a command, which has its streams already then; returns its process ID."""
        with self._one_at_a_time:
            server = self._server = self._server or self._begin()
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(asdict(command)).encode() + b"\n")
            server.stdin.flush()
            pid = int(server.stdout.readline())
        assert pid != _FAILED, f"{command} could not be started"
        return pid

    def _begin(self) -> "subprocess.Popen[bytes]":
        server = subprocess.Popen(
            [*self._prefix, sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environ,
            start_new_session=True,  # Ctrl-C is for the tests, which end it
        )
        atexit.register(server.communicate)
        return server


def exit_code(written: Path) -> int:
    """The exit code of a command, as soon as the command has ended."""
    deadline = time.monotonic() + _END_S
    while not written.exists():
        assert time.monotonic() < deadline, "a command does not end"
        time.sleep(_POLL_S)
    return int(written.read_text())


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_AT_START)}


# ---- the program that forks


def _serve() -> None:
    """Fork for each line of standard input; print the process ID of the command."""
    _load()
    for line in iter(sys.stdin.buffer.readline, b""):
        command = Command(**json.loads(line))
        _reap()
        pid = _fork(command)
        if pid == 0:
            _become(command)
            return
        print(pid, flush=True)


def _load() -> None:
    """Load what a daemon loads, and compile the patterns of our rules."""
    gc.disable()  # nothing of all this is garbage
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # as the program has it
    for name in ("cli.daemon.run", "daemon.log_setup", "daemon.main", "daemon.renewal"):
        import_module(f"karma_sync.{name}")
    from karma_sync.cli.main import load
    from karma_sync.redact.custom.redactions import make_redactor

    load()
    make_redactor(None).lines(b'{"text": "patterns are compiled for the first text"}\n')
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
    gc.freeze()
    gc.enable()


def _reap() -> None:
    """Forget the processes between this one and commands that ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _fork(command: Command) -> int:
    """The process ID of a command that has its streams; 0 in that process.

    It is `_FAILED` if the streams cannot be opened, for instance on a full disk.
    """
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(reading)
        try:
            streams = [_opened(path) for path in (command.stdin, command.output, command.errors)]
        except OSError:
            traceback.print_exc()
            os._exit(1)
        child = os.fork()
        if child == 0:
            os.setsid()
            for ours, descriptor in enumerate(streams):
                os.dup2(descriptor, ours)
            os.closerange(3, max(*streams, writing) + 1)
            return 0
        for descriptor in streams:
            os.close(descriptor)
        os.write(writing, str(child).encode())
        os.close(writing)
        _wait(child, command)
    os.close(writing)
    with os.fdopen(reading) as told:
        return int(told.read() or _FAILED)


def _opened(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOCTTY, 0o600)


def _wait(child: int, command: Command) -> None:
    """End this process, when the command has ended that is no daemon."""
    if command.code:
        for descriptor in range(3):
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        written = Path(f"{command.code}.new")
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(command.code)
    os._exit(0)


def _become(command: Command) -> None:
    """Be the command; returns when it ended."""
    from karma_sync.__main__ import main

    _earlier.extend((sys.stdin, sys.stdout, sys.stderr))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode = "w" if number else "r"
        buffering = 1 if number == 2 or os.isatty(number) else -1  # noqa: PLR2004 standard error
        stream = open(number, mode, buffering, closefd=False)  # noqa: SIM115 PTH123 as Python does
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(command.environ)
    os.chdir(command.cwd)
    sys.argv = ["karma-sync", *command.args]
    sys.orig_argv = [sys.executable, "-P", "-m", "karma_sync", *command.args]
    main()


_earlier: list[object] = []  # streams that would close the descriptors if they were freed

if __name__ == "__main__":
    _serve()
