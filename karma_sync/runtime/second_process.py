"""Runs a module of karma-sync in a second process that answers requests.

Python runs one thread at a time; a second process works on another core. The module calls `serve`,
the caller of `SecondProcess` writes requests and reads the answers.
"""

import os
import signal
import subprocess  # noqa: S404 it runs our own program, with a list of arguments
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, cast

# The number of requests that may wait for their answers. So many fit into the smallest pipe of any
# system: with a full pipe each of the two processes could wait for the other one to read.
MOST_REQUESTS = 8


class SecondProcess:
    """A process that runs a module, by the module's full name.

    The process ends with `close`, or when this process ends. `answers` is its standard output,
    closed after `close`.
    """

    def __init__(self, module: str) -> None:
        # -P: Python must not import modules from the current directory
        self._process = subprocess.Popen(  # noqa: S603 see above
            [sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._requests = cast("IO[bytes]", self._process.stdin)
        self.answers = cast("IO[bytes]", self._process.stdout)

    @property
    def has_ended(self) -> bool:
        """Whether `close` was called."""
        return self.answers.closed

    def request(self, line: bytes) -> None:
        """Send a request, as one line without its end.

        Raises:
            BrokenPipeError: the process died.
        """
        self._requests.write(line + b"\n")
        self._requests.flush()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        if self.has_ended:
            return
        self._process.kill()
        self._process.wait()
        self.answers.close()
        with suppress(BrokenPipeError):  # requests that were not sent yet are not needed
            self._requests.close()


def serve(answer: Callable[[bytes], Iterable[bytes]]) -> None:
    """Answer each line on standard input on standard output, until the first process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the first process
    try:
        for request in sys.stdin.buffer:
            for part in answer(request):
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)  # the first process has ended
