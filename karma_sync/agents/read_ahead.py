"""A second process that reads files before they are asked for, on another core.

Python runs one thread at a time, and of a first pass over many sessions a third is reading what
they tell of themselves (docs/adr/0022-a-process-reads-ahead.md).
"""

import json
import os
import select
import signal
import subprocess  # noqa: S404 our own program, a list of arguments
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

from karma_sync.agents.claude.gathering import read_new
from karma_sync.domain.session.source_files import ReadFile, SourceFile, Stat

# So many files are asked for at a time. Their names fit into the smallest pipe there is: were it
# full, each of the two processes could wait for the other to read.
_WINDOW = 8
_UNREADABLE = b"null"
_PIECE_BYTES = 1 << 16
_MODULE = "karma_sync.agents.read_ahead"


class ReadAhead:
    """Reads these files, none of which is known yet, in this order, while its caller is busy.

    The process ends with the last file, with `close`, or with ours. If it dies, nothing more was
    read ahead.
    """

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._waiting = deque(files)
        self._asked: deque[str] = deque()
        self._read: dict[str, ReadFile] = {}
        self._passed: set[str] = set()
        # -P: nothing is imported from wherever we happen to be
        self._process = subprocess.Popen(  # noqa: S603 see above
            [sys.executable, "-P", "-m", _MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._to = cast("IO[bytes]", self._process.stdin)
        self._from = cast("IO[bytes]", self._process.stdout)
        self._ready = select.poll()
        self._ready.register(self._from, select.POLLIN | select.POLLHUP)
        self._arrived = bytearray()  # of answers that are not all there yet
        self._works = False
        self._ask()

    def take(self, file: SourceFile) -> ReadFile | None:
        """What it read of this file, perhaps before it grew; None if it is to be read here.

        Waits for it if it is one of the next, but not until the process has started.
        """
        key = str(file.path)
        while (self._works and key in self._asked) or self._ready.poll(0):
            self._receive()
        self._passed.add(key)
        return self._read.pop(key, None)

    @property
    def over(self) -> bool:
        """Whether nothing more is read ahead."""
        return self._from.closed

    def close(self) -> None:
        """End the process; what nobody took is forgotten."""
        self._end()
        self._read.clear()

    def _ask(self) -> None:
        while self._waiting and len(self._asked) < _WINDOW:
            file = self._waiting.popleft()
            if str(file.path) not in self._passed:
                self._asked.append(str(file.path))
                self._send(file)
        if not self._asked:
            self._end()

    def _send(self, file: SourceFile) -> None:
        question = {"name": file.name, "path": str(file.path), "stat": asdict(file.stat)}
        try:
            self._to.write(json.dumps(question).encode() + b"\n")
            self._to.flush()
        except BrokenPipeError:
            self._end()  # it died

    def _receive(self) -> None:
        """Wait for more of an answer."""
        arrived = os.read(self._from.fileno(), _PIECE_BYTES)
        if not arrived:
            self._end()  # it died
            return
        *answers, self._arrived = (self._arrived + arrived).split(b"\n")
        for found in answers:
            self._keep(self._asked.popleft(), bytes(found))
        self._ask()

    def _keep(self, key: str, found: bytes) -> None:
        self._works = True
        if found != _UNREADABLE and key not in self._passed:
            self._read[key] = ReadFile.from_json(found)

    def _end(self) -> None:
        if self.over:
            return
        self._waiting.clear()
        self._asked.clear()
        self._ready.unregister(self._from)
        self._process.kill()
        self._process.wait()
        self._from.close()
        with suppress(BrokenPipeError):  # what was not sent yet is not needed
            self._to.close()


def answer(question: bytes) -> bytes:
    """What a file tells, as one line of JSON; null if it is not to be read, or not to be told."""
    asked = json.loads(question)
    file = SourceFile(asked["name"], Path(asked["path"]), Stat(**asked["stat"]))
    try:
        return read_new(file, None, lambda _: None).to_json().encode()
    except (OSError, ValueError):  # who asked reads it again, and says what is wrong with it
        return _UNREADABLE


def main() -> None:
    """Answer each question on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for who started us
    try:
        for question in sys.stdin.buffer:
            sys.stdout.buffer.write(answer(question) + b"\n")
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody is there to be told


if __name__ == "__main__":
    main()
